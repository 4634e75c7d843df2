"""What an experiment of the study consists of: a recipe, the figures that the study prints, and our choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from foray.recipes.recipe import Recipe


class Choice(NamedTuple):
    """Our value for what the study does not print, and why."""

    value: object
    reason: str


@dataclass(frozen=True)
class Printed:
    """One figure of the study. `top1`: on validation images, in [0, 1]; None where it has words alone."""

    data: str
    model: str
    epochs: int | None
    top1: float | None
    resolution: int | None = None  # pixels; None: not printed
    words: str = ""


@dataclass(frozen=True)
class StudyRecipe:
    """One experiment. `expected`: what our run of it should come to; `unstated`: key -> our choice."""

    name: str
    experiment: str
    recipe: Recipe
    printed: tuple[Printed, ...]
    expected: str
    stated: tuple[str, ...]
    unstated: Mapping[str, Choice]
