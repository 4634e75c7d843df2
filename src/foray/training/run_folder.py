"""The folder of a run: where each file is, how predictions are kept, and whether the run there is the one asked for.

recipe.toml  record.json  history.jsonl  checkpoint/  best.safetensors  predictions/<split>.npz  images.npz
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foray.errors import RunError
from foray.recipes import Recipe
from foray.records import RunRecord, atomic_writer
from foray.training.evaluate import Predictions


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


def _differences(there: RunRecord, planned: RunRecord) -> list[str]:
    """What decides the result and is not the same, in words."""
    pairs: dict[str, tuple[object, object]] = {
        "model": (there.architecture.name, planned.architecture.name),
        "resolution": (there.architecture.resolution, planned.architecture.resolution),
        "classes": (there.architecture.num_classes, planned.architecture.num_classes),
        "small-image handling": (there.architecture.small_image, planned.architecture.small_image),
        "preprocessing": (there.preprocessing, planned.preprocessing),
        "weights": (_weights_sha256(there), _weights_sha256(planned)),
        "data": (_data(there), _data(planned)),
        "seed": (there.seed, planned.seed),
        "processes": (there.processes, planned.processes),
        "deterministic": (there.deterministic, planned.deterministic),
    }
    # What an older recipe does not say had the default's value.
    defaults = {key: field.default for key, field in Recipe.model_fields.items()}
    pairs |= {key: (there.recipe.get(key, defaults[key]), value) for key, value in planned.recipe.items()}
    return [f"{name}: {old} there, {new} here" for name, (old, new) in pairs.items() if old != new]


def _weights_sha256(record: RunRecord) -> str | None:
    return record.weights.sha256[:12] if record.weights else None


def _data(record: RunRecord) -> str:
    return f"{record.dataset.name} {record.dataset.fingerprint[:12]}"
