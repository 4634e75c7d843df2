"""The shape of curves that are made by formula, with and without noise."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from foray.reproduce.claim import CurveShape
from foray.reproduce.curve_shape import shape_of, trend

from .made_results import rows

OVERFITS = CurveShape("deepweeds-mobilenet-last34", "overfits")
RISES = CurveShape("deepweeds-mobilenet-whole", "keeps rising")
EPOCHS = 20
RISING = [0.86 + 0.14 * i / (EPOCHS - 1) for i in range(EPOCHS)]
FULL = [1 - 0.3 * math.exp(-i / 1.6) for i in range(EPOCHS)]  # 97.5 % at epoch 5, and then at 100 %
HIGH = [0.91 + 0.004 * i for i in range(EPOCHS)]
FLAT = [0.80] * EPOCHS
CLIMBING = [0.70 + 0.01 * i for i in range(EPOCHS)]
FALLING = CLIMBING[::-1]


def noise(deviation: float, seed: int = 0) -> list[float]:
    return list(np.random.default_rng(seed).normal(0, deviation, EPOCHS))


def plus(curve: list[float], other: list[float]) -> list[float]:
    return [a + b for a, b in zip(curve, other, strict=True)]


def lagging(epochs_of_lag: float) -> list[float]:
    """val as a batch norm shows it whose running statistics approach a network that stays at 80 %."""
    return [0.80 - 0.60 * math.exp(-(i + 1) / epochs_of_lag) for i in range(EPOCHS)]


@pytest.mark.parametrize(
    ("shape", "train", "val", "shown"),
    [
        (OVERFITS, RISING, FLAT, "holds"),
        (OVERFITS, FULL, FLAT, "holds"),  # it has not 2 points to gain along the line, and loses all its errors
        (OVERFITS, [0.98] * EPOCHS, FLAT, "contrary"),
        (OVERFITS, [1.0] * EPOCHS, FLAT, "open"),
        (OVERFITS, RISING, CLIMBING, "contrary"),
        (OVERFITS, RISING, FALLING, "contrary"),
        (OVERFITS, FLAT, FLAT, "contrary"),
        (OVERFITS, RISING, plus(FLAT, noise(0.003)), "holds"),
        (OVERFITS, RISING, plus(FLAT, noise(0.05)), "open"),
        (OVERFITS, plus(FLAT, noise(0.2)), FLAT, "open"),
        (RISES, HIGH, CLIMBING, "holds"),
        (RISES, HIGH, plus(CLIMBING, noise(0.01)), "holds"),
        (RISES, HIGH, FALLING, "contrary"),
        (RISES, HIGH, plus(FLAT, noise(0.01)), "open"),
        (RISES, FLAT, CLIMBING, "contrary"),  # train is not high early
    ],
)
def test_curves_by_formula(shape: CurveShape, train: list[float], val: list[float], shown: str) -> None:
    assert shape_of([rows(train, val)], shape)[0] == shown


@pytest.mark.parametrize(("epochs_of_lag", "shown"), [(0.5, "holds"), (5, "contrary")])
def test_a_lag_of_some_epochs_hides_that_val_stays(epochs_of_lag: float, shown: str) -> None:
    """Which is why the study's recipes state a batch norm that follows within an epoch."""
    assert shape_of([rows(RISING, lagging(epochs_of_lag))], OVERFITS)[0] == shown


def test_two_single_epochs_decide_nothing() -> None:
    """The last epoch, or the one after the first quarter, may be an outlier."""
    for outlier in (4, EPOCHS - 1):
        val = list(FLAT)
        val[outlier] -= 0.15
        assert shape_of([rows(RISING, val)], OVERFITS)[0] == "open"
        assert shape_of([rows(HIGH, val)], RISES)[0] == "open"


@pytest.mark.parametrize("shape", [OVERFITS, RISES])
@pytest.mark.parametrize("epochs", [0, 1, 7])
def test_seven_epochs_are_too_few(shape: CurveShape, epochs: int) -> None:
    shown, said = shape_of([rows(RISING[:epochs], FLAT[:epochs])], shape)
    assert (shown, said) == ("open", f"{epochs} epochs are too few to see a shape: at least 8 are needed.")
    assert shape_of([rows(RISING[:8], FLAT[:8])], OVERFITS)[0] == "holds"


def test_epochs_without_val_are_none_at_all() -> None:
    assert shape_of([rows(RISING, [None] * EPOCHS)], OVERFITS)[1].startswith("0 epochs are too few")


def test_the_curve_is_the_mean_over_seeds() -> None:
    """Two seeds that drift apart by as much stay where they are together."""
    up, down = plus(FLAT, [0.004 * i for i in range(EPOCHS)]), plus(FLAT, [-0.004 * i for i in range(EPOCHS)])
    assert shape_of([rows(RISING, up)], OVERFITS)[0] == "contrary"
    assert shape_of([rows(RISING, up), rows(RISING, down)], OVERFITS)[0] == "holds"


def test_what_is_said_are_the_changes_along_the_lines() -> None:
    said = shape_of([rows(RISING, CLIMBING)], OVERFITS)[1]
    # 15 steps of 14 / 19 points, and of one point
    assert said == (
        "From epoch 5 to 20 train changes by 11.05 points (11.05 to 11.05) and val by 15 points (15 to 15)."
    )
    assert "train is at 92.6 % by epoch 5" in shape_of([rows(HIGH, CLIMBING)], RISES)[1]


@given(slope=st.floats(-0.05, 0.05), start=st.floats(0, 1), n=st.integers(3, 30))
def test_a_straight_line_has_its_own_slope_and_no_width(slope: float, start: float, n: int) -> None:
    found = trend([start + slope * i for i in range(n)])
    assert found.change == pytest.approx(slope * (n - 1), abs=1e-9)
    assert found.high - found.low == pytest.approx(0, abs=1e-6)


@settings(deadline=None, max_examples=5)
@given(slope=st.floats(-0.01, 0.01))
def test_the_interval_holds_the_true_change_in_19_of_20_curves(slope: float) -> None:
    generator, n, held = np.random.default_rng(7), 15, 0
    for _ in range(400):
        found = trend(list(0.5 + slope * np.arange(n) + generator.normal(0, 0.02, n)))
        held += found.low <= slope * (n - 1) <= found.high
    assert 0.92 < held / 400 < 0.98  # 0.95 within 2.8 standard deviations
