"""A chart as plotly's JSON: plain traces and a layout, which the page's script themes and draws.

Colours are names of the page's palette ("@c0", "@muted"), resolved in the browser, so that one chart serves light and
dark. Text that came from a user is escaped, because plotly reads some HTML in labels.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """One plot. `width`: the most it may take, pixels; None for all there is."""

    traces: list[Json]
    layout: Json
    width: int | None = None


@dataclass(frozen=True)
class View:
    """One of the views a reader switches between; `figure` is the file stem of the still picture of the same."""

    label: str
    panels: list[Panel]
    figure: str
    note: str = ""


def literal(text: str) -> str:
    """Text as plotly shows it letter by letter, whatever it holds."""
    return html.escape(text, quote=False)
