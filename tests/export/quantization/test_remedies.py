"""Remedies are tried in order, stop when one suffices, and leave sentences with figures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from foray.export.graph import deployable
from foray.export.quantization import FineTuning, Int8Request, PreCheck, Settings, int8_loss, quantize, remedies_for
from foray.export.quantization.fake_quantization import batches, in_int8, observe_ranges
from foray.export.quantization.fine_tuning import fine_tune
from foray.export.quantization.remedies import Remedies, Trials
from foray.export.quantization.sensitivity import LayerSensitivity
from foray.records import Hardware, Speed, TimeEstimate
from foray.statistics.paired import PairedResult, paired_loss
from tests.export.digits import PREPROCESSING, Digits
from tests.export.quantization.conftest import damaged, run

FIRST = Settings(images=40)


class Bench:
    """Writes settings instead of a model, and knows what each setting loses of 100, and how long it takes."""

    def __init__(self, times: Mapping[str, float] = {}, **losses: int) -> None:
        self.losses, self.times, self.tried, self.timed = losses, times, [], []

    def write(self, network: object, settings: Settings, folder: Path) -> Path:
        kind = network if network != "network" else "float" + str(len(settings.float_layers))
        kind = kind if kind != "float0" else settings.ranges if settings.images == 40 else f"{settings.ranges}_more"
        self.tried.append(kind)
        (folder / "model").write_text(kind)
        return folder / "model"

    def measure(self, entry: Path) -> PairedResult:
        right = np.ones((1, 100), dtype=bool)
        wrong = right.copy()
        wrong[0, : self.losses[entry.read_text()]] = False
        return paired_loss(right, wrong, 0.01)

    def time(self, entry: Path) -> Speed:
        self.timed.append(entry.read_text())
        return speed(self.times.get(self.timed[-1], 0.5))

    def run(self, tmp_path: Path, **options):
        layers = tuple(LayerSensitivity(f"layer{i}", 9.0, 9.0, 6.0) for i in range(32))
        check = PreCheck(layers, 0.5, (0.4, 0.6), 64, "take another network.")
        trials = Trials("network", self.write, self.measure, self.time, tmp_path, 1000)
        tune = options.get("tune", lambda: "tuned")
        return trials.run(FIRST, Remedies(lambda: check, tune, FineTuning()))


def speed(ratio: float) -> Speed:
    p50, float32 = (TimeEstimate(value=ms, low=ms, high=ms) for ms in (10 * ratio, 10.0))
    return Speed(
        ratio=ratio, low=0.98 * ratio, high=1.02 * ratio, p50=p50, float32=float32, threads=2, bursts=3, turns=9,
        hardware=Hardware(processor="P", cores=2, memory_bytes=None, system="S", instructions=["avx512_vnni"]),
    )  # fmt: skip


LOSSES = {
    "full": 9,
    "full_more": 8,
    "clipped": 9,
    "clipped_more": 7,
    "float4": 5,
    "float16": 6,
    "tuned": 6,
}

CALIBRATED = ["full", "full_more", "clipped_more"]
EVERYTHING = [*CALIBRATED, "float4", "float16", "tuned"]


@pytest.mark.parametrize(
    ("good", "tried"),
    [
        ("full", ["full"]),
        ("full_more", ["full", "full_more"]),
        ("clipped_more", CALIBRATED),
        ("float4", [*CALIBRATED, "float4"]),
        ("tuned", EVERYTHING),
    ],
)
def test_stops_at_the_first_that_suffices(tmp_path: Path, good: str, tried: list[str]) -> None:
    bench = Bench(**(LOSSES | {good: 1}))
    outcome = bench.run(tmp_path)
    assert bench.tried == tried
    assert outcome.best.entry.read_text() == good
    assert outcome.best.loss.loss == pytest.approx(0.01)
    attempts = [sentence for sentence in outcome.sentences if "lost (" in sentence]
    assert len(attempts) == len(tried)
    assert attempts[-1].endswith("within the tolerance of 1 point, 0.50 x the time of float32.")
    assert all("n = 100 validation images" in sentence for sentence in attempts)
    assert ("take another network." in outcome.sentences) == (good == "tuned")


def test_the_loss_of_one_among_several_is_called_optimistic_and_that_of_a_single_one_is_not(tmp_path: Path) -> None:
    several = Bench(**(LOSSES | {"full_more": 1})).run(tmp_path)
    assert "selected among 2 attempts on these images, so its loss on them is optimistic" in several.sentences[-1]
    assert "the certificate uses test images" in several.sentences[-1]
    single = Bench(**(LOSSES | {"full": 1})).run(_empty(tmp_path.parent / "single"))
    assert len(single.sentences) == 1


def test_where_the_images_cannot_tell_no_layer_is_made_slower(tmp_path: Path) -> None:
    """Three of 100 lost are above one point, and so are two; the lower bound of neither is."""
    bench = Bench(**(LOSSES | {"full": 3, "full_more": 2, "clipped_more": 3}))
    outcome = bench.run(tmp_path)
    assert bench.tried == CALIBRATED
    assert outcome.best.loss.lower <= 0.01 < outcome.best.loss.loss
    assert outcome.best.entry.read_text() == "full_more"
    assert any(
        "100 validation images are too few to decide whether 1 point or more are lost" in one
        for one in outcome.sentences
    )


def test_layers_in_float32_that_win_little_are_not_kept(tmp_path: Path) -> None:
    """Without them at least 3.3 points are lost; with them 5, which may be luck, or 2, which is not."""
    outcome = Bench(**LOSSES).run(tmp_path, tune=None)
    assert outcome.best.entry.read_text() == "clipped_more"
    assert [path.name for path in tmp_path.iterdir()] == ["2"]  # the others are gone
    better = Bench(**(LOSSES | {"float4": 2})).run(_empty(tmp_path.parent / "better"), tune=None)
    assert better.best.entry.read_text() == "float4"


def test_one_that_is_slower_than_float32_does_not_end_the_search(tmp_path: Path) -> None:
    slow = {"float4": 1.2, "float16": 1.3}
    bench = Bench(slow, **(LOSSES | {"float4": 1, "tuned": 1}))
    outcome = bench.run(tmp_path)
    assert bench.tried == EVERYTHING
    assert outcome.best.entry.read_text() == "tuned"
    assert bench.timed == ["full", "float4", "float16"]  # others have the same operators


def test_one_that_is_slower_than_float32_is_kept_only_if_nothing_else_suffices_and_says_so(tmp_path: Path) -> None:
    outcome = Bench({"float4": 1.2, "float16": 1.3}, **(LOSSES | {"float4": 1, "float16": 0})).run(tmp_path)
    assert outcome.best.entry.read_text() == "float4"
    assert outcome.sentences[3].endswith("within the tolerance of 1 point, 1.20 x the time of float32.")
    assert outcome.best.speed is not None
    assert "int8 gains size, not speed: it takes 1.20 x" in outcome.best.speed.sentence


def test_int8_that_is_slow_as_it_is_gets_no_remedy_for_accuracy(tmp_path: Path) -> None:
    bench = Bench({"full": 1.2}, **(LOSSES | {"full": 0}))
    assert bench.run(tmp_path).best.entry.read_text() == "full"
    assert bench.tried == ["full"]


class World(Bench):
    """Every attempt changes a tenth of 250 labels, as many to right ones as to wrong ones, but for `loss` of them."""

    def __init__(self, seed: int, loss: float) -> None:
        super().__init__()
        self.random, self.loss = np.random.default_rng(seed), loss

    def measure(self, entry: Path) -> PairedResult:
        draws = self.random.random(250)
        lost, gained = draws < 0.05 + self.loss, draws > 0.95
        return paired_loss(~gained[None], ~lost[None], 0.01)


@pytest.mark.parametrize(("loss", "most"), [(0.0, 0.02), (0.01, 0.05), (0.08, 1.0)])
def test_few_of_many_that_lose_no_more_than_the_tolerance_get_layers_in_float32(
    tmp_path: Path, loss: float, most: float
) -> None:
    """250 images are few: one in three that lose nothing is measured to lose more than a point."""
    worlds = [World(seed, loss) for seed in range(150)]
    for number, world in enumerate(worlds):
        world.run(_empty(tmp_path / str(number)), tune=None)
    share = np.mean(["float4" in world.tried for world in worlds])
    assert share <= most
    assert (share > 0.5) == (loss == 0.08)  # where much is lost, the remedies come


@pytest.mark.parametrize(
    ("ratio", "gain"),
    [(0.5, "size and speed"), (0.9, "size, and little speed"), (0.99, "size, not speed"), (1.2, "size, not speed")],
)
def test_what_int8_gains_stands_beside_the_processor(ratio: float, gain: str) -> None:
    sentence = speed(ratio).sentence
    assert f"int8 gains {gain}: it takes {ratio:.2f} x the time of float32" in sentence
    assert f"{10 * ratio:.2f} against 10.00 ms an image, 2 threads, P (avx512_vnni), 2 cores" in sentence


def test_what_float32_gives_up_with_a_label_is_no_loss_where_the_label_was_wrong() -> None:
    """Float32 is sure of class 0; int8 says 1; both are wrong: nothing is lost, whatever the probabilities say."""
    float32, int8 = np.tile(np.float32([0.98, 0.01, 0.01]), (50, 1)), np.tile(np.float32([0.3, 0.4, 0.3]), (50, 1))
    assert int8_loss(float32, int8, np.full(50, 2), 0.01).loss == 0
    assert int8_loss(float32, int8, np.arange(50) % 2, 0.01).loss == 0
    assert int8_loss(float32, int8, np.zeros(50, np.int64), 0.01).loss == 1


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_damaged_layer_is_found_and_kept_in_float(digits: Digits, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    network, name = damaged(digits.network)
    exact = deployable(network, PREPROCESSING)(torch.from_numpy(digits.val)).numpy()

    def measure(entry: Path) -> PairedResult:
        return int8_loss(exact, run("onnx", entry, digits.val), digits.labels[1200:], 0.01)

    remedies = remedies_for(network, digits.train, PREPROCESSING, fine_tuning=None)
    make = partial(quantize, network, PREPROCESSING, "onnx", digits.train)
    model = make(tmp_path / "a", Int8Request(Settings(images=16), measure=measure, remedies=remedies))
    assert name in model.settings.float_layers
    assert model.meets_tolerance
    assert model.loss is not None
    assert model.loss.loss <= 0.01
    assert "above the tolerance" in model.remedies[0]
    assert f"({name}" in model.remedies[-2]
    assert "within the tolerance" in model.remedies[-2]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["model.onnx"]
    again = make(tmp_path / "b", Int8Request(model.settings))
    assert again.entry.read_bytes() == model.entry.read_bytes()


def test_fine_tuning_brings_the_network_nearer_and_repeats(digits: Digits) -> None:
    """Most channels of one tensor are lost on purpose; a few steps win part of it back, the same bits each time."""
    damaged_network, _ = damaged(digits.network)
    plan = FineTuning(steps=30, batch_size=32, learning_rate=1e-3)
    tuned, again = (fine_tune(damaged_network, digits.train, PREPROCESSING, plan, seed=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(tuned.parameters(), again.parameters(), strict=True))
    before, after = divergence(damaged_network, damaged_network, digits), divergence(tuned, damaged_network, digits)
    assert after < 0.8 * before
    assert not any(parameter.requires_grad for parameter in tuned.parameters())


def divergence(network, reference, digits: Digits) -> float:
    """Mean divergence of `network` in simulated int8 from `reference` in float32 on validation images."""
    ranges = observe_ranges(network, digits.train.sample(64, 1), PREPROCESSING)
    total = 0.0
    with torch.no_grad():
        wanted = [reference(batch).log_softmax(1) for batch in batches(digits.val[:128], PREPROCESSING)]
        with in_int8(network, ranges, list(ranges)):
            for batch, expected in zip(batches(digits.val[:128], PREPROCESSING), wanted, strict=True):
                found = network(batch).log_softmax(1)
                total += float((expected.exp() * (expected - found)).sum())
    return total / 128
