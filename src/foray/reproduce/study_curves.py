"""The study's learning curves: figure 1 redrawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from foray.records import EpochRow
from foray.report.drawing import COLOURS, MUTED, drawing_style, new_figure, settle
from foray.reproduce.arithmetic import printed_top1
from foray.reproduce.results_folder import Result, RunResult

# By role: title, and the recipe and epochs of the printed accuracy.
RUNS = {
    "deepweeds-mobilenet-frozen": ("Frozen backbone (as the text cites it)", "study_mobilenet_linear", 10),
    "deepweeds-mobilenet-whole": ('"No frozen weights" (as the caption has it)', "study_mobilenet_whole", 20),
}


def figure1(results: Mapping[str, Sequence[Result]], *, mini: bool) -> Figure | None:
    """Two rows of accuracy and loss over epochs, first seed of each run; None where neither was run.

    The study's printed end point is drawn as a line, because its curves are not available as numbers.
    """
    drawn = [
        (title, printed_top1(recipe, "deepweeds", "mobilenet_v2", epochs), found[0])
        for role, (title, recipe, epochs) in RUNS.items()
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
