"""What was taken for what: one candidate's confusion matrix and its classes, over all seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from foray.errors import RunError
from foray.records import ClassMetrics, Estimate
from foray.report.comparison_folder import Entrant

MAX_MATRIX_CLASSES = 100  # above, cells are too small to read and the page too large: the table of confusions remains


@dataclass(frozen=True)
class ClassRow:
    """One class, mean over seeds. `n`: its images in the split. `recall`: mean of the runs' values and intervals."""

    name: str
    n: int
    recall: Estimate | None
    precision: float | None
    f1: float | None
    confused_with: str | None  # the class that most of its missed images were taken for
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

    Raises RunError when a run knows another number of classes than the comparison.
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
