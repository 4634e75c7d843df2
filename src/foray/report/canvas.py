"""What still figures are drawn on and written with (matplotlib).

The same data give the same bytes: SVG ids are salted with a constant and no date is written.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MUTED, BAD = "#7A818A", "#B3261E"

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "foray",
    "svg.fonttype": "none",  # text stays text: searchable, and in the reader's fonts where DejaVu lacks a letter
    "text.parse_math": False,  # a class may be called "$5 note$"
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8A9099",
    "axes.grid": True,
    "grid.color": "#E3E6EA",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def render(figure: Figure, file_format: Literal["svg", "png"]) -> bytes:
    """The figure as the bytes of an SVG or of a PNG at 160 dots per inch."""
    stream = io.BytesIO()
    metadata: Mapping[str, str | None] = {"Date": None, "Creator": None} if file_format == "svg" else {"Software": None}
    with drawing_style():
        figure.savefig(stream, format=file_format, dpi=160, metadata=metadata)
    return stream.getvalue()


@contextmanager
def drawing_style() -> Iterator[None]:
    """Every figure is drawn and written inside of this."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")  # a PNG shows a box instead
        yield


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure of `width` x `height` inches with axes side by side."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, columns, column + 1) for column in range(columns)]


def settle(figure: Figure) -> None:
    """Settles the layout once, not again for every file format."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
