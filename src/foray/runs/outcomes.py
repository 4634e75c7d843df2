"""What the runs of one model came to: their records and predictions, side by side over seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.errors import RunError
from foray.records import Estimate, RunFolder, RunRecord
from foray.runs.many import TrainedRuns
from foray.runs.saved_predictions import read_predictions
from foray.statistics import mean_accuracy_interval


@dataclass(frozen=True, eq=False)
class ModelOutcome:
    """All finished runs of one model, in the order of the seeds."""

    model: str
    records: tuple[RunRecord, ...]
    folders: tuple[RunFolder, ...]

    @property
    def train_seconds(self) -> float | None:
        """Mean seconds of a run; None when no run knows."""
        totals = [record.total_seconds for record in self.records if record.total_seconds is not None]
        return float(np.mean(totals)) if totals else None

    def correct(self, split: str) -> npt.NDArray[np.bool_]:
        """(seeds, images); every seed must have seen the same images in the same order."""
        rows = [read_predictions(folder, split) for folder in self.folders]
        for row in rows[1:]:
            if not np.array_equal(row.image_ids, rows[0].image_ids):
                raise RunError(f"The runs of {self.model} were scored on different {split} images.")
        return np.stack([row.correct for row in rows])


def outcomes_of(trained: TrainedRuns, root: Path) -> dict[str, ModelOutcome]:
    """By model, of those whose runs were all trained below `root`; the groups of the runs are the models."""
    return {
        model: ModelOutcome(
            model,
            tuple(record for _, record in runs),
            tuple(RunFolder(root / run.folder) for run, _ in runs),
        )
        for model, runs in trained.done.items()
        if model not in trained.failures
    }


def estimate(correct: npt.NDArray[np.bool_]) -> Estimate:
    """Accuracy over seeds and images, with its interval; `correct` is (seeds, images)."""
    value, low, high = mean_accuracy_interval(correct)
    seeds, n = correct.shape
    method = "Wilson" if seeds == 1 else f"over images and {seeds} seeds"
    return Estimate(value=value, low=low, high=high, n=n, method=method)
