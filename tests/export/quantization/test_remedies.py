"""Remedies are tried in order, stop when one suffices, and leave sentences with figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from foray.export.graph import deployable
from foray.export.quantization import FineTuning, Int8Loss, PreCheck, Settings, int8_loss, quantize, remedies_for
from foray.export.quantization.fake_quantization import batches, in_int8, observe_ranges
from foray.export.quantization.fine_tuning import fine_tune
from foray.export.quantization.remedies import Remedies, Trials
from foray.export.quantization.sensitivity import LayerSensitivity
from foray.export.runtimes import RUNTIMES, float_writer
from foray.statistics.paired import paired_loss
from tests.export.quantization.conftest import PREPROCESSING, Digits, damaged, run

FIRST = Settings(images=40)


class Bench:
    """Writes settings instead of a model, and knows what each setting loses of 100; `lucky` ones lose nothing by the
    labels all the same.
    """

    def __init__(self, lucky: tuple[str, ...] = (), **losses: int) -> None:
        self.losses, self.lucky, self.tried = losses, lucky, []

    def write(self, network: object, settings: Settings, folder: Path) -> Path:
        kind = network if network != "network" else "float" + str(len(settings.float_layers))
        kind = kind if kind != "float0" else settings.ranges if settings.images == 40 else f"{settings.ranges}_more"
        self.tried.append(kind)
        (folder / "model").write_text(kind)
        return folder / "model"

    def measure(self, entry: Path) -> Int8Loss:
        kind = entry.read_text()
        right = np.ones((1, 100), dtype=bool)
        wrong = right.copy()
        wrong[0, : 0 if kind in self.lucky else self.losses[kind]] = False
        expected = self.losses[kind] / 100
        return Int8Loss(paired_loss(right, wrong, 0.01), expected, expected)

    def run(self, tmp_path: Path, **options):
        layers = tuple(LayerSensitivity(f"layer{i}", 9.0, 9.0, 6.0) for i in range(32))
        check = PreCheck(layers, 0.5, (0.4, 0.6), 64, "take another network.")
        trials = Trials("network", self.write, self.measure, 0.01, tmp_path, 1000)
        tune = options.get("tune", lambda: "tuned")
        return trials.run(FIRST, Remedies(lambda: check, tune, FineTuning()))


LOSSES = {
    "full": 9,
    "full_more": 8,
    "clipped": 9,
    "clipped_more": 7,
    "float4": 5,
    "float16": 6,
    "tuned": 4,
}

CALIBRATED = ["full", "full_more", "clipped_more"]


@pytest.mark.parametrize(
    ("good", "tried"),
    [
        ("full", ["full"]),
        ("full_more", ["full", "full_more"]),
        ("clipped_more", CALIBRATED),
        ("float4", [*CALIBRATED, "float4"]),
        ("tuned", [*CALIBRATED, "float4", "float16", "tuned"]),
    ],
)
def test_stops_at_the_first_that_suffices(tmp_path: Path, good: str, tried: list[str]) -> None:
    bench = Bench(**(LOSSES | {good: 1}))
    outcome = bench.run(tmp_path)
    assert bench.tried == tried
    assert outcome.best.entry.read_text() == good
    assert outcome.best.loss.paired.loss == pytest.approx(0.01)
    assert outcome.sentences[-1].endswith("within the tolerance of 1 point.")
    assert all("n = 100 validation images" in sentence for sentence in outcome.sentences if "lost" in sentence)
    assert ("take another network." in outcome.sentences) == (good == "tuned")


def test_keeps_the_least_bad_where_nothing_suffices(tmp_path: Path) -> None:
    outcome = Bench(**LOSSES).run(tmp_path)
    assert outcome.best.entry.read_text() == "tuned"
    assert len(outcome.sentences) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["5"]  # the others are gone
    without = Bench(**LOSSES).run(_empty(tmp_path.parent / "again"), tune=None)
    assert without.best.entry.read_text() == "float4"


def test_luck_with_the_labels_is_no_reason_to_stop(tmp_path: Path) -> None:
    """One attempt loses nothing by the labels and 8 % by the probabilities: others are tried, a better one is kept."""
    bench = Bench(("full_more",), **LOSSES)
    outcome = bench.run(tmp_path)
    assert bench.tried == [*CALIBRATED, "float4", "float16", "tuned"]
    assert outcome.best.entry.read_text() == "tuned"
    assert "0 points lost" in outcome.sentences[1]
    assert "8 points expected" in outcome.sentences[1]
    assert outcome.sentences[1].endswith("above the tolerance of 1 point.")


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), classes=st.integers(2, 6), noise=st.floats(0, 2))
def test_expected_loss_is_what_calibrated_probabilities_lose(seed: int, n: int, classes: int, noise: float) -> None:
    """Over all labels, each as probable as float32 says it is: the mean of the loss of top-1, image by image."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n, classes))
    float32, int8 = (softmax(x, axis=1) for x in (logits, logits + noise * generator.normal(size=(n, classes))))
    loss = int8_loss(float32, int8, generator.integers(classes, size=n), 0.01)
    ours, theirs = float32.argmax(1), int8.argmax(1)
    mean = sum(
        float32[i, label] * (float(ours[i] == label) - float(theirs[i] == label))
        for i in range(n)
        for label in range(classes)
    )
    assert loss.expected == pytest.approx(mean / n, abs=1e-12)
    assert 0 <= loss.expected <= loss.expected_upper
    assert (loss.expected == 0) == bool((ours == theirs).all())


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_damaged_layer_is_found_and_kept_in_float(digits: Digits, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    network, name = damaged(digits.network)
    exact = deployable(network, PREPROCESSING)(torch.from_numpy(digits.val)).numpy()

    def measure(entry: Path) -> Int8Loss:
        return int8_loss(exact, run("onnx", entry, digits.val), digits.labels[1200:], 0.01)

    remedies = remedies_for(network, digits.train, PREPROCESSING, fine_tuning=None)
    make = partial(
        quantize, network, "onnx", digits.train, preprocessing=PREPROCESSING, write_float=float_writer(RUNTIMES["onnx"])
    )
    model = make(tmp_path / "a", measure=measure, settings=Settings(images=16), remedies=remedies)
    assert name in model.settings.float_layers
    assert model.meets_tolerance
    assert model.loss is not None
    assert model.loss.paired.loss <= 0.01
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
