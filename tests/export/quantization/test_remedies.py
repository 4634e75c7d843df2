"""Remedies are tried in order, stop when one suffices, and leave sentences with figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from foray.export.graph import deployable
from foray.export.quantization import FineTuning, PreCheck, Settings, quantize
from foray.export.quantization.fake_quantization import batches, in_int8, observe_ranges
from foray.export.quantization.fine_tuning import fine_tune
from foray.export.quantization.remedies import Remedies, Trials
from foray.export.quantization.sensitivity import LayerSensitivity
from foray.export.runtimes import RUNTIMES, float_writer
from foray.statistics.paired import PairedResult, paired_loss
from tests.export.quantization.conftest import PREPROCESSING, Digits, damaged, run

FIRST = Settings(images=40)


class Bench:
    """Writes settings instead of a model, and knows what each setting loses."""

    def __init__(self, **losses: int) -> None:
        self.losses, self.tried = losses, []

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

    def run(self, tmp_path: Path, **options):
        layers = tuple(LayerSensitivity(f"layer{i}", 9.0, 9.0, 6.0) for i in range(10))
        check = PreCheck(layers, 0.5, (0.4, 0.6), 64, "take another network.")
        trials = Trials("network", self.write, self.measure, 0.01, tmp_path, 1000)
        tune = options.get("tune", lambda: "tuned")
        return trials.run(FIRST, Remedies(lambda: check, tune, FineTuning()))


LOSSES = {
    "full": 9,
    "full_more": 8,
    "clipped": 9,
    "clipped_more": 7,
    "float2": 5,
    "float4": 5,
    "float8": 6,
    "tuned": 4,
}

CALIBRATED = ["full", "full_more", "clipped_more"]


@pytest.mark.parametrize(
    ("good", "tried"),
    [
        ("full", ["full"]),
        ("full_more", ["full", "full_more"]),
        ("clipped_more", CALIBRATED),
        ("float4", [*CALIBRATED, "float2", "float4"]),
        ("tuned", [*CALIBRATED, "float2", "float4", "tuned"]),
    ],
)
def test_stops_at_the_first_that_suffices(tmp_path: Path, good: str, tried: list[str]) -> None:
    bench = Bench(**(LOSSES | {good: 1}))
    outcome = bench.run(tmp_path)
    assert bench.tried == tried
    assert outcome.best.entry.read_text() == good
    assert outcome.best.result.loss == pytest.approx(0.01)
    assert outcome.sentences[-1].endswith("within the tolerance of 1.0 points.")
    assert all("n = 100 validation images" in sentence for sentence in outcome.sentences if "lost" in sentence)
    assert ("take another network." in outcome.sentences) == (good == "tuned")


def test_keeps_the_least_bad_where_nothing_suffices(tmp_path: Path) -> None:
    outcome = Bench(**LOSSES).run(tmp_path)
    assert outcome.best.entry.read_text() == "tuned"
    assert len(outcome.sentences) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["5"]  # the others are gone
    without = Bench(**LOSSES).run(_empty(tmp_path.parent / "again"), tune=None)
    assert without.best.entry.read_text() == "float2"


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_damaged_layer_is_found_and_kept_in_float(digits: Digits, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    network, name = damaged(digits.network)
    exact = deployable(network, PREPROCESSING)(torch.from_numpy(digits.val)).numpy()
    right = (exact.argmax(1) == digits.labels[1200:])[None]

    def measure(entry: Path) -> PairedResult:
        return paired_loss(right, (run("onnx", entry, digits.val).argmax(1) == digits.labels[1200:])[None], 0.01)

    make = partial(
        quantize, network, "onnx", digits.train, preprocessing=PREPROCESSING, write_float=float_writer(RUNTIMES["onnx"])
    )
    model = make(tmp_path / "a", measure=measure, settings=Settings(images=16), fine_tuning=None)
    assert name in model.settings.float_layers
    assert model.meets_tolerance
    assert model.result is not None
    assert model.result.loss <= 0.01
    assert "above the tolerance" in model.remedies[0]
    assert f"({name}" in model.remedies[-1]
    assert "within the tolerance" in model.remedies[-1]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["model.onnx"]
    again = make(tmp_path / "b", settings=model.settings)
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
