"""`optimizer.learning_rate=0.01`: single numbers of a recipe, changed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foray.errors import ForayError
from foray.parsing import parse_toml, shortened
from foray.recipes.recipe import Recipe
from foray.recipes.toml import validated


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
