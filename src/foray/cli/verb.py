"""One verb of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from foray.parsing import home_expanded


class Verb(TyperCommand):
    """Expands a leading `~` in paths, which a shell does not do in `--out=~/runs`."""

    def invoke(self, ctx: Any) -> Any:
        ctx.params = {name: _expanded(value) for name, value in ctx.params.items()}
        return super().invoke(ctx)


def _expanded(value: Any) -> Any:
    if isinstance(value, Path):
        return home_expanded(value)
    if isinstance(value, list | tuple):
        return type(value)(map(_expanded, value))
    return value
