"""All recipes by name, and as files with their story above."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from foray.errors import UnknownNameError
from foray.recipes import (
    RECIPE_ADAPTER,
    Protocol,
    modern,
    preset,
    read_recipe,
    recipe_file,
    recipe_named,
    recipes_by_name,
)

EVERYTHING = recipes_by_name()
MODERN = [name for name, entry in EVERYTHING.items() if entry.group == "modern"]


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_printed_recipe_is_a_file_for_recipe_with_its_story_in_comments(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(recipe_file(name), encoding="utf-8")
    assert read_recipe(path) == recipe_named(name)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# {name}: ")


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_recipe_passes_its_own_validation(name: str) -> None:
    """Some are copies of others, which pydantic does not validate."""
    recipe = recipe_named(name)
    assert RECIPE_ADAPTER.validate_python(recipe.model_dump()) == recipe


def test_the_presets_of_the_protocols_are_among_them() -> None:
    assert {name for name, entry in EVERYTHING.items() if entry.group == "protocol"} == set(get_args(Protocol))
    for protocol in get_args(Protocol):
        assert recipe_named(protocol) == preset(protocol)


def test_changes_are_made_and_named_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(recipe_file("finetune", ["epochs=3", "optimizer.layer_decay=0.5"]), encoding="utf-8")
    assert "# Changed here: epochs=3, optimizer.layer_decay=0.5" in path.read_text(encoding="utf-8")
    assert read_recipe(path).epochs == 3


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"finetune_strong.*foray recipes"):
        recipe_named("finetune_storng")


@pytest.mark.parametrize("name", MODERN)
def test_modern_recipes_say_how_they_are_run_and_what_came_out(name: str) -> None:
    about = EVERYTHING[name].about
    assert f"--recipe {name}" in about
    assert "Result:" in about


def test_the_strong_recipes_use_what_the_field_recommends() -> None:
    for recipe in (modern.scratch_strong(), modern.finetune_strong()):
        chosen = recipe.augmentation
        assert (chosen.policy, chosen.mixup_alpha > 0, chosen.cutmix_alpha > 0) == ("trivialaugment", True, True)
        assert recipe.ema_decay
        assert recipe.stochastic_depth_prob
        assert (recipe.schedule.name, recipe.schedule.warmup_epochs > 0) == ("cosine", True)
    assert modern.finetune_strong().optimizer.layer_decay < 1


def test_gradual_unfreezing_reaches_the_stem_before_training_ends_and_spans_ulmfits_rates() -> None:
    """Ten parts from the stem to the classifier, one an epoch; rates fall by about 2.6^4 over nine of them."""
    recipe = modern.finetune_gradual()
    assert recipe.gradual_unfreezing_epochs is not None
    assert 9 * recipe.gradual_unfreezing_epochs < recipe.epochs / 2
    assert recipe.optimizer.layer_decay**-9 == pytest.approx(2.6**4, rel=0.1)


def test_cifar10s_rate_is_wide_resnets_scaled_to_the_batch() -> None:
    recipe = modern.cifar10_scratch()
    assert recipe.optimizer.learning_rate == pytest.approx(0.1 * recipe.batch_size / 128)
    assert (recipe.optimizer.momentum, recipe.optimizer.nesterov, recipe.optimizer.weight_decay) == (0.9, True, 5e-4)
    assert recipe.augmentation.translate * 32 == 4  # pixels


def test_the_documentation_lists_every_recipe_with_its_numbers() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    listed = {row[0].strip("`"): row[1:7] for row in rows if len(row) == 8}
    assert set(listed) == set(EVERYTHING)
    for name, entry in EVERYTHING.items():
        recipe, optimizer = entry.recipe, entry.recipe.optimizer
        numbers = [str(recipe.epochs), str(recipe.batch_size), optimizer.name, f"{optimizer.learning_rate:g}"]
        numbers.append(recipe.schedule.name)
        if recipe.protocol == "linear" and recipe.solver == "lbfgs":
            numbers = ["-", "-", "lbfgs", "-", "-"]
        assert listed[name] == [recipe.protocol, *numbers]
