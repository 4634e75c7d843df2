"""The study's learning curves: figure 1 redrawn, and the shape of a curve, by stated rules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from foray.records import EpochRow
from foray.records.quantities import format_percent
from foray.report.drawing import COLOURS, MUTED, drawing_style, new_figure, settle
from foray.reproduce.results_folder import Result, RunResult

RUNS = {
    "deepweeds-mobilenet-frozen": ("Frozen backbone (as the text cites it)", 0.7995),
    "deepweeds-mobilenet-whole": ('"No frozen weights" (as the caption has it)', 0.89),
}


def figure1(results: Mapping[str, Sequence[Result]], *, mini: bool) -> Figure | None:
    """Two rows of accuracy and loss over epochs, first seed of each run; None where neither was run.

    The study's printed end point is drawn as a line, because its curves are not available as numbers.
    """
    drawn = [
        (title, printed, found[0])
        for role, (title, printed) in RUNS.items()
        if (found := results.get(role)) and isinstance(found[0], RunResult)
    ]
    if not drawn:
        return None
    with drawing_style():
        figure, axes = new_figure(9.2, 3.1, 2 * len(drawn))
        for i, (title, printed, result) in enumerate(drawn):
            assert isinstance(result, RunResult)
            _accuracy(axes[2 * i], result.history, None if mini else printed)
            _loss(axes[2 * i + 1], result.history)
            axes[2 * i].set_title(title, loc="left", fontsize=9)
        settle(figure)
    return figure


def _accuracy(axes: Axes, history: Sequence[EpochRow], printed: float | None) -> None:
    epochs = range(1, len(history) + 1)
    axes.plot(epochs, [_or_gap(row.train_top1, 100) for row in history], color=COLOURS[1], ls=":", label="train")
    axes.plot(epochs, [_or_gap(row.val_top1, 100) for row in history], color=COLOURS[0], label="val")
    if printed is not None:
        axes.axhline(100 * printed, color=MUTED, lw=1, label=f"printed {100 * printed:.4g} %")
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("Accuracy, %")
    axes.legend(fontsize=7.5)


def _loss(axes: Axes, history: Sequence[EpochRow]) -> None:
    epochs = range(1, len(history) + 1)
    axes.plot(epochs, [row.train_loss for row in history], color=COLOURS[1], ls=":", label="train")
    axes.plot(epochs, [_or_gap(row.val_loss, 1) for row in history], color=COLOURS[0], label="val")
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("Loss")
    axes.legend(fontsize=7.5)


def _or_gap(value: float | None, scale: float) -> float:
    return float("nan") if value is None else scale * value


GAIN = 0.02  # change that counts as a rise
HIGH = 0.9  # train accuracy that counts as high


def shape_of(history: Sequence[EpochRow], shape: Literal["overfits", "keeps rising"]) -> tuple[bool, str]:
    """Whether a curve has the shape, and its description. Epochs are quartered, the first quarter rounded up."""
    train = [row.train_top1 for row in history if row.train_top1 is not None]
    val = [row.val_top1 for row in history if row.val_top1 is not None]
    if len(train) < 2 or len(val) < 2:
        return False, f"Too few epochs to see a shape: {len(history)}."
    quarter = math.ceil(len(train) / 4)
    if shape == "overfits":
        gained, moved = train[-1] - train[quarter - 1], val[-1] - val[quarter - 1]
        said = (
            f"From epoch {quarter} to {len(train)} train goes from {format_percent(train[quarter - 1])} to "
            f"{format_percent(train[-1])} and val from {format_percent(val[quarter - 1])} to {format_percent(val[-1])}."
        )
        return gained >= GAIN and abs(moved) < GAIN, said
    early, late = fmean(val[:quarter]), fmean(val[-quarter:])
    said = (
        f"Train is at {format_percent(max(train[:quarter]))} within the first {quarter} epochs; val is "
        f"{format_percent(early)} on average over these and {format_percent(late)} over the last {quarter}."
    )
    return max(train[:quarter]) >= HIGH and late > early, said
