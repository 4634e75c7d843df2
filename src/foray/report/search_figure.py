"""The figure of a scaling search: accuracy over shares of depth, width and resolution, and its intervals."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foray.records import ScaledCandidate, ScalingSearch, write_bytes
from foray.report.drawing import COLOURS, MUTED, drawing_style, new_figure, render, settle

_NEAR = 0.12  # sides of the triangle
_CORNERS = {"depth": (0.0, 0.0), "width": (1.0, 0.0), "resolution": (0.5, math.sqrt(3) / 2)}


def write_search_figure(search: ScalingSearch, folder: Path) -> Path:
    """Writes scaling_search.svg and .png into `folder`; returns the path of the PNG."""
    figure = draw_search(search)
    write_bytes(folder / "scaling_search.svg", render(figure, "svg"))
    path = folder / "scaling_search.png"
    write_bytes(path, render(figure, "png"))
    return path


def draw_search(search: ScalingSearch) -> Figure:
    """Left: the triangle of shares, one dot per network, coloured by mean accuracy on val. Right: the intervals."""
    trained = [row for row in search.candidates if row.val is not None]
    with drawing_style():
        figure, (triangle, ranking) = new_figure(10.0, 1.6 + 0.32 * max(8, len(trained)), columns=2)
        _draw_triangle(figure, triangle, [row for row in trained if row.shares is not None], search.best)
        _draw_ranking(ranking, trained)
        figure.legend(*ranking.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        data, seeds = search.dataset, len(search.seeds)
        figure.suptitle(
            f"Twice the MACs of {search.proxy}, spent in {len(search.candidates) - 1} ways: val of {data.name}, "
            f"{seeds} {'seed' if seeds == 1 else 'seeds'} (* nearest to Tan & Le's 1.2, 1.1, 1.15)",
            fontsize=10,
        )
        settle(figure)
    return figure


def place(shares: tuple[float, float, float]) -> tuple[float, float]:
    """Position of shares of depth, width and resolution in the triangle."""
    corners = _CORNERS.values()
    x = sum(share * corner[0] for share, corner in zip(shares, corners, strict=True))
    return x, sum(share * corner[1] for share, corner in zip(shares, corners, strict=True))


def _draw_triangle(figure: Figure, axes: Axes, rows: list[ScaledCandidate], best: str | None) -> None:
    axes.set_aspect("equal")
    axes.set_axis_off()
    outline = [*_CORNERS.values(), _CORNERS["depth"]]
    axes.plot([x for x, _ in outline], [y for _, y in outline], color=MUTED, linewidth=1, zorder=1)
    for name, (x, y) in _CORNERS.items():
        above = y > 0
        axes.annotate(
            f"all into {name}", (x, y), xytext=(0, 16 if above else -22), textcoords="offset points", ha="center",
            color=MUTED,
        )  # fmt: skip
    axes.set_xlim(-0.15, 1.15)
    axes.set_ylim(-0.15, 1.05)
    places = [place(row.shares) for row in rows if row.shares]
    values = [100 * row.val.value for row in rows if row.val]
    if not places:
        return
    dots = axes.scatter(
        [x for x, _ in places], [y for _, y in places], c=values, cmap="viridis", s=150, zorder=2,
        edgecolors=["#000000" if row.model == best else "#FFFFFF" for row in rows],
        linewidths=[2.0 if row.model == best else 0.8 for row in rows],
    )  # fmt: skip
    for at, (row, (x, y), value) in enumerate(zip(rows, places, values, strict=True)):
        crowded = any(math.dist((x, y), before) < _NEAR for before in places[:at])  # the other's number is on the right
        axes.annotate(
            f"{value:.1f}", (x, y), xytext=(-11 if crowded else 11, 0), textcoords="offset points", va="center",
            ha="right" if crowded else "left", fontsize=8.5, fontweight="bold" if row.model == best else "normal",
        )  # fmt: skip
    figure.colorbar(dots, ax=axes, shrink=0.7, label="mean accuracy on val (%)")


def _draw_ranking(axes: Axes, trained: list[ScaledCandidate]) -> None:
    ordered = sorted(trained, key=lambda row: row.val.value if row.val else 0.0)
    colours = {"proxy": MUTED, "one dimension": COLOURS[1], "several dimensions": COLOURS[0]}
    named: set[str] = set()
    for y, row in enumerate(ordered):
        if row.val is None:
            continue
        value, low, high = 100 * row.val.value, 100 * row.val.low, 100 * row.val.high
        axes.errorbar(
            [value], [y], xerr=[[value - low], [high - value]], color=colours[row.kind], marker="o", capsize=3,
            linestyle="none", label=None if row.kind in named else _LABELS[row.kind],
        )  # fmt: skip
        named.add(row.kind)
    axes.set_yticks(range(len(ordered)), labels=[_label(row) for row in ordered], fontsize=8.5)
    axes.set_xlabel("Accuracy on val (%), 95 % interval")


_LABELS = {"proxy": "the proxy", "one dimension": "one dimension alone", "several dimensions": "several dimensions"}


def _label(row: ScaledCandidate) -> str:
    paper = "* " if row.published else ""
    return f"{paper}d x{row.depth:.2f}  w x{row.width:.2f}  r x{row.resolution:.2f}   MACs x{row.work:.2f}"
