"""Training and evaluating in one call each, for Python users and the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from foray.data import (
    Dataset,
    Split,
    UnreadableImagesError,
    cache_directory,
    decode_for_evaluation,
    open_dataset,
)
from foray.errors import DataError
from foray.progress import SILENT, Progress
from foray.recipes import Protocol, Recipe
from foray.records import Metrics, RunRecord
from foray.specs import Preprocessing
from foray.training.metrics import compute_metrics
from foray.training.plan import RunPlan, plan_run, recipe_for
from foray.training.precision import resolve_device
from foray.training.run import train_run
from foray.training.trained import load_run
from foray.training.whole_network import predict_split


def train(
    data: str | Path,
    model: str,
    protocol: Protocol = "finetune",
    *,
    recipe: Recipe | None = None,
    weights: str | Path | None = None,
    epochs: int | None = None,
    unfreeze: str | None = None,
    changes: Sequence[str] = (),
    resolution: int | None = None,
    seed: int = 0,
    deterministic: bool = False,
    out: str | Path = "runs",
    fold: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    skip_unreadable: bool = False,
    device: str = "auto",
    workers: int | None = None,
    cache_dir: Path | None = None,
    progress: Progress = SILENT,
) -> RunRecord:
    """Trains `model` on `data` and scores it on the test split; the run's folder is `out`/<run_id of the record>.

    `data`: a folder of class folders, an archive of one, a CSV, or a name (`digits`). `protocol`: `scratch`, `linear`,
    `partial` (`unfreeze` says what is trained) or `finetune`; its preset (`foray.recipes.presets`) is used, unless
    `recipe` is given, whose own protocol counts then. `changes`: `key=value` of the recipe (`foray.recipes.changed`).
    `weights`: needed but for `scratch`. The same call again returns the same run, or goes on with it.
    Raises ForayError for data, models, weights or numbers that do not fit.
    """
    dataset = open_dataset(data, fold=fold, data_dir=data_dir, offline=offline, cache_dir=cache_dir, progress=progress)
    plan = plan_run(
        model,
        dataset,
        recipe_for(dataset, protocol, recipe=recipe, epochs=epochs, unfreeze=unfreeze, changes=changes),
        weights=weights,
        resolution=resolution,
        seed=seed,
        deterministic=deterministic,
        offline=offline,
        progress=progress,
    )
    if skip_unreadable:
        dataset = without_unreadable(
            dataset, plan.preprocessing, cache_dir=cache_dir, workers=workers, progress=progress
        )
    return train_run(
        plan,
        dataset,
        Path(out) / run_id(plan, dataset),
        device=device,
        cache_dir=cache_dir,
        workers=workers,
        progress=progress,
    )


def evaluate(
    run: str | Path,
    data: str | Path,
    split: Split = "test",
    *,
    fold: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    device: str = "auto",
    workers: int | None = None,
    cache_dir: Path | None = None,
    progress: Progress = SILENT,
) -> Metrics:
    """Scores a finished run on one split of `data`, in float32.

    `fold` is by default the one the run was trained on. Raises RunError when `run` is no finished run, DataError when
    the classes of `data` are not those of the run or the split is empty.
    """
    trained = load_run(run)
    record = trained.record
    dataset = open_dataset(
        data,
        fold=record.dataset.fold if fold is None else fold,
        data_dir=data_dir,
        offline=offline,
        cache_dir=cache_dir,
        progress=progress,
    )
    _require_same_classes(record, dataset)
    if not len(dataset.indices(split)):
        raise DataError(f"{dataset.name} has no {split} images.")
    store = decode_for_evaluation(
        dataset, record.preprocessing, cache_dir=cache_dir, workers=workers, progress=progress
    )
    target = resolve_device(device)
    network = trained.network.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    predictions = predict_split(
        network, split=split, dataset=dataset, store=store, preprocessing=record.preprocessing, device=target,
        progress=progress,
    )  # fmt: skip
    return compute_metrics(split, dataset.classes, predictions.labels, predictions.probabilities)


def run_id(plan: RunPlan, dataset: Dataset) -> str:
    """Name of a run's folder: model, protocol, data, seed, and a digest of everything that decides the result."""
    name = re.sub(r"[^\w.-]+", "_", dataset.name)
    digest = f"{plan.key[:4]}{dataset.fingerprint[:4]}"
    return f"{plan.spec.name}-{plan.recipe.protocol}-{name}-seed{plan.seed}-{digest}"


def without_unreadable(
    dataset: Dataset,
    preprocessing: Preprocessing,
    *,
    cache_dir: Path | None,
    workers: int | None,
    progress: Progress = SILENT,
) -> Dataset:
    """The dataset without images that cannot be read; decodes what it keeps. Raises DataError when too few are left."""
    cache = cache_dir or cache_directory()
    try:
        decode_for_evaluation(dataset, preprocessing, cache_dir=cache, workers=workers, progress=progress)
    except UnreadableImagesError as error:
        progress.note(f"Left out {len(error.ids)} unreadable images.")
        return dataset.without(error.ids, why="unreadable")
    return dataset


def _require_same_classes(record: RunRecord, dataset: Dataset) -> None:
    if list(dataset.classes) == record.dataset.classes:
        return
    unknown = sorted(set(dataset.classes) - set(record.dataset.classes))
    missing = sorted(set(record.dataset.classes) - set(dataset.classes))
    told = [
        f"{name} {', '.join(classes[:5])}"
        for name, classes in (("unknown:", unknown), ("missing:", missing))
        if classes
    ]
    raise DataError(
        f"The classes of {dataset.name} are not those the run was trained on ({'; '.join(told) or 'another order'})."
    )
