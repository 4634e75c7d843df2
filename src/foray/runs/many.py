"""Trains a set of runs, for comparisons, searches and the study: what fails takes its group out, the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
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
    earlier: its folder in versions that drew a larger classifier (foray.models.initialization); "": not known.
    """

    group: str
    plan: RunPlan
    dataset: Dataset
    folder: str
    earlier: str = ""

    @classmethod
    def named(cls, plan: RunPlan, dataset: Dataset, name: Callable[[RunPlan, Dataset], str]) -> PlannedRun:
        """One of its model's runs, in the folder `runs`; `name`: of foray.runs.run_id."""
        earlier = name(replace(plan, large_classifier=True), dataset)
        return cls(plan.spec.name, plan, dataset, f"runs/{name(plan, dataset)}", f"runs/{earlier}")


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
        if run.earlier and is_there(root / run.earlier) and not is_there(root / run.folder):
            progress.note(
                f"{run.earlier} is of an earlier version of foray, which drew a larger classifier. It is kept but not "
                f"used; {run.plan.spec.name} is trained again with seed {run.plan.seed}."
            )
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
