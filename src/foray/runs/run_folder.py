"""The folder of a run: where each file is, how predictions are kept, and whether the run there is the one asked for.

recipe.toml  record.json  history.jsonl  checkpoint/  best.safetensors  predictions/<split>.npz  images.npz
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from foray.errors import RunError
from foray.evaluation.arrays import DamagedArraysError, read_arrays
from foray.evaluation.predictions import Predictions
from foray.recipes.recipe import AnyRecipe
from foray.recipes.toml import validated
from foray.records import RunRecord, atomic_writer, read_run_file
from foray.records.sealing import sha256
from foray.specs import Preprocessing


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def record(self) -> Path:
        """The record; its status tells whether the run is done."""
        return self.path / "record.json"

    @property
    def weights(self) -> Path:
        """The complete network, backbone and head, of the epoch that is kept."""
        return self.path / "best.safetensors"

    @property
    def images(self) -> Path:
        """Which images the run saw (see `seen_images`); runs of earlier versions have none."""
        return self.path / "images.npz"

    def write_predictions(self, split: str, predictions: Predictions) -> None:
        """Writes predictions/<split>.npz: image_ids (N,) str, labels (N,) int64, probabilities (N, C) float32."""
        with atomic_writer(self.path / "predictions" / f"{split}.npz") as stream:
            np.savez(
                stream,
                image_ids=predictions.image_ids,
                labels=predictions.labels,
                probabilities=predictions.probabilities,
            )

    def read_predictions(self, split: str) -> Predictions:
        """predictions/<split>.npz. Raises RunError when it is missing, or not what the run wrote.

        The record of a run says what its files were and what they scored; of a run without digests, written by an
        earlier version of foray, the number of images and the accuracy have to be those of its record.
        """
        record = RunRecord.load(self.record)
        name = f"predictions/{split}.npz"
        content = read_run_file(self.path, record, name)
        try:
            arrays = read_arrays(content, ("image_ids", "labels", "probabilities"))
            predictions = Predictions(**arrays)
            _require_consistent(predictions, record, split)
        except DamagedArraysError as error:
            raise RunError(f"{self.path / name} is damaged: {error}. {RunRecord.way_out}") from error
        return predictions

    def preprocessing(self, planned: Preprocessing) -> Preprocessing:
        """`planned`, but for a run that was begun by a version that rounded: it goes on rounding."""
        if planned.resize != "cut" or not self.record.exists():
            return planned
        there = RunRecord.load(self.record).preprocessing
        return there if there == replace(planned, resize="rounded") else planned

    def earlier(self, planned: RunRecord) -> RunRecord | None:
        """The record of the same run begun earlier, if any. Raises RunError when the folder holds a different run."""
        if not self.record.exists():
            return None
        there = RunRecord.load(self.record)
        differences = _differences(there, planned)
        if differences:
            raise RunError(
                f"{self.path} holds a different run ({'; '.join(differences)}). Choose another folder, or delete it."
            )
        return there


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
        raise DamagedArraysError("its probabilities are not all numbers, or its ids and labels of another kind")
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


def run_identity(record: RunRecord) -> str:
    """A digest of what decides the result of the run: its checkpoint bears it."""
    recipe = validated(record.recipe, record.run_id).model_dump(mode="json", exclude_defaults=True)
    decisive = {name: str(value) for name, value in _decisive(record).items()}
    return sha256(json.dumps(decisive | {"recipe": recipe}, sort_keys=True).encode("utf-8"))


def _differences(there: RunRecord, planned: RunRecord) -> list[str]:
    """What decides the result and is not the same, in words."""
    theirs, ours = _decisive(there), _decisive(planned)
    pairs: dict[str, tuple[object, object]] = {name: (theirs[name], ours[name]) for name in ours}
    # What an older recipe does not say had the default's value.
    pairs |= {
        key: (there.recipe.get(key, AnyRecipe.stored_default(key)), value) for key, value in planned.recipe.items()
    }
    return [f"{name}: {old} there, {new} here" for name, (old, new) in pairs.items() if old != new]


def _decisive(record: RunRecord) -> dict[str, object]:
    """What decides the result, the recipe apart, as a person calls it."""
    return {
        "model": record.architecture.name,
        "resolution": record.architecture.resolution,
        "classes": record.architecture.num_classes,
        "small-image handling": record.architecture.small_image,
        "preprocessing": record.preprocessing,
        "weights": _weights_sha256(record),
        "data": _data(record),
        "seed": record.seed,
        "processes": record.processes,
        "deterministic": record.deterministic,
    }


def _weights_sha256(record: RunRecord) -> str | None:
    return record.weights.sha256[:12] if record.weights else None


def _data(record: RunRecord) -> str:
    return f"{record.dataset.name} {record.dataset.fingerprint[:12]}"
