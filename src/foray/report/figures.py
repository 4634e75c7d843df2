"""The still figures (matplotlib), for papers, for print, and for a page without scripts.

How they are drawn and written: foray.report.drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foray.plain_text import one_line
from foray.records.quantities import format_points
from foray.report.confusion import Confusion
from foray.report.drawing import BAD, COLOURS, MUTED, drawing_style, file_stem, new_figure, point_style, settle
from foray.report.learning_curves import Curve, LearningCurves
from foray.report.paired_comparisons import PairedComparison
from foray.report.tradeoff import Point, Tradeoff
from foray.report.tradeoff_chart import Placement, label_of, place_labels


def draw_figures(
    tradeoffs: Sequence[Tradeoff],
    curves: Sequence[LearningCurves],
    confusions: Sequence[Confusion],
    pairs: Sequence[PairedComparison],
    tolerance: float,
) -> dict[str, Figure]:
    """Every figure of a report by its file stem; figures without data are left out."""
    figures: dict[str, Figure] = {}
    with drawing_style():
        for tradeoff in tradeoffs:
            figures[file_stem("accuracy_vs", tradeoff.axis.key)] = _tradeoff_figure(tradeoff)
        if len(curves) > 1:
            figures[file_stem("curves")] = _all_curves_figure(curves)
        for one in curves:
            figures[file_stem("curves", one.model)] = _curves_figure(one)
        for confusion in confusions:
            if confusion.fits_matrix:
                figures[file_stem("confusion", confusion.model)] = _confusion_figure(confusion)
        if pairs:
            figures[file_stem("paired")] = _paired_figure(pairs, tolerance)
        for figure in figures.values():
            settle(figure)
    return figures


def _tradeoff_figure(tradeoff: Tradeoff) -> Figure:
    figure, (axes,) = new_figure(7.2, 4.4)
    if len(tradeoff.front) > 1:
        x, y = [point.x for point in tradeoff.front], [100 * point.y.value for point in tradeoff.front]
        axes.step(x, y, where="post", color=MUTED, linestyle=":", label="Pareto front")
    places = place_labels(tradeoff)
    for point in tradeoff.points:
        _draw_point(axes, point, places[point.model])
    if tradeoff.is_log:
        axes.set_xscale("log")
        ticker = mpl.ticker
        axes.xaxis.set_major_locator(ticker.FixedLocator(tradeoff.log_ticks))
        axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
    if tradeoff.shown_limit is not None:
        bound = tradeoff.axis.write(tradeoff.shown_limit * tradeoff.axis.unit_size)
        axes.axvline(tradeoff.shown_limit, color=BAD, linestyle="--", linewidth=1.2, label=f"bound {bound}")
    axes.set_xlim(*tradeoff.x_range)
    axes.set_ylim(*(100 * end for end in tradeoff.y_range))
    axes.set_xlabel(tradeoff.axis.title)
    axes.set_ylabel("Selection accuracy (%), 95 % interval")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right")
    return figure


def _draw_point(axes: Axes, point: Point, place: Placement) -> None:
    style, y = point_style(point.position), 100 * point.y.value
    inside = point.status.is_in
    color = style.colour if inside else MUTED
    axes.errorbar(
        [point.x],
        [y],
        yerr=[[y - 100 * point.y.low], [100 * point.y.high - y]],
        xerr=None if point.x_high is None else [[0.0], [point.x_high - point.x]],
        color=color,
        marker=style.marker,
        markersize=8,
        markerfacecolor=color if inside else "none",
        capsize=3,
        linewidth=1.2,
    )
    left, below = place.horizontal == "left", place.vertical == "bottom"
    axes.annotate(
        label_of(point),
        (point.x, y),
        xytext=(-7 if left else 7, -6 if below else 6),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top" if below else "bottom",
        color=color,
        fontweight="bold" if point.status.kind == "pick" else "normal",
    )


def _all_curves_figure(curves: Sequence[LearningCurves]) -> Figure:
    figure, (accuracy, loss) = new_figure(9.0, 3.8, columns=2)
    for one in curves:
        color = point_style(one.position).colour
        _draw_curve(accuracy, one.val_top1, one.model, color, scale=100)
        _draw_curve(loss, one.val_loss, one.model, color)
    return _finish_curves(figure, accuracy, loss, "on val")


def _curves_figure(one: LearningCurves) -> Figure:
    figure, (accuracy, loss) = new_figure(9.0, 3.8, columns=2)
    _draw_curve(accuracy, one.val_top1, "val", COLOURS[0], scale=100)
    _draw_curve(accuracy, one.train_top1, "train", COLOURS[1], scale=100, linestyle=":")
    _draw_curve(loss, one.val_loss, "val", COLOURS[0])
    _draw_curve(loss, one.train_loss, "train", COLOURS[1], linestyle=":")
    figure.suptitle(one.model, fontsize=10)
    return _finish_curves(figure, accuracy, loss, "")


def _draw_curve(axes: Axes, curve: Curve, label: str, color: str, *, scale: float = 1, linestyle: str = "-") -> None:
    if len(curve.seeds) > 1:
        for series in curve.seeds:
            epochs, values = [epoch for epoch, _ in series], [scale * value for _, value in series]
            axes.plot(epochs, values, color=color, linewidth=0.8, alpha=0.4, linestyle=linestyle)
    if curve.mean:
        epochs, values = [epoch for epoch, _ in curve.mean], [scale * value for _, value in curve.mean]
        marker = "o" if len(epochs) < 20 else ""
        bold: dict[str, Any] = {"linewidth": 2, "marker": marker, "markersize": 3, "label": label}
        axes.plot(epochs, values, color=color, linestyle=linestyle, **bold)


def _finish_curves(figure: Figure, accuracy: Axes, loss: Axes, where: str) -> Figure:
    for axes, name in ((accuracy, "Accuracy (%)"), (loss, "Loss")):
        axes.set_xlabel("Epoch")
        axes.set_ylabel(f"{name} {where}".strip())
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    handles, labels = loss.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(handles), 4))
    return figure


def _confusion_figure(confusion: Confusion) -> Figure:
    k = len(confusion.classes)
    side = min(max(4.0, 0.42 * k + 2.2), 14.0)
    figure, (axes,) = new_figure(side + 0.6, side)
    shares = [[confusion.share(i, j) or 0.0 for j in range(k)] for i in range(k)]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the true class")
    axes.grid(False)
    names, small = [_short(name) for name in confusion.classes], 8 if k <= 40 else 5
    axes.set_xticks(range(k), labels=names, rotation=60, ha="right", fontsize=small)
    axes.set_yticks(range(k), labels=names, fontsize=small)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    if k <= 20:
        for i, row in enumerate(confusion.counts):
            for j, count in enumerate(row):
                if count:
                    color = "white" if shares[i][j] > 0.5 else "#222222"
                    axes.text(j, i, f"{count}", ha="center", va="center", fontsize=7, color=color)
    seeds = f", {confusion.seeds} seeds summed" if confusion.seeds > 1 else ""
    axes.set_title(f"{confusion.model}, {confusion.split}, n = {confusion.n:,}{seeds}", fontsize=9)
    return figure


def _paired_figure(pairs: Sequence[PairedComparison], tolerance: float) -> Figure:
    figure, (axes,) = new_figure(7.2, 1.5 + 0.7 * len(pairs))
    styles = {
        "selection": (-0.13, COLOURS[0], "o", "full", "decides"),
        "test": (0.13, COLOURS[1], "D", "none", "test (check only)"),
    }
    named: set[str] = set()
    for row, pair in enumerate(pairs):
        for side, loss in pair.sides:
            offset, color, marker, fill, name = styles[side]
            axes.errorbar(
                [100 * loss.loss],
                [row + offset],
                xerr=[[100 * (loss.loss - loss.lower)], [100 * (loss.upper - loss.loss)]],
                color=color,
                marker=marker,
                fillstyle=fill,
                capsize=3,
                linestyle="none",
                label=None if side in named else name,
            )
            named.add(side)
    axes.axvline(0, color=MUTED, linewidth=1)
    limit = f"tolerance {format_points(tolerance)}"
    axes.axvline(100 * tolerance, color=BAD, linestyle="--", linewidth=1.2, label=limit)
    axes.set_yticks(range(len(pairs)), labels=[f"{pair.candidate}\nvs {pair.reference}" for pair in pairs])
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_xlabel("Accuracy the candidate loses (points), one-sided bounds")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _short(name: str, length: int = 24) -> str:
    """On one line and without characters that SVG does not allow."""
    shown = one_line(name)
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"
