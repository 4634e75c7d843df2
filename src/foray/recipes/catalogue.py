"""All recipes by name: the protocols' presets, the modern ones, the study's; each as a file with its story above."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from foray.errors import UnknownNameError
from foray.recipes import modern, presets
from foray.recipes.recipe import Recipe
from foray.recipes.study import STUDY
from foray.recipes.study_recipe import Choice, Printed, StudyRecipe
from foray.recipes.toml import changed, recipe_toml

Group = Literal["protocol", "modern", "study"]

_WIDTH = 96  # characters of a comment's text


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe under its name. `about`: what it is and what to expect of it, lines of plain text."""

    name: str
    group: Group
    recipe: Recipe
    about: str


def recipes_by_name() -> Mapping[str, NamedRecipe]:
    """Every recipe, in the order they are listed."""
    functions: list[tuple[Group, Callable[[], Recipe]]] = [
        ("protocol", presets.scratch),
        ("protocol", presets.linear),
        ("protocol", presets.partial),
        ("protocol", presets.finetune),
        ("modern", modern.scratch_strong),
        ("modern", modern.cifar10_scratch),
        ("modern", modern.linear_exact),
        ("modern", modern.linear_views),
        ("modern", modern.partial_strong),
        ("modern", modern.finetune_strong),
        ("modern", modern.finetune_gradual),
    ]
    named = [NamedRecipe(make.__name__, group, make(), inspect.getdoc(make) or "") for group, make in functions]
    named += [NamedRecipe(entry.name, "study", entry.recipe, _about(entry)) for entry in STUDY.values()]
    return {entry.name: entry for entry in named}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name, as `foray recipes` lists it. Raises UnknownNameError, which suggests the nearest."""
    return _entry(name).recipe


def recipe_file(name: str, changes: Sequence[str] = ()) -> str:
    """A recipe as the text of a recipe.toml, its story in comments above. `changes`: `key=value`, named there too."""
    entry = _entry(name)
    story = f"{name}: {entry.about}"
    if changes:
        story += "\n\nChanged here: " + ", ".join(changes)
    comments = "\n".join(f"# {line}".rstrip() for line in story.splitlines())
    return f"{comments}\n\n{recipe_toml(changed(entry.recipe, changes))}"


def _entry(name: str) -> NamedRecipe:
    known = recipes_by_name()
    if name not in known:
        raise UnknownNameError("recipe", name, known, "`foray recipes` lists them.")
    return known[name]


def _about(entry: StudyRecipe) -> str:
    blocks = [
        _filled(entry.experiment),
        "Printed in the study (on validation images):",
        *(_filled(f"  {_printed(figure)}", indent=4) for figure in entry.printed),
        _filled(f"Expected: {entry.expected}"),
        _filled(f"Stated in the study: {', '.join(entry.stated)}."),
        "Unstated, with our value and its reason:",
        *(_filled(f"  {key} = {_value(choice)}: {choice.reason}.", indent=4) for key, choice in entry.unstated.items()),
    ]
    return "\n".join(blocks)


def _printed(figure: Printed) -> str:
    where = f"{figure.data}, {figure.model}" + (f" at {figure.resolution} px" if figure.resolution else "")
    said = [] if figure.top1 is None else [f"{100 * figure.top1:.4g} %"]
    said += [] if figure.epochs is None else [f"after {figure.epochs} epochs"]
    return f"{where}: " + "; ".join(part for part in (" ".join(said), figure.words) if part)


def _value(choice: Choice) -> str:
    return choice.value if isinstance(choice.value, str) else json.dumps(choice.value)


def _filled(text: str, indent: int = 0) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
