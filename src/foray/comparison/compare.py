"""The main job: measure every model, train those within budget, decide, confirm once on test, report."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from foray.clock.schedule import WAIT_SECONDS
from foray.comparison.conclude import conclude
from foray.comparison.costs import CostSource
from foray.comparison.outcomes import ModelOutcome
from foray.comparison.plan import ComparisonPlan, plan_comparison
from foray.comparison.prepare import readable_dataset
from foray.decision import broken_bounds, latency_is_open
from foray.errors import OutOfMemoryError, RunError
from foray.process_state import restores_process_state
from foray.progress import SILENT, Progress
from foray.recipes import Protocol, Recipe
from foray.records import (
    Budget,
    Comparison,
    CostProfile,
    Preference,
    RunRecord,
    folder_lock,
)
from foray.report import require_no_foreign_report, write_report
from foray.runs import train_run
from foray.runs.carving import carving_in
from foray.training import RunPlan, TrainingFailedError


@dataclass(frozen=True)
class _Machine:
    """How and where the runs are executed; none of it changes what is compared."""

    device: str
    workers: int | None
    threads: int | None
    cache_dir: Path | None


@restores_process_state
def compare(
    data: str | Path,
    models: Sequence[str],
    protocol: Protocol = "linear",
    *,
    recipe: Recipe | None = None,
    weights: str | Path | None = None,
    epochs: int | None = None,
    unfreeze: str | None = None,
    changes: Sequence[str] = (),
    resolution: int | None = None,
    budget: Budget | None = None,
    tolerance: float = 0.01,
    prefer: Preference = "latency",
    seeds: int | None = None,
    out: str | Path = "out",
    fold: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    cache_dir: Path | None = None,
    profiles: Path | None = None,
    runtime: str | None = None,
    precision: str | None = None,
    skip_unreadable: bool = False,
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    wait_seconds: float = WAIT_SECONDS,
    command: str = "",
    progress: Progress = SILENT,
) -> Comparison:
    """Trains and measures `models` on `data`, decides which to ship, and writes `out`/report.html.

    `models`: names from `foray models`. `tolerance`: accuracy one may lose for a lower cost, in [0, 1]. `seeds`: runs
    a model, seeds 0 to `seeds` - 1; None: three for `linear`, one for the others. `runtime` (torch, onnx, openvino,
    litert, executorch) and `precision` (fp32, fp16, bf16, int8): what the costs are measured on here, or which of
    `profiles` count. Finished runs found in `out` are used again, so the same call resumes an interrupted comparison
    and changing only the budget decides anew without training. `wait_seconds`: how long to wait for a quiet machine
    where latency counts; 0 measures at once, and such a latency is never steady. What depends on a latency that is not
    steady has outcome "not_known": models that may be over a bound on it are not trained, and the same call measures
    again.
    Raises ForayError for data, models, weights or numbers that do not fit, and when `out` holds another comparison, or
    files in the place of its report.
    """
    started = time.perf_counter()
    require_no_foreign_report(Path(out))
    plan = plan_comparison(
        data,
        models,
        protocol,
        recipe=recipe,
        weights=weights,
        epochs=epochs,
        unfreeze=unfreeze,
        changes=changes,
        resolution=resolution,
        budget=budget,
        tolerance=tolerance,
        prefer=prefer,
        seeds=seeds,
        fold=fold,
        data_dir=data_dir,
        offline=offline,
        cache_dir=cache_dir,
        profiles=profiles,
        runtime=runtime,
        precision=precision,
        threads=threads,
        carving=carving_in(Path(out)),
        progress=progress,
    )
    folder = Path(out)
    machine = _Machine(device=device, workers=workers, threads=threads, cache_dir=cache_dir)
    with folder_lock(folder, what="comparison"):
        plan = readable_dataset(
            plan, skip_unreadable=skip_unreadable, cache_dir=cache_dir, workers=workers, progress=progress
        )
        _require_same_comparison(folder, plan)
        clock = CostSource(plan, folder, threads=threads, wait_seconds=wait_seconds, progress=progress)
        costs = clock.first()
        training_began = time.perf_counter()
        outcomes, failures = _train_all(plan, costs, folder, machine, progress)
        if clock.may_tell_more(costs, time.perf_counter() - training_began):
            costs = clock.measured()
            outcomes, failures = _train_all(plan, costs, folder, machine, progress, failures)
        comparison = conclude(plan, costs, outcomes, failures, folder, command, time.perf_counter() - started)
        comparison.save(folder / "comparison.json")
        write_report(folder)
    return comparison


def _require_same_comparison(folder: Path, plan: ComparisonPlan) -> None:
    """A folder is about one data set and one recipe: results of another are never overwritten."""
    path = folder / "comparison.json"
    if not path.exists():
        return
    there = Comparison.load(path)
    if there.id != plan.key:
        raise RunError(
            f"{folder} holds another comparison ({there.dataset.name}, {there.protocol}, {there.created[:10]}). "
            "Choose another folder with --out."
        )


def _train_all(
    plan: ComparisonPlan,
    costs: dict[str, CostProfile],
    folder: Path,
    machine: _Machine,
    progress: Progress,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, ModelOutcome], dict[str, str]]:
    """Every run of every model within budget. A run whose training fails takes its model out, with the reason.

    Where latency is bounded and a model's was not steady, its runs are taken if they are done, and not begun.
    `failed`: models that failed before in this call, with their reasons; they are not tried again.
    """
    outcomes: dict[str, ModelOutcome] = {}
    failures = dict(failed)
    for model in plan.models:
        name = model.spec.name
        if broken := broken_bounds(costs[name], plan.budget):
            bounds = ", ".join(bound.bound for bound in broken)
            progress.note(f"{name} is over the budget ({bounds}) and is not trained.")
            continue
        if name in failures:
            continue
        paths = {seed: folder / "runs" / _run_id(replace(model, seed=seed), plan) for seed in plan.seeds}
        if latency_is_open(costs[name], plan.budget) and not all(map(_is_done, paths.values())):
            progress.note(f"{name} is not trained yet: its latency was not steady, so it may be over the budget.")
            continue
        records: list[RunRecord] = []
        folders: list[Path] = []
        try:
            for seed, path in paths.items():
                run = replace(model, seed=seed)
                record = train_run(
                    run,
                    plan.dataset,
                    path,
                    device=machine.device,
                    cache_dir=machine.cache_dir,
                    workers=machine.workers,
                    progress=progress,
                )
                costs[name].save(path / "profile.json")
                records.append(record)
                folders.append(path)
        except (TrainingFailedError, OutOfMemoryError) as error:
            failures[name] = str(error)
            progress.note(f"{name} is out: {error}")
            continue
        outcomes[name] = ModelOutcome(name, tuple(records), tuple(folders))
    return outcomes, failures


def _is_done(run: Path) -> bool:
    path = run / "record.json"
    return path.exists() and RunRecord.load(path).status == "done"


def _run_id(run: RunPlan, plan: ComparisonPlan) -> str:
    digest = hashlib.sha256(f"{run.key} {plan.dataset.fingerprint}".encode()).hexdigest()[:8]
    return f"{run.spec.name}-{plan.recipe.protocol}-seed{run.seed}-{digest}"
