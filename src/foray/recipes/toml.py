"""A recipe as text: recipe.toml, and changes as `optimizer.learning_rate=0.01`. Unknown keys are errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from foray.errors import ForayError, RecipeError
from foray.parsing import parse_toml, shortened
from foray.recipes.optimizer import OPTIMIZERS
from foray.recipes.recipe import RECIPE_ADAPTER, RECIPES, Augmentation, RateSchedule, Recipe
from foray.regular_files import read_regular_text


def recipe_toml(recipe: Recipe) -> str:
    """The recipe as TOML, every number spelled out. What is None (the architecture's own) is left out."""
    tables = recipe.model_dump(mode="json")
    lines = _lines({key: value for key, value in tables.items() if not isinstance(value, dict)})
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *_lines(table)]
    return "\n".join(lines) + "\n"


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe. Raises ForayError naming the file and the key that is unknown, missing or out of range."""
    try:
        tables = parse_toml(read_regular_text(path))
    except OSError as error:
        raise ForayError(f"Cannot read the recipe {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise ForayError(f"{path} is not a recipe: {error}.") from error
    return validated(tables, str(path))


def validated(tables: Mapping[str, Any], where: str) -> Recipe:
    """A recipe of these keys. Raises ForayError naming the first that is unknown, missing or out of range."""
    try:
        return RECIPE_ADAPTER.validate_python(dict(tables))
    except ValidationError as error:
        raise RecipeError(where, _first_problem(error)) from error


def _lines(table: Mapping[str, Any]) -> list[str]:
    # JSON and TOML spell strings, numbers, booleans and flat lists alike.
    return [f"{key} = {json.dumps(value)}" for key, value in table.items() if value is not None]


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    known, path = _place(problem["loc"])
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"unknown key {shortened(key)!r}. Known here: {', '.join(known)}."
    if problem["type"] == "value_error":  # of keys that do not go together
        return f"{problem['msg'].removeprefix('Value error, ')}."
    if problem["type"] == "missing":
        return f"the key {key!r} is missing."
    if problem["type"] in ("union_tag_not_found", "union_tag_invalid"):
        tag = problem["ctx"]["discriminator"].strip("'")
        given = problem["input"].get(tag)
        key = ".".join([*path, tag])
        if given is None:
            return f"the key {key!r} is missing."
        *kinds, last = problem["ctx"].get("expected_tags", "a word").split(", ")
        return f"{key} = {shortened(repr(given))} does not fit: Input should be {', '.join(kinds)} or {last}."
    return f"{key} = {shortened(repr(problem['input']))} does not fit: {problem['msg']}."


def _place(location: Sequence[int | str]) -> tuple[list[str], list[str]]:
    """The keys of the table that an error lies in, and the path of its key, without pydantic's names of variants."""
    if not location:
        return [], []
    protocol, *path = map(str, location)
    if len(path) > 1 and path[0] == "optimizer":
        keys = next(kind.keys() for kind in OPTIMIZERS if kind.kind() == path[1])
        return keys, [path[0], *path[2:]]
    tables: dict[str, type[BaseModel]] = {"schedule": RateSchedule, "augmentation": Augmentation}
    if len(path) > 1 and path[0] in tables:
        return list(tables[path[0]].model_fields), path
    return next(kind.keys() for kind in RECIPES if kind.kind() == protocol), path


def changed(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """`recipe` with every `key=value` of `settings`; keys of tables are dotted, values are written as in TOML.

    A bare word is a string: `optimizer.name=sgd`. Raises ForayError for a setting without "=", an unknown key, and a
    value that does not fit.
    """
    tables: dict[str, Any] = recipe.model_dump(mode="json")
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ForayError(
                f"`changes` {shortened(setting)}: write key=value, for example optimizer.learning_rate=0.01."
            )
        *names, last = key.strip().split(".")
        table: Any = tables
        for name in names:
            table = table.get(name) if isinstance(table, dict) else None
        if not isinstance(table, dict):
            raise ForayError(f"`changes` {shortened(setting)}: a recipe has no table {shortened('.'.join(names))!r}.")
        table[last] = _value(value.strip())
    return validated(tables, "`changes`") if settings else recipe


def _value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}")["value"]
    except ValueError:
        return text
