"""The folder of results: what is small enough to be committed, and enough to judge every claim again.

<scale>/<role>/<run id>/   experiment.json, and
                           record.json  history.jsonl  predictions.npz   of a training run
                           evaluation.json                               of pretrained weights that were evaluated
<scale>/unavailable.json   why a role has no result
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from foray.comparison.outcomes import read_predictions
from foray.errors import RunError
from foray.records import EpochRow, PretrainedEvaluation, RunRecord, atomic_writer, write_bytes
from foray.records.reproduction import ExperimentInfo, Scale, UnavailableList

_SPLITS = ("val", "test")
SCALES: tuple[Scale, ...] = ("full", "standin", "mini")


@dataclass(frozen=True)
class RunResult:
    """One finished run of a role: its record, its epochs, and the folder with its predictions."""

    info: ExperimentInfo
    record: RunRecord
    history: tuple[EpochRow, ...]
    path: Path

    def correct(self, split: str) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.bool_]]:
        """(ids (N,), whether each was right (N,)), by id. Raises RunError when the file is missing or damaged."""
        path = self.path / "predictions.npz"
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                ids = arrays[f"{split}_ids"]
                right = arrays[f"{split}_labels"] == arrays[f"{split}_predicted"]
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise RunError(f"Cannot read {path}: {error}. Delete its folder and run again.") from error
        order = np.argsort(ids)
        return ids[order], right[order]


@dataclass(frozen=True)
class EvaluationResult:
    """Pretrained weights that were evaluated."""

    info: ExperimentInfo
    evaluation: PretrainedEvaluation
    path: Path


Result = RunResult | EvaluationResult


def keep_run(run: Path, info: ExperimentInfo, target: Path) -> None:
    """Copies what judging needs of a finished run's folder to `target`: labels and predicted classes, no weights."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for split in _SPLITS:
        predictions = read_predictions(run, split)
        arrays[f"{split}_ids"] = predictions.image_ids
        arrays[f"{split}_labels"] = predictions.labels.astype(np.uint16)
        arrays[f"{split}_predicted"] = predictions.probabilities.argmax(axis=1).astype(np.uint16)
    with atomic_writer(target / "predictions.npz") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    info.save(target / "experiment.json")
    write_bytes(target / "history.jsonl", (run / "history.jsonl").read_bytes())
    write_bytes(target / "record.json", (run / "record.json").read_bytes())  # last: it says the others are there


def is_kept(target: Path) -> bool:
    """Whether a finished result is in `target`."""
    return (target / "record.json").is_file() or (target / "evaluation.json").is_file()


def read_results(folder: Path, scale: Scale) -> dict[str, list[Result]]:
    """Finished results of one scale by role. Raises RunError for a damaged file, which it names."""
    found: dict[str, list[Result]] = {}
    for path in sorted((folder / scale).glob("*/*/experiment.json")):
        if is_kept(path.parent):
            result = _read(path.parent)
            found.setdefault(result.info.role, []).append(result)
    return found


def read_unavailable(folder: Path, scale: Scale) -> UnavailableList:
    """Why roles have no result, as the last command found it."""
    path = folder / scale / "unavailable.json"
    return UnavailableList.load(path) if path.is_file() else UnavailableList()


def _read(path: Path) -> Result:
    info = ExperimentInfo.load(path / "experiment.json")
    if (path / "evaluation.json").is_file():
        return EvaluationResult(info, PretrainedEvaluation.load(path / "evaluation.json"), path)
    return RunResult(info, RunRecord.load(path / "record.json"), tuple(_rows(path / "history.jsonl")), path)


def _rows(path: Path) -> Iterator[EpochRow]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        for line in lines:
            yield EpochRow.model_validate_json(line)
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise RunError(f"Cannot read {path}: it is missing or damaged. Delete its folder and run again.") from error
