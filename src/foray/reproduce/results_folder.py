"""The folder of results: small enough to be committed, and sufficient to judge every claim again.

<scale>/<role>/<run id>/   experiment.json, and
                           record.json  history.jsonl  predictions.npz   of a training run
                           evaluation.json                               of pretrained weights that were evaluated
                           times.json                                    of networks that were timed in turns
<scale>/unavailable.json   why a role has no result
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.errors import RunError
from foray.evaluation.arrays import Array, DamagedArraysError, read_arrays
from foray.parsing import shortened
from foray.records import (
    EpochRow,
    PretrainedEvaluation,
    RunFolder,
    RunRecord,
    atomic_writer,
    file_sha256,
    write_bytes,
)
from foray.records.reproduction import ExperimentInfo, Scale, UnavailableList
from foray.records.sealing import sha256
from foray.records.side_by_side import SideBySideTimes
from foray.regular_files import read_regular
from foray.reproduce.sources import SOURCES
from foray.runs.saved_predictions import read_predictions

_SPLITS = ("val", "test")
_PREDICTIONS = "predictions.npz"
_TIMES = "times.json"
SCALES: tuple[Scale, ...] = ("full", "reduced", "mini")


@dataclass(frozen=True)
class RunResult:
    """One finished run of a role: its record, its epochs, and the folder with its predictions."""

    info: ExperimentInfo
    record: RunRecord
    history: tuple[EpochRow, ...]
    path: Path

    def correct(self, split: str) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.bool_]]:
        """(ids (N,), whether each was right (N,)), by id. Raises RunError when the file is missing, or damaged.

        Its number of images and its accuracy have to be those of the run's record.
        """
        path = self.path / _PREDICTIONS
        try:
            content = read_regular(path)
            expected = self.info.files.get(_PREDICTIONS)
            if expected is not None and sha256(content) != expected:
                raise DamagedArraysError("its SHA-256 differs from the recorded one")
            arrays = read_arrays(content, [f"{split}_{kind}" for kind in ("ids", "labels", "predicted")])
            return self._by_id(split, *arrays.values())
        except (OSError, DamagedArraysError) as error:
            raise RunError(f"Cannot read {path}: {error}. {ExperimentInfo.way_out}") from error

    def _by_id(
        self, split: str, ids: Array, labels: Array, predicted: Array
    ) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.bool_]]:
        metrics = self.record.metrics.get(split)
        if ids.ndim != 1 or not ids.shape == labels.shape == predicted.shape or len(np.unique(ids)) < len(ids):
            raise DamagedArraysError("its arrays do not fit each other, or it holds an image twice")
        right = np.asarray(labels == predicted)
        if metrics and (len(ids), int(right.sum())) != (metrics.n, round(metrics.top1.value * metrics.n)):
            raise DamagedArraysError(f"it does not match the {metrics.n} images of record.json")
        order = np.argsort(ids)
        return ids[order], right[order]


@dataclass(frozen=True)
class EvaluationResult:
    """Pretrained weights that were evaluated."""

    info: ExperimentInfo
    evaluation: PretrainedEvaluation
    path: Path


@dataclass(frozen=True)
class TimesResult:
    """Networks that were timed in turns."""

    info: ExperimentInfo
    times: SideBySideTimes
    path: Path


Result = RunResult | EvaluationResult | TimesResult


def keep_run(run: RunFolder, info: ExperimentInfo, target: Path) -> None:
    """Copies the files that judging needs from a finished run to `target`: labels and predicted classes, no weights."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for split in _SPLITS:
        predictions = read_predictions(run, split)
        arrays[f"{split}_ids"] = predictions.image_ids
        arrays[f"{split}_labels"] = predictions.labels.astype(np.uint16)
        arrays[f"{split}_predicted"] = predictions.probabilities.argmax(axis=1).astype(np.uint16)
    with atomic_writer(target / _PREDICTIONS) as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    files = {_PREDICTIONS: file_sha256(target / _PREDICTIONS)}
    info.model_copy(update={"files": files}).save(target / "experiment.json")
    kept = RunFolder(target)
    write_bytes(kept.history, run.history.read_bytes())
    write_bytes(kept.record, run.record.read_bytes())  # last: its presence marks the others as complete


def keep_times(times: SideBySideTimes, info: ExperimentInfo, target: Path) -> None:
    """Writes what networks that were timed in turns took."""
    info.save(target / "experiment.json")
    times.save(target / _TIMES)  # last: its presence marks the result as complete


def is_kept(target: Path) -> bool:
    """Whether a finished result is in `target`."""
    return RunFolder(target).record.is_file() or any((target / name).is_file() for name in ("evaluation.json", _TIMES))


def read_results(folder: Path, scale: Scale) -> dict[str, list[Result]]:
    """Finished results of one scale by role. Raises RunError for a damaged file, which it names."""
    found: dict[str, list[Result]] = {}
    for path in sorted((folder / scale).glob("*/*/experiment.json")):
        if is_kept(path.parent):
            result = _read(path.parent)
            found.setdefault(result.info.role, []).append(result)
    return found


def read_unavailable(folder: Path, scale: Scale) -> UnavailableList:
    """Why roles have no result, as recorded by the last command."""
    path = folder / scale / "unavailable.json"
    return UnavailableList.load(path) if path.is_file() else UnavailableList()


def _read(path: Path) -> Result:
    info = ExperimentInfo.load(path / "experiment.json")
    if (path / _TIMES).is_file():
        return TimesResult(info, SideBySideTimes.load(path / _TIMES), path)
    if info.source not in SOURCES:
        raise RunError(f"{path / 'experiment.json'} names unknown images, {shortened(info.source)}. {info.way_out}")
    if (path / "evaluation.json").is_file():
        return EvaluationResult(info, PretrainedEvaluation.load(path / "evaluation.json"), path)
    run = RunFolder(path)
    record = run.load()
    if absent := {"train", *_SPLITS} - record.dataset.counts.keys():
        raise RunError(f"{run.record} counts no {' and no '.join(sorted(absent))} images. {info.way_out}")
    return RunResult(info, record, run.read_history(record), path)
