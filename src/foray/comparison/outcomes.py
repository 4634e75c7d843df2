"""The runs of one model over seeds: their records and predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.errors import RunError
from foray.evaluation.predictions import Predictions
from foray.records import CandidateResult, CostProfile, Estimate, RunRecord
from foray.runs.run_folder import RunFolder
from foray.statistics import mean_accuracy_interval, seed_summary


def read_predictions(run: Path, split: str) -> Predictions:
    """predictions/<split>.npz of a run folder. Raises RunError when it is missing, or not what the run wrote."""
    return RunFolder(run).read_predictions(split)


@dataclass(frozen=True, eq=False)
class ModelOutcome:
    """All finished runs of one model, in the order of the seeds."""

    model: str
    records: tuple[RunRecord, ...]
    folders: tuple[Path, ...]

    @property
    def train_seconds(self) -> float | None:
        """Mean seconds of a run; None when not recorded."""
        totals = [record.total_seconds for record in self.records if record.total_seconds is not None]
        return float(np.mean(totals)) if totals else None

    def correct(self, split: str) -> npt.NDArray[np.bool_]:
        """(seeds, images); every seed must have seen the same images in the same order."""
        rows = [read_predictions(folder, split) for folder in self.folders]
        for row in rows[1:]:
            if not np.array_equal(row.image_ids, rows[0].image_ids):
                raise RunError(f"The runs of {self.model} were scored on different {split} images.")
        return np.stack([row.correct for row in rows])


def candidate_result(
    outcome: ModelOutcome,
    cost: CostProfile,
    selection_split: str,
    selection: npt.NDArray[np.bool_],
    test: npt.NDArray[np.bool_],
) -> CandidateResult:
    """The row of a trained model in comparison.json; `selection` and `test` are (seeds, images)."""
    first = outcome.records[0]
    tests = [record.metrics["test"] for record in outcome.records]
    top5 = [metrics.top5.value for metrics in tests if metrics.top5]
    epochs = [seconds for record in outcome.records for seconds in record.seconds_per_epoch]
    return CandidateResult(
        model=outcome.model,
        architecture=first.architecture,
        weights=first.weights,
        cost=cost,
        run_ids=[record.run_id for record in outcome.records],
        selection=estimate(selection),
        selection_sd=seed_summary(selection.mean(axis=1).tolist())[1],
        test=estimate(test),
        test_sd=seed_summary(test.mean(axis=1).tolist())[1],
        test_top5=float(np.mean(top5)) if top5 else None,
        test_macro_f1=float(np.mean([metrics.macro_f1 for metrics in tests])),
        seconds_per_epoch=float(np.mean(epochs)) if epochs else None,
        train_seconds=outcome.train_seconds,
    )


def estimate(correct: npt.NDArray[np.bool_]) -> Estimate:
    """Accuracy over seeds and images, with its interval; `correct` is (seeds, images)."""
    value, low, high = mean_accuracy_interval(correct)
    seeds, n = correct.shape
    method = "Wilson" if seeds == 1 else f"over images and {seeds} seeds"
    return Estimate(value=value, low=low, high=high, n=n, method=method)
