"""Learning rates, sides and trained parts against closed formulas."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foray.recipes import SGD, FinetuneRecipe, RateSchedule, Recipe
from foray.training.schedules import learning_rate, trained_parts, training_side


def recipe(schedule: RateSchedule, epochs: int = 10) -> Recipe:
    return FinetuneRecipe(
        epochs=epochs, batch_size=4, schedule=schedule,
        optimizer=SGD(learning_rate=0.4),
    )  # fmt: skip


def test_constant_stays() -> None:
    assert {learning_rate(recipe(RateSchedule()), step, 7) for step in range(70)} == {0.4}


def test_step_multiplies_by_its_factor_every_five_epochs_as_the_study_does() -> None:
    rates = [learning_rate(recipe(RateSchedule(name="step"), 12), epoch * 3 + 2, 3) for epoch in range(12)]
    assert rates == pytest.approx([0.4] * 5 + [0.36] * 5 + [0.324] * 2)


def test_cosine_starts_at_the_full_rate_halves_in_the_middle_and_ends_near_zero() -> None:
    schedule = recipe(RateSchedule(name="cosine"))
    assert learning_rate(schedule, 0, 10) == 0.4
    assert learning_rate(schedule, 50, 10) == pytest.approx(0.2)
    assert learning_rate(schedule, 99, 10) == pytest.approx(0.4 * 0.5 * (1 + math.cos(math.pi * 0.99)))


def test_warm_up_rises_linearly_and_ends_at_the_full_rate() -> None:
    schedule = recipe(RateSchedule(name="cosine", warmup_epochs=1.5))
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
    schedule = recipe(RateSchedule(name=name, warmup_epochs=warmup), epochs)
    rates = [learning_rate(schedule, step, steps) for step in range(epochs * steps)]
    assert all(0 < rate <= 0.4 * (1 + 1e-12) for rate in rates)


def test_sides_rise_linearly_over_three_quarters_of_the_epochs_and_end_at_the_resolution() -> None:
    growing = recipe(RateSchedule(), 8).model_copy(update={"progressive_resolution": 0.5})
    # six epochs from 112 on, in steps of 18.67, to the nearest multiple of 16 (168, in the middle, to the even one)
    assert [training_side(growing, epoch, 224) for epoch in range(8)] == [112, 128, 144, 160, 192, 208, 224, 224]
    assert {training_side(recipe(RateSchedule(), 8), epoch, 224) for epoch in range(8)} == {224}


@given(share=st.floats(0.01, 1.0), epochs=st.integers(1, 40), resolution=st.integers(16, 600))
def test_sides_never_shrink_and_the_last_epoch_is_at_the_resolution(share: float, epochs: int, resolution: int) -> None:
    growing = recipe(RateSchedule(), epochs).model_copy(update={"progressive_resolution": share})
    sides = [training_side(growing, epoch, resolution) for epoch in range(epochs)]
    assert sides == sorted(sides)
    assert sides[-1] == resolution
    assert all(side % 16 == 0 or side == resolution for side in sides)
    assert min(sides) >= 16


def test_training_may_stay_below_the_resolution_of_evaluation() -> None:
    smaller = recipe(RateSchedule(), 8).model_copy(update={"training_resolution": 0.8})
    assert {training_side(smaller, epoch, 160) for epoch in range(8)} == {128}
    growing = smaller.model_copy(update={"progressive_resolution": 0.75})
    assert [training_side(growing, epoch, 160) for epoch in range(8)] == [96, 96, 112, 112, 112, 128, 128, 128]


def test_one_more_part_is_trained_every_so_many_epochs() -> None:
    gradual = recipe(RateSchedule(), 4).model_copy(update={"gradual_unfreezing_epochs": 1.5})
    assert [trained_parts(gradual, step, 4, late=5) for step in range(16)] == [1] * 6 + [2] * 6 + [3] * 4
    assert trained_parts(recipe(RateSchedule(), 4), 3, 4, late=5) is None


def test_early_parts_are_trained_at_first_alone() -> None:
    freezing = recipe(RateSchedule(), 4).model_copy(update={"freeze_early_epochs": 1.5})
    assert [trained_parts(freezing, step, 2, late=5) for step in range(8)] == [None] * 3 + [5] * 5
