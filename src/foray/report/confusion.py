"""One candidate's confusion matrix and its classes, over all seeds; and the interactive chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from foray.errors import RunError
from foray.records import ClassMetrics, Estimate
from foray.records.quantities import format_percent
from foray.report.comparison_folder import Entrant
from foray.report.drawing import Json, Panel, View, file_stem, literal

MAX_LABELLED_CELLS = 15  # classes up to which every cell of a confusion matrix carries its count
MAX_MATRIX_CLASSES = 100  # above, cells are too small to read and the page too large: the table of classes remains


@dataclass(frozen=True)
class ClassRow:
    """One class, mean over seeds. `n`: its images in the split. `recall`: mean of the runs' values and intervals."""

    name: str
    n: int
    recall: Estimate | None
    precision: float | None
    f1: float | None
    confused_with: str | None  # the most frequent wrong prediction for its images
    confused_share: float | None  # of its images, in [0, 1]


@dataclass(frozen=True)
class Confusion:
    """`counts[i][j]`: images of class i predicted as j, summed over `seeds` runs on the same `n` images of `split`."""

    model: str
    split: str
    n: int
    seeds: int
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    rows: tuple[ClassRow, ...]

    def share(self, i: int, j: int) -> float | None:
        """Of the images of class i, the share predicted as j; None for a class without images."""
        total = sum(self.counts[i])
        return self.counts[i][j] / total if total else None

    def worst_rows(self, most: int) -> list[ClassRow]:
        """Up to `most` classes, lowest recall first, classes without images last."""
        return sorted(self.rows, key=lambda row: row.recall.value if row.recall else 2.0)[:most]

    @property
    def fits_matrix(self) -> bool:
        """Whether the matrix can be drawn legibly."""
        return len(self.classes) <= MAX_MATRIX_CLASSES


def confusions(entrants: Sequence[Entrant], classes: Sequence[str], split: str = "test") -> list[Confusion]:
    """One for every candidate with finished runs that were scored on `split`.

    Raises RunError when a run has another number of classes than the comparison.
    """
    return [_confusion(entrant, tuple(classes), split) for entrant in entrants if entrant.metrics(split)]


def _confusion(entrant: Entrant, classes: tuple[str, ...], split: str) -> Confusion:
    metrics = entrant.metrics(split)
    matrices = [one.confusion for one in metrics]
    if any(len(matrix) != len(classes) for matrix in matrices):
        raise RunError(f"The runs of {entrant.name} do not have the comparison's {len(classes)} classes.")
    counts = tuple(
        tuple(sum(matrix[i][j] for matrix in matrices) for j in range(len(classes))) for i in range(len(classes))
    )
    rows = tuple(_class_row(i, [one.per_class[i] for one in metrics], counts[i], classes) for i in range(len(classes)))
    return Confusion(entrant.name, split, metrics[0].n, len(metrics), classes, counts, rows)


def _class_row(
    index: int, over_seeds: Sequence[ClassMetrics], counts: Sequence[int], classes: Sequence[str]
) -> ClassRow:
    missed = {j: count for j, count in enumerate(counts) if j != index and count}
    worst = max(missed, key=missed.__getitem__) if missed else None
    recalls = [one.recall for one in over_seeds if one.recall is not None]
    return ClassRow(
        name=classes[index],
        n=over_seeds[0].n,
        recall=_mean_estimate(recalls),
        precision=_mean([one.precision for one in over_seeds]),
        f1=_mean([one.f1 for one in over_seeds]),
        confused_with=None if worst is None else classes[worst],
        confused_share=None if worst is None else missed[worst] / sum(counts),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _mean_estimate(estimates: Sequence[Estimate]) -> Estimate | None:
    if not estimates:
        return None
    first = estimates[0]
    return first.model_copy(
        update={
            "value": fmean(one.value for one in estimates),
            "low": fmean(one.low for one in estimates),
            "high": fmean(one.high for one in estimates),
        }
    )


def confusion_view(confusion: Confusion) -> View:
    """Shares of each true class by predicted class; counts in the cells (few classes) and on hover."""
    names = _short_names(confusion.classes)
    k = len(names)
    shares = [[confusion.share(i, j) for j in range(k)] for i in range(k)]
    hover = [[_cell_text(confusion, i, j) for j in range(k)] for i in range(k)]
    trace: Json = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": shares,
        "zmin": 0,
        "zmax": 1,
        "hovertext": hover,
        "hoverinfo": "text",
        "colorscale": [[0, "@heat0"], [0.25, "@heat1"], [1, "@heat2"]],
        "colorbar": {"title": {"text": "share"}, "tickformat": ".0%", "thickness": 10, "outlinewidth": 0},
        "xgap": 1 if k <= 40 else 0,
        "ygap": 1 if k <= 40 else 0,
    }
    if k <= MAX_LABELLED_CELLS:
        trace |= {"text": [[str(count or "") for count in row] for row in confusion.counts], "texttemplate": "%{text}"}
    axis = {"type": "category", "showgrid": False, "nticks": 50, "tickmode": "linear" if k <= 50 else "auto"}
    layout = {
        "height": min(max(340, 36 * k + 170), 860),
        "showlegend": False,
        "xaxis": {**axis, "title": {"text": "Predicted"}, "tickangle": -45},
        "yaxis": {**axis, "title": {"text": "True"}, "autorange": "reversed"},
    }
    panel = Panel([trace], layout, width=min(max(460, 44 * k + 300), 1100))
    return View(confusion.model, [panel], file_stem("confusion", confusion.model))


def _cell_text(confusion: Confusion, i: int, j: int) -> str:
    total, share = sum(confusion.counts[i]), confusion.share(i, j)
    of = "no images" if share is None else f"{confusion.counts[i][j]:,} of {total:,} ({format_percent(share)})"
    return f"true {literal(confusion.classes[i])}<br>predicted {literal(confusion.classes[j])}<br>{of}"


def _short_names(classes: Sequence[str], length: int = 20) -> list[str]:
    """Class names short enough for an axis, escaped, still unique."""
    shown: dict[str, None] = {}
    for number, name in enumerate(classes):
        short = name if len(name) <= length else f"{name[: length - 1]}…"
        shown[literal(short if literal(short) not in shown else f"{short} #{number}")] = None
    return list(shown)
