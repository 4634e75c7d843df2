"""Trains a set of runs, for comparisons, searches and the study: what fails takes its group out, the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from foray.data import Dataset
from foray.errors import OutOfMemoryError
from foray.progress import SILENT, Progress
from foray.records import RunRecord
from foray.regular_files import is_there
from foray.requests import Machine
from foray.runs.run import train_run
from foray.training import RunPlan, TrainingFailedError


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """One run of many.

    group: runs that count together, as the seeds of one model: when one fails, the rest of them are not trained.
    folder: where the run goes, relative to the folder of all runs.
    earlier: where a version went with it that drew a larger classifier (foray.models.initialization); "": nowhere.
    """

    group: str
    plan: RunPlan
    dataset: Dataset
    folder: str
    earlier: str = ""

    def note_if_trained_again(self, root: Path, progress: Progress) -> None:
        """Says so where the run is there as an earlier version trained it."""
        if self.earlier and is_there(root / self.earlier) and not is_there(root / self.folder):
            progress.note(
                f"{self.earlier} is of an earlier version of foray, which drew a larger classifier. It is kept but not "
                f"used; {self.plan.spec.name} is trained again with seed {self.plan.seed}."
            )


@dataclass(frozen=True, eq=False)
class TrainedRuns:
    """What a set of runs came to.

    done: by group, the runs that are done, in order, each with its record.
    failures: by group, why one of its runs failed.
    """

    done: dict[str, list[tuple[PlannedRun, RunRecord]]]
    failures: dict[str, str]


def train_runs(
    runs: Iterable[PlannedRun],
    root: Path,
    machine: Machine,
    *,
    finished: Callable[[PlannedRun, RunRecord], None] = lambda run, record: None,
    progress: Progress = SILENT,
) -> TrainedRuns:
    """Trains every run in its folder below `root`; those that are done there are used again.

    `finished(run, record)` is called after each run. A training that fails, or that memory does not suffice for, is
    noted with its reason; with several processes it is raised, because a process that fails has to end. Everything
    else ends the whole: an interrupted set of runs goes on by the same call.
    """
    trained = TrainedRuns({}, {})
    for run in runs:
        if run.group in trained.failures:
            continue
        run.note_if_trained_again(root, progress)
        try:
            record = train_run(run.plan, run.dataset, root / run.folder, machine, progress=progress)
        except (TrainingFailedError, OutOfMemoryError) as error:
            if machine.processes.count > 1:
                raise
            trained.failures[run.group] = str(error)
            progress.note(f"{run.group} is out: {error}")
            continue
        finished(run, record)
        trained.done.setdefault(run.group, []).append((run, record))
    return trained
