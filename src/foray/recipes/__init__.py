"""Training protocols as data: the `Recipe`, all recipes by name, and recipe.toml."""

from foray.recipes.catalogue import NamedRecipe, recipe_file, recipe_named, recipes_by_name
from foray.recipes.changes import changed
from foray.recipes.presets import preset
from foray.recipes.recipe import Augmentation, Optimizer, Precision, Protocol, Recipe, Schedule
from foray.recipes.study import STUDY, Choice, Printed, StudyRecipe
from foray.recipes.toml import read_recipe, recipe_toml

__all__ = [
    "STUDY", "Augmentation", "Choice", "NamedRecipe", "Optimizer", "Precision", "Printed", "Protocol", "Recipe",
    "Schedule", "StudyRecipe",
    "changed", "preset", "read_recipe", "recipe_file", "recipe_named", "recipe_toml", "recipes_by_name",
]  # fmt: skip
