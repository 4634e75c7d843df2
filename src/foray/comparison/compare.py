"""The main job: measure every model, train those within budget, decide, confirm once on test, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from foray.comparison.conclude import conclude
from foray.comparison.costs import CostSource
from foray.comparison.plan import ComparisonPlan, plan_comparison
from foray.comparison.request import ComparisonRequest
from foray.decision import broken_bounds, latency_is_open
from foray.errors import RunError
from foray.progress import SILENT, Progress
from foray.records import Comparison, CostProfile, RunFolder, RunRecord, Settlement, folder_lock
from foray.records.quantities import format_confidence
from foray.regular_files import is_there
from foray.report import require_no_foreign_report, write_report
from foray.report.comparison_folder import COMPARISON, SETTLEMENT
from foray.requests import Machine
from foray.runs.carving import carving_in
from foray.runs.many import PlannedRun, train_runs
from foray.runs.outcomes import ModelOutcome, outcomes_of
from foray.runs.readable import readable


def compare(
    request: ComparisonRequest,
    out: str | Path = "out",
    machine: Machine = Machine(),
    *,
    command: str = "",
    progress: Progress = SILENT,
) -> Comparison:
    """Trains and measures models as `request` says, decides which to ship, and writes `out`/report.html.

    Finished runs found in `out` are used again, so the same call resumes an interrupted comparison, and changing only
    the budget decides again without training. Runs of an earlier version that prepared images or drew the classifier in
    another way are kept, and trained anew beside them. What depends on a latency that is not steady has outcome
    "not_known": models that may be over a bound on it are not trained, and the same call measures again. `command`: for
    the report. Raises ForayError for data, models, weights or numbers that do not fit, and when `out` holds another
    comparison, one of another error that labels have settled, or files in the place of its report.
    """
    started, folder = time.perf_counter(), Path(out)
    require_no_foreign_report(folder)
    plan = plan_comparison(request, machine, carving=carving_in(folder), progress=progress)
    with folder_lock(folder, what="comparison"):
        shown = [model.preprocessing for model in plan.models]
        dataset = readable(plan.dataset, shown, request.source, machine, progress)
        models = tuple(replace(model, num_classes=len(dataset.classes)) for model in plan.models)
        plan = replace(plan, dataset=dataset, models=models)
        _require_same_comparison(folder, plan)
        _require_same_error(folder, plan)
        clock = CostSource(
            plan, folder, threads=machine.threads, wait_seconds=request.costs.wait_seconds, progress=progress
        )
        costs = clock.first()
        training_began = time.perf_counter()
        outcomes, failures = _train_all(plan, costs, folder, machine, progress)
        if clock.may_tell_more(costs, time.perf_counter() - training_began):
            costs = clock.measured()
            outcomes, failures = _train_all(plan, costs, folder, machine, progress, failures)
        comparison = conclude(plan, costs, outcomes, failures, folder, command, time.perf_counter() - started)
        comparison.save(folder / COMPARISON)
        write_report(folder)
    return comparison


def _require_same_comparison(folder: Path, plan: ComparisonPlan) -> None:
    """A folder is about one data set and one recipe: results of another are never overwritten."""
    path = folder / COMPARISON
    if not path.exists():
        return
    there = Comparison.load(path)
    if there.id != plan.key:
        raise RunError(
            f"{folder} holds another comparison ({there.dataset.name}, {there.protocol}, {there.created[:10]}). "
            "Choose another folder with `out`."
        )


def _require_same_error(folder: Path, plan: ComparisonPlan) -> None:
    """Raises RunError where labels of new images have settled a comparison of another error: the errors of both steps
    add up, and the report would state the new one alone."""
    if not is_there(folder / COMPARISON) or not is_there(folder / SETTLEMENT):
        return
    error, settlement = Comparison.load(folder / COMPARISON).decision.error, Settlement.load(folder / SETTLEMENT)
    if error == plan.error or not (settlement.labels or settlement.has_verdict):
        return
    before, now = format_confidence(error), format_confidence(plan.error)
    raise RunError(
        f"{folder} was compared at an error of {before} and then settled with new images ({folder / SETTLEMENT}), so "
        f"it cannot be compared anew at {now}. Compare {'without' if plan.error > error else 'with'} `alone`, or in "
        "another folder (`out`)."
    )


def _train_all(
    plan: ComparisonPlan,
    costs: dict[str, CostProfile],
    folder: Path,
    machine: Machine,
    progress: Progress,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, ModelOutcome], dict[str, str]]:
    """Every run of every model within budget. A model whose training fails is left out, with the reason.

    Where latency is bounded and a model's was not steady, its finished runs are used, and none is started.
    `failed`: models that failed before in this call, with their reasons; they are not tried again.
    """
    runs: list[PlannedRun] = []
    for model in plan.models:
        name, own = model.spec.name, plan.runs_of(model)
        if broken := broken_bounds(costs[name], plan.budget):
            bounds = ", ".join(bound.bound for bound in broken)
            progress.note(f"{name} is over the budget ({bounds}) and is not trained.")
        elif name in failed:
            continue
        elif latency_is_open(costs[name], plan.budget) and not _are_done(own, folder):
            progress.note(f"{name} is not trained yet: its latency was not steady, so it may be over the budget.")
        else:
            runs += own

    def keep_cost(run: PlannedRun, record: RunRecord) -> None:
        costs[run.group].save(RunFolder(folder / run.folder).profile)

    trained = train_runs(runs, folder, machine, finished=keep_cost, progress=progress)
    return outcomes_of(trained, folder), {**failed, **trained.failures}


def _are_done(runs: list[PlannedRun], folder: Path) -> bool:
    return all(RunFolder(folder / run.folder).is_done for run in runs)
