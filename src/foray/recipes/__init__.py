"""Training protocols as data: the `Recipe`, its presets, and recipe.toml."""

from foray.recipes.changes import changed
from foray.recipes.presets import preset
from foray.recipes.recipe import Augmentation, Optimizer, Precision, Protocol, Recipe, Schedule
from foray.recipes.toml import read_recipe, recipe_toml

__all__ = [
    "Augmentation", "Optimizer", "Precision", "Protocol", "Recipe", "Schedule",
    "changed", "preset", "read_recipe", "recipe_toml",
]  # fmt: skip
