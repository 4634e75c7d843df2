"""What all charts share: colours and markers, plotly's charts for the page, matplotlib's still figures.

A candidate keeps one colour and one marker in every chart, both fixed by its position. Colours are Okabe and Ito's
(2008), distinguishable with every common colour vision deficiency, yellow left out as too faint on white; markers
repeat what colour says. Interactive charts name the page's colours ("@c0", "@muted"), which the browser resolves for
light and dark, and escape text from outside, because plotly reads some HTML in labels. The same data give the same
bytes of a still figure: SVG ids are salted with a constant and no date is written.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#B7791F", "#3A9BD9", "#6B5B95", "#555555")
DARK_COLOURS = ("#4FA8E0", "#FF8B4D", "#2EC79B", "#E091CF", "#E3B04B", "#8CCBF2", "#A999D6", "#B5B5B5")
_MARKERS = (
    ("circle", "o"),
    ("square", "s"),
    ("diamond", "D"),
    ("triangle-up", "^"),
    ("triangle-down", "v"),
    ("hexagon", "h"),
    ("pentagon", "p"),
)


@dataclass(frozen=True)
class PointStyle:
    """`colour` for paper, `token` for the page's palette; `symbol` is plotly's name, `marker` matplotlib's."""

    colour: str
    token: str
    symbol: str
    marker: str


def point_style(position: int) -> PointStyle:
    """The style of the candidate at `position`: 8 colours by 7 markers, 56 candidates before two look alike."""
    colour = position % len(COLOURS)
    symbol, marker = _MARKERS[position % len(_MARKERS)]
    return PointStyle(COLOURS[colour], f"@c{colour}", symbol, marker)


def file_stem(kind: str, name: str = "") -> str:
    """File name of a figure without its ending: 'confusion_mobilenet_v2'.

    Characters other than letters, digits and '._-' become '_'.
    """
    return re.sub(r"[^\w.-]+", "_", f"{kind}_{name}" if name else kind)


Json = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """One plot. `width`: at most, in pixels; None: the full width."""

    traces: list[Json]
    layout: Json
    width: int | None = None


@dataclass(frozen=True)
class View:
    """One of the views a reader switches between; `figure`: file stem of the same chart as a still figure."""

    label: str
    panels: list[Panel]
    figure: str
    note: str = ""


def literal(text: str) -> str:
    """Text escaped for plotly, which shows it unchanged."""
    return html.escape(text, quote=False)


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
    """The figure as the bytes of an SVG or of a PNG at 160 dots per inch.

    Its canvas draws it once; `savefig` would draw every figure that had a layout engine twice.
    """
    stream = io.BytesIO()
    figure.set_dpi(160)
    canvas: Any = FigureCanvasSVG(figure) if file_format == "svg" else FigureCanvasAgg(figure)
    with drawing_style():
        if file_format == "svg":
            canvas.print_svg(stream, metadata={"Date": None, "Creator": None})
        else:
            canvas.print_png(stream, metadata={"Software": None})
    return stream.getvalue()


@contextmanager
def drawing_style() -> Iterator[None]:
    """Context in which every figure is drawn and written."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")  # a PNG shows a box instead
        yield


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure of `width` x `height` inches with axes side by side."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, columns, column + 1) for column in range(columns)]


def settle(figure: Figure) -> None:
    """Computes the layout once, instead of once per file format."""
    engine = figure.get_layout_engine()
    assert engine is not None, "a figure is settled in drawing_style()"
    engine.execute(figure)
    figure.set_layout_engine("none")
