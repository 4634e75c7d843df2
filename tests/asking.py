"""What tests ask for, option by option: the same work as the functions of foray that take requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import foray.comparison
import foray.export.export
import foray.export.reference
import foray.runs
import foray.scaling.search_plan
import foray.training
import foray.training.loop
from foray.comparison import ComparisonPlan, ComparisonRequest, CostRequest
from foray.data import Batches, Dataset
from foray.export.export import Exported
from foray.export.reference import Reference
from foray.export.request import ExportRequest
from foray.export.source import ExportSource
from foray.models import Network
from foray.recipes import Protocol, Recipe
from foray.records import ArtifactOrigin, RunRecord
from foray.requests import ImageSource, Machine, TrainingRequest
from foray.runs.held_out import HeldOut
from foray.scaling.search_plan import SearchPlan
from foray.specs import Preprocessing
from foray.training import RunPlan
from foray.training.checkpoint import TrainingState
from foray.training.loop import TrainingData

_TRAINING = ("recipe", "weights", "epochs", "unfreeze", "changes", "resolution")
_SOURCE = ("fold", "data_dir", "offline", "skip_unreadable")
_COSTS = ("profiles", "runtime", "precision", "wait_seconds")
_MACHINE = ("device", "threads", "workers", "cache_dir", "processes")


def _taken(options: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: options.pop(name) for name in names if name in options}


def recipe_for(dataset: Dataset, protocol: Protocol, **options: Any) -> Recipe:
    """The recipe of a protocol for these images."""
    return TrainingRequest(protocol, **options).recipe_for(dataset)


def plan_run(model: str, dataset: Dataset, recipe: Recipe, **options: Any) -> RunPlan:
    """A run by a recipe."""
    how = TrainingRequest(recipe=recipe, **_taken(options, ("weights", "resolution")))
    return foray.training.plan_run(model, dataset, how, **options)


def train_run(plan: RunPlan, dataset: Dataset, folder: Path, **options: Any) -> RunRecord:
    """Trains a planned run."""
    machine = Machine(**_taken(options, _MACHINE))
    return foray.runs.train_run(plan, dataset, folder, machine, **options)


def plan_comparison(
    data: str | Path, models: Sequence[str], protocol: Protocol = "linear", **options: Any
) -> ComparisonPlan:
    """Plans a comparison."""
    carving = _taken(options, ("carving", "progress"))
    machine = Machine(**_taken(options, _MACHINE))
    source, how = ImageSource(data, **_taken(options, _SOURCE)), TrainingRequest(protocol, **_taken(options, _TRAINING))
    request = ComparisonRequest(source, tuple(models), how, costs=CostRequest(**_taken(options, _COSTS)), **options)
    return foray.comparison.plan_comparison(request, machine, **carving)


def plan_search(data: str | Path, proxy: str, **options: Any) -> SearchPlan:
    """Plans a scaling search."""
    return foray.scaling.search_plan.plan_search(ImageSource(data), proxy, **options)


def fit(
    network: Any,
    recipe: Recipe,
    batches: Batches,
    augment: Callable[..., Any],
    *,
    resolution: int,
    **options: Any,
) -> TrainingState:
    """Runs the training loop."""
    data = _taken(options, ("mix", "class_weights", "image_ids", "processes"))
    data = TrainingData(batches, augment, resolution, **data)
    return foray.training.loop.fit(network, recipe, data, **options)


def export_weights(
    model: str, weights: str | Path, runtimes: Sequence[str], precisions: Sequence[str], out: Path, **options: Any
) -> list[Exported]:
    """Exports published weights."""
    others = _taken(options, ("offline", "progress"))
    machine = Machine(**_taken(options, _MACHINE))
    request = ExportRequest(tuple(runtimes), tuple(precisions), **options)
    return foray.export.export.export_weights(model, weights, request, out, machine, **others)


def reference_of_network(
    network: Network, preprocessing: Preprocessing, classes: Sequence[str], dataset: Dataset, **options: Any
) -> Reference:
    """What a network says of the test images of `dataset`."""
    origin = ArtifactOrigin(id="on the spot", network_sha256="0" * 64)
    source = ExportSource(network, preprocessing, tuple(classes), origin)
    return foray.export.reference.reference_of_network(source, HeldOut(dataset, "test", None), **options)
