"""A comparison's folder, read once: the only source of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foray.errors import RunError
from foray.records import (
    CandidateResult,
    Comparison,
    Decision,
    EpochRow,
    Metrics,
    Mistake,
    RunFolder,
    RunRecord,
    Settlement,
    decision_digest,
)
from foray.regular_files import is_there, read_regular

COMPARISON = "comparison.json"
SETTLEMENT = "settle/settlement.json"  # what labels of new images decided


@dataclass(frozen=True)
class Run:
    """One finished run: its record and its epochs in order."""

    record: RunRecord
    history: tuple[EpochRow, ...]


@dataclass(frozen=True)
class Entrant:
    """One candidate of the comparison with its finished runs (none where it was excluded or failed)."""

    result: CandidateResult
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """The variant's name, unique within the comparison."""
        return self.result.model

    def metrics(self, split: str) -> list[Metrics]:
        """The metrics of each run on `split`; runs without it are left out."""
        return [run.record.metrics[split] for run in self.runs if split in run.record.metrics]


@dataclass(frozen=True)
class ComparisonFolder:
    """comparison.json with the records and histories of its runs; where labels of new images settled it, with what they
    decided in place of `before`."""

    path: Path
    comparison: Comparison
    entrants: tuple[Entrant, ...]
    settlement: Settlement | None = None
    before: Decision | None = None

    def picture(self, mistake: Mistake) -> bytes | None:
        """The encoded picture of a misclassified image; None when the file is missing."""
        try:
            return read_regular(self.path / mistake.picture)
        except OSError:
            return None


def read_folder(folder: Path) -> ComparisonFolder:
    """Reads `folder`/comparison.json, runs/<run id>/record.json and history.jsonl.

    Raises RunError when the folder holds no comparison, when one of these files is missing, damaged or of another
    version, or when comparison.json names a file outside the folder.
    """
    if not is_there(folder / COMPARISON):
        raise RunError(
            f"There is no finished comparison in {folder}: it has no comparison.json. "
            "Name the folder that was given to foray compare with `out`."
        )
    comparison = Comparison.load(folder / COMPARISON)
    before, settlement = comparison.decision, settlement_of(folder, comparison)
    comparison = as_settled(comparison, settlement)
    for candidate in comparison.candidates:
        for mistake in candidate.mistakes:
            _inside(folder, mistake.picture)
    entrants = [Entrant(result, _read_runs(folder, result.run_ids)) for result in comparison.candidates]
    return ComparisonFolder(folder, comparison, tuple(entrants), settlement, before if settlement else None)


def settlement_of(folder: Path, comparison: Comparison) -> Settlement | None:
    """What labels of new images decided of `comparison`, that of `folder`; None where it has decided anew since."""
    if not is_there(folder / SETTLEMENT):
        return None
    found = Settlement.load(folder / SETTLEMENT)
    return found if found.decision_digest == decision_digest(comparison.id, comparison.decision) else None


def as_settled(comparison: Comparison, settlement: Settlement | None) -> Comparison:
    """`comparison` with what the labels decided in place of its own decision."""
    if settlement is None:
        return comparison
    changes = {name: getattr(settlement, name) for name in ("decision", "confirmation", "cautions")}
    return comparison.model_copy(update=changes)


def _read_runs(folder: Path, run_ids: Sequence[str]) -> tuple[Run, ...]:
    runs = []
    for run_id in run_ids:
        run = RunFolder(_inside(folder, f"runs/{run_id}"))
        record = run.load()
        if record.status == "done":
            runs.append(Run(record, run.read_history(record)))
    return tuple(runs)


def _inside(folder: Path, relative: str) -> Path:
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        raise RunError(f"{folder / 'comparison.json'} names a file outside its folder: {relative}.")
    return path
