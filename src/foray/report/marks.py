"""How a candidate is told apart in every drawing: by colour and by marker, both fixed by its position.

Colours are Okabe and Ito's (2008), distinguishable with every common colour vision deficiency, yellow left out as too
faint on white; markers repeat what colour says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
class Mark:
    """`colour` for paper, `token` for the page's palette; `symbol` is plotly's name, `marker` matplotlib's."""

    colour: str
    token: str
    symbol: str
    marker: str


def mark(position: int) -> Mark:
    """The mark of the candidate at `position`: 8 colours by 7 markers, 56 candidates before two look alike."""
    colour = position % len(COLOURS)
    symbol, marker = _MARKERS[position % len(_MARKERS)]
    return Mark(COLOURS[colour], f"@c{colour}", symbol, marker)


def file_stem(kind: str, name: str = "") -> str:
    """File name of a figure without its ending: 'confusion_mobilenet_v2'; what file systems dislike becomes '_'."""
    return re.sub(r"[^\w.-]+", "_", f"{kind}_{name}" if name else kind)
