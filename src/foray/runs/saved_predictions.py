"""predictions/<split>.npz of a run: image_ids (N,) str, labels (N,) int64, probabilities (N, C) float32."""

from __future__ import annotations

import numpy as np

from foray.errors import RunError
from foray.evaluation.arrays import DamagedArraysError, read_arrays
from foray.evaluation.predictions import Predictions
from foray.records import RunFolder, RunRecord, atomic_writer


def write_predictions(run: RunFolder, split: str, predictions: Predictions) -> None:
    """Writes the predictions for one split, atomically."""
    with atomic_writer(run.predictions(split)) as stream:
        np.savez(
            stream,
            image_ids=predictions.image_ids,
            labels=predictions.labels,
            probabilities=predictions.probabilities,
        )


def read_predictions(run: RunFolder, split: str) -> Predictions:
    """The predictions for one split. Raises RunError when they are missing, or not what the run wrote.

    The record of a run says what its files were and what they scored; of a run without digests, written by an
    earlier version of foray, the number of images and the accuracy have to be those of its record.
    """
    record, path = run.load(), run.predictions(split)
    content = run.read(path, record)
    try:
        predictions = Predictions(**read_arrays(content, ("image_ids", "labels", "probabilities")))
        _require_consistent(predictions, record, split)
    except DamagedArraysError as error:
        raise RunError(f"{path} is damaged: {error}. {RunRecord.way_out}") from error
    return predictions


def _require_consistent(predictions: Predictions, record: RunRecord, split: str) -> None:
    """Raises DamagedArraysError for arrays that are no predictions, or not those that the record is about."""
    ids, labels, probabilities = predictions.image_ids, predictions.labels, predictions.probabilities
    n, classes = len(ids) if ids.ndim == 1 else 0, record.architecture.num_classes
    if not n or labels.shape != (n,) or probabilities.shape != (n, classes):
        raise DamagedArraysError(
            f"its arrays are of shapes {ids.shape}, {labels.shape} and {probabilities.shape}, for {classes} classes"
        )
    kinds = (ids.dtype.kind, labels.dtype.kind, probabilities.dtype.kind)
    if kinds != ("U", "i", "f") or not np.isfinite(probabilities).all():
        raise DamagedArraysError("its probabilities are not finite, or its ids or labels have a wrong type")
    if labels.min() < 0 or labels.max() >= classes or len(np.unique(ids)) < n:
        raise DamagedArraysError("it holds labels of no class, or an image twice")
    if (metrics := record.metrics.get(split)) is None:
        return
    hits = int(predictions.correct.sum())
    if n != metrics.n or hits != round(metrics.top1.value * metrics.n):
        raise DamagedArraysError(
            f"it has {hits} of {n} images right, and record.json has {round(metrics.top1.value * metrics.n)} of "
            f"{metrics.n}"
        )
