"""Learning rates against closed formulas."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foray.recipes import Optimizer, Recipe, Schedule
from foray.training.schedules import learning_rate


def recipe(schedule: Schedule, epochs: int = 10) -> Recipe:
    return Recipe(
        protocol="scratch", epochs=epochs, batch_size=4, schedule=schedule,
        optimizer=Optimizer(name="sgd", learning_rate=0.4),
    )  # fmt: skip


def test_constant_stays() -> None:
    assert {learning_rate(recipe(Schedule()), step, 7) for step in range(70)} == {0.4}


def test_step_multiplies_by_its_factor_every_five_epochs_as_the_study_does() -> None:
    rates = [learning_rate(recipe(Schedule(name="step"), 12), epoch * 3 + 2, 3) for epoch in range(12)]
    assert rates == pytest.approx([0.4] * 5 + [0.36] * 5 + [0.324] * 2)


def test_cosine_starts_at_the_full_rate_halves_in_the_middle_and_ends_near_zero() -> None:
    schedule = recipe(Schedule(name="cosine"))
    assert learning_rate(schedule, 0, 10) == 0.4
    assert learning_rate(schedule, 50, 10) == pytest.approx(0.2)
    assert learning_rate(schedule, 99, 10) == pytest.approx(0.4 * 0.5 * (1 + math.cos(math.pi * 0.99)))


def test_warm_up_rises_linearly_and_ends_at_the_full_rate() -> None:
    schedule = recipe(Schedule(name="cosine", warmup_epochs=1.5))
    rates = [learning_rate(schedule, step, 4) for step in range(8)]
    assert rates[:6] == pytest.approx([0.4 * (step + 1) / 6 for step in range(6)])
    assert rates[6] == 0.4
    assert rates[7] < 0.4


@given(
    name=st.sampled_from(["constant", "step", "cosine"]),
    warmup=st.floats(0, 20),
    epochs=st.integers(1, 12),
    steps=st.integers(1, 9),
)
def test_rates_are_positive_and_never_above_the_recipes(name: str, warmup: float, epochs: int, steps: int) -> None:
    schedule = recipe(Schedule(name=name, warmup_epochs=warmup), epochs)
    rates = [learning_rate(schedule, step, steps) for step in range(epochs * steps)]
    assert all(0 < rate <= 0.4 * (1 + 1e-12) for rate in rates)
