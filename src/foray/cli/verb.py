"""One verb of the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any, get_type_hints

from typer.core import TyperCommand

from foray.cli.terminal import named_options, with_options
from foray.errors import ForayError, RecipeError
from foray.parsing import home_expanded

# Parameters of the library whose option has another name than theirs.
_OTHER_NAMES = {
    "wait_seconds": "wait",
    "batches": "batch",
    "max_latency_ms": "max_latency",
    "max_memory_bytes": "max_memory",
    "max_file_bytes": "max_file",
}


class Verb(TyperCommand):
    """Expands a leading `~` in paths, which a shell does not do in `--out=~/runs`, and names parameters in messages by
    the options of this verb.
    """

    def invoke(self, ctx: Any) -> Any:
        ctx.params = {name: _expanded(value) for name, value in ctx.params.items()}
        with named_options(self.options_by_parameter()):
            try:
                return super().invoke(ctx)
            except ForayError as error:
                of_a_recipe = error.problem if isinstance(error, RecipeError) else ""  # whose keys are no options
                error.args = (with_options(str(error).removesuffix(of_a_recipe)) + of_a_recipe,)
                raise

    def options_by_parameter(self) -> dict[str, str]:
        """By parameter: the option, `--set` of `changes`, or the argument as the usage shows it, DATA."""
        own = {
            str(one.name): max(one.opts, key=len) if one.param_type_name == "option" else str(one.metavar)
            for one in self.params
        }
        return own | {name: own[ours] for name, ours in _OTHER_NAMES.items() if ours in own}


def _expanded(value: Any) -> Any:
    if isinstance(value, Path):
        return home_expanded(value)
    if isinstance(value, list | tuple):
        return type(value)(map(_expanded, value))
    return value


def with_groups(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb as typer takes it: a parameter that is a dataclass is replaced by its fields, an option each.

    The parameters of `verb` are keyword-only, so that options with and without a default may follow each other.
    """
    hints = get_type_hints(verb, include_extras=True)
    groups = {name: hints[name] for name in inspect.signature(verb).parameters if is_dataclass(hints[name])}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        if name in groups:
            parameters += _options_of(groups[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name]))

    @wraps(verb)
    def flat(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        verb(**given)

    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return flat


def _options_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(group)
    ]
