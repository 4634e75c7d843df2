"""The plan of a comparison, complete before training: data, variants, weights, recipe, seeds, bounds."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch

from foray.clock.steadiness import LoadWatch
from foray.comparison.request import ComparisonRequest, CostRequest
from foray.costs import load_profiles
from foray.data import SPLITS, Dataset, store_bytes
from foray.data.split_units import Carving
from foray.decision import ALONE_ERROR, COMPARE_ERROR
from foray.errors import ForayError, require_known
from foray.export.timing import RuntimeSetup, plan_setups
from foray.limits import MOST_THREADS, require_range, require_runs, require_tolerance
from foray.models import build_model
from foray.progress import SILENT, Progress
from foray.recipes import Protocol, Recipe
from foray.records import Budget, CostProfile, Preference, hardware
from foray.records.quantities import format_bytes, format_seconds
from foray.requests import Machine
from foray.runs.many import PlannedRun
from foray.runs.run_id import run_id_in_comparison
from foray.training import RunPlan, plan_run


@dataclass(frozen=True)
class ComparisonPlan:
    """One `RunPlan` per model (for the first seed) and everything the decision needs.

    `profiles`: costs measured on another device, by model name; None means they are measured here,
    on `target` (None: PyTorch in float32).
    `tolerance`: largest loss of accuracy against any other model that is accepted, in [0, 1] (0.01 is one point).
    `error`: chance of a wrong pick, in [0, 1].
    """

    dataset: Dataset
    recipe: Recipe
    models: tuple[RunPlan, ...]
    seeds: tuple[int, ...]
    budget: Budget
    tolerance: float
    prefer: Preference
    profiles: dict[str, CostProfile] | None
    target: RuntimeSetup | None = None
    error: float = COMPARE_ERROR

    @property
    def key(self) -> str:
        """Identifies a comparison by data set and recipe; the rest can be decided again from the same runs."""
        about = {"dataset": self.dataset.fingerprint, "recipe": self.recipe.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]

    def runs_of(self, model: RunPlan) -> list[PlannedRun]:
        """Those of one model: one for each seed. Their folders are relative to that of the comparison."""
        plans = [replace(model, seed=seed) for seed in self.seeds]
        return [PlannedRun.named(plan, self.dataset, run_id_in_comparison) for plan in plans]

    def describe(self, cache: Path) -> list[tuple[str, str]]:
        """Rows (what, value) for `--dry-run`: the plan with its time, disk and downloads."""
        info = self.dataset.info()
        counts = ", ".join(f"{split} {n:,}" for split in SPLITS if (n := info.counts.get(split)))
        rows = [
            ("data", f"{info.name}: {len(info.classes)} classes, {counts} images (splits {info.split_origin})"),
            ("recipe", f"{self.recipe.protocol}, {self.recipe.epochs} epochs, batch {self.recipe.batch_size}"),
        ]
        for model in self.models:
            weights = model.weights.source if model.weights else "none, trained from scratch"
            rows.append((model.spec.name, f"{model.preprocessing.resolution} px, weights: {weights}"))
        seeds = ", ".join(map(str, self.seeds))
        rows.append(("runs", f"{len(self.models) * len(self.seeds)} (seeds {seeds})"))
        rows.append(("disk", f"{format_bytes(self.disk_bytes())} of decoded images in {cache}"))
        rows.append(("downloads", "none: data and weights are on this machine"))
        if self.target is not None:
            on = f"{self.target.runtime} {self.target.precision}, threads: {self.target.threads}"
            rows.append(("costs", f"measured on {on}, each model exported for it first"))
        watch = LoadWatch()
        seconds, load = self.estimated_seconds(), watch.load()
        beside = f"; other processes {load}, so it may be less" if load is not None and not load.is_quiet else ""
        rows.append(
            ("time", f"about {format_seconds(seconds)} of training (from three timed batches per model{beside})")
        )
        return rows

    def disk_bytes(self) -> int:
        """Size of the decode caches, bytes: one for evaluation, and one for training where images are augmented."""
        n = len(self.dataset.samples)
        sides = {(model.preprocessing, model.preprocessing.resolution) for model in self.models}
        copies = 1 if self.recipe.protocol == "linear" else 2
        return copies * sum(store_bytes(n, side) for _, side in sides)

    def estimated_seconds(self) -> float:
        """Seconds all runs will take, extrapolated from the fastest of three timed forward batches per model.

        `linear` sends every image through the network once and shares the features between seeds; the other
        protocols cost about three forward passes per training step (forward, input gradient, weight gradient).
        """
        n_train = len(self.dataset.indices("train"))
        n_all = len(self.dataset.samples)
        total = 0.0
        for model in self.models:
            seconds = _forward_seconds_per_image(model)
            if self.recipe.protocol == "linear":
                total += n_all * seconds
            else:
                epoch = 3 * n_train + (n_all - n_train)
                total += len(self.seeds) * self.recipe.epochs * epoch * seconds
        return total


def plan_comparison(
    request: ComparisonRequest,
    machine: Machine = Machine(),
    *,
    carving: Carving = "by content",
    progress: Progress = SILENT,
) -> ComparisonPlan:
    """Reads the data set, finds the weights, and plans every run. Nothing is trained.

    `carving`: see `open_dataset`. Raises ForayError for data, models, weights or numbers that do not fit.
    """
    source, costs = request.source, request.costs
    if not request.models:
        raise ForayError("No models given. Name some with `models`, for example mobilenet_v2,efficientnet_b0.")
    require_runs(len(request.models), 1 if request.seeds is None else request.seeds)
    require_tolerance(request.tolerance)
    require_known("cost to prefer", request.prefer, get_args(Preference))
    if machine.threads is not None:
        require_range("`threads`", machine.threads, 1, MOST_THREADS)
    target = _target(costs, machine.threads)
    dataset = source.open(machine.cache, carving=carving, progress=progress)
    plans = [plan_run(name, dataset, request.how, offline=source.offline, progress=progress) for name in request.models]
    _require_distinct(plans)
    recipe = plans[0].recipe
    resolutions = {plan.spec.name: plan.preprocessing.resolution for plan in plans}
    profiles = None
    if costs.profiles:
        precision = target.precision if target else None
        profiles = load_profiles(costs.profiles, resolutions, costs.runtime, precision)
    return ComparisonPlan(
        dataset=dataset,
        recipe=recipe,
        models=tuple(plans),
        seeds=tuple(range(default_seeds(recipe.protocol) if request.seeds is None else request.seeds)),
        budget=request.budget,
        tolerance=request.tolerance,
        prefer=request.prefer,
        profiles=profiles,
        target=None if costs.profiles else target,
        error=ALONE_ERROR if request.alone else COMPARE_ERROR,
    )


def default_seeds(protocol: Protocol) -> int:
    """Runs per model by default: three for `linear`, whose heads train in seconds, one for the others.

    Where two models truly differ by the tolerance and trainings of one differ by a point, one seed says "not worse" in
    up to 26 % of cases, three in 1 to 2 % (docs/verdict.md).
    """
    return 3 if protocol == "linear" else 1


def _target(costs: CostRequest, threads: int | None) -> RuntimeSetup | None:
    """What runtime and precision ask for. Raises ForayError; where it is measured here it must be installed."""
    if costs.runtime is None:
        if costs.precision is not None:
            raise ForayError(
                f"`precision` {costs.precision} needs a runtime: name it too, for example `runtime` litert."
            )
        return None
    target = RuntimeSetup(costs.runtime, costs.precision or "fp32", threads or hardware().cores)
    if costs.profiles is not None:
        return target
    return plan_setups([target.runtime], [target.precision], [target.threads])[0]


def _require_distinct(plans: Sequence[RunPlan]) -> None:
    seen: dict[str, str] = {}
    for plan in plans:
        name = plan.spec.name
        if name in seen:
            raise ForayError(
                f"{plan.requested} and {seen[name]} are both {name} with these weights. Name each model once."
            )
        seen[name] = plan.requested


def _forward_seconds_per_image(model: RunPlan, batch_size: int = 8) -> float:
    network = build_model(model.spec, num_classes=model.num_classes, small_image=model.small_image).eval()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    side = model.preprocessing.resolution
    images = torch.zeros(batch_size, 3, side, side).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        network(images)
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            network(images)
            seconds.append(time.perf_counter() - start)
    return min(seconds) / batch_size  # other processes can only make it slower
