"""Training protocols as data: the `Recipe`, all recipes by name, and recipe.toml."""

from foray.recipes.catalogue import NamedRecipe, recipe_file, recipe_named, recipes_by_name
from foray.recipes.optimizer import SGD, AdamW, Optimizer, RMSprop
from foray.recipes.presets import preset
from foray.recipes.recipe import (
    RECIPE_ADAPTER,
    Augmentation,
    FinetuneRecipe,
    LinearRecipe,
    NetworkRecipe,
    PartialRecipe,
    Precision,
    Protocol,
    RateSchedule,
    Recipe,
    ScratchRecipe,
)
from foray.recipes.study import STUDY
from foray.recipes.study_recipe import Choice, Printed, StudyRecipe
from foray.recipes.toml import changed, read_recipe, recipe_toml

__all__ = [
    "RECIPE_ADAPTER", "SGD", "STUDY", "AdamW", "Augmentation", "Choice", "FinetuneRecipe", "LinearRecipe",
    "NamedRecipe", "NetworkRecipe", "Optimizer", "PartialRecipe", "Precision", "Printed", "Protocol", "RMSprop",
    "RateSchedule", "Recipe", "ScratchRecipe", "StudyRecipe",
    "changed", "preset", "read_recipe", "recipe_file", "recipe_named", "recipe_toml", "recipes_by_name",
]  # fmt: skip
