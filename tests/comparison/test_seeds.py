"""How many trainings a comparison makes where nobody says how many."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.recipes import preset
from tests.asking import plan_comparison
from tests.small_training import small_weights  # noqa: F401  (a fixture)

MODEL = "tf_mobilenet_v1_x0.25"


def test_linear_trains_three_heads_and_the_plan_shows_it(small_weights: Path) -> None:  # noqa: F811
    plan = plan_comparison("digits", [MODEL], weights=small_weights)
    assert plan.seeds == (0, 1, 2)
    assert dict(plan.describe(Path("cache")))["runs"] == "3 (seeds 0, 1, 2)"


@pytest.mark.parametrize("protocol", ["scratch", "finetune"])
def test_whole_networks_are_trained_once(protocol, small_weights: Path) -> None:  # noqa: F811
    plan = plan_comparison("digits", [MODEL], protocol, weights=None if protocol == "scratch" else small_weights)
    assert plan.seeds == (0,)


def test_the_protocol_of_a_recipe_counts(small_weights: Path) -> None:  # noqa: F811
    recipe = preset("linear", epochs=1)
    assert plan_comparison("digits", [MODEL], "finetune", recipe=recipe, weights=small_weights).seeds == (0, 1, 2)


@pytest.mark.parametrize("seeds", [1, 2])
def test_what_is_asked_for_is_done(seeds, small_weights: Path) -> None:  # noqa: F811
    plan = plan_comparison("digits", [MODEL], weights=small_weights, seeds=seeds)
    assert plan.seeds == tuple(range(seeds))
