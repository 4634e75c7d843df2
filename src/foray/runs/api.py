"""Training and evaluating in one call each, for Python users and the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from foray.cache_folder import cache_directory
from foray.data import (
    NAMED_DATASETS,
    SPLITS,
    Dataset,
    Split,
    UnreadableImagesError,
    decode_for_evaluation,
    open_dataset,
)
from foray.data.open import open_given
from foray.data.split_units import Carving
from foray.data.splits import carving_of
from foray.errors import RunError, require_known
from foray.evaluation.precision import resolve_device
from foray.evaluation.predictions import Predictions
from foray.evaluation.scores import compute_metrics
from foray.parsing import home_expanded
from foray.progress import SILENT, Progress
from foray.recipes import Protocol, Recipe
from foray.recipes.toml import validated
from foray.records import Metrics, RunInputs, RunRecord, find_run
from foray.records.quantities import format_percent
from foray.regular_files import is_there
from foray.runs.carving import has_runs_carved_by_name
from foray.runs.held_out import HeldOut, fold_for, held_out
from foray.runs.run import train_run
from foray.runs.trained import load_run
from foray.specs import Preprocessing
from foray.training.distributed import ALONE, Processes
from foray.training.plan import RunPlan, plan_run, recipe_for
from foray.training.whole_network import predict_split

_NAME_BYTES = 100  # of a data set's name in that of a run's folder, which may have 255


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
    processes: Processes = ALONE,
    progress: Progress = SILENT,
) -> RunRecord:
    """Trains `model` on `data` and scores it on the test split; the run's folder is `out`/<run_id of the record>.

    `data`: a folder of class folders, an archive of one, a CSV, or a name (`digits`). `protocol`: `scratch`, `linear`,
    `partial` (`unfreeze` says what is trained) or `finetune`; its preset (`foray.recipes.presets`) is used, unless
    `recipe` is given, whose own protocol counts then. `changes`: `key=value` of the recipe (`foray.recipes.changed`).
    `weights`: needed but for `scratch`. The same call again returns the same run, or goes on with it.
    `processes`: those that train it together, each of which makes this call (`foray.training.joined_processes`).
    Raises ForayError for data, models, weights or numbers that do not fit.
    """
    inputs = RunInputs(
        data=_source(data),
        weights=_source(weights) if weights is not None else None,
        resolution=resolution,
        fold=fold,
        data_dir=_absolute(data_dir),
        offline=offline,
        skip_unreadable=skip_unreadable,
        workers=workers,
        cache_dir=_absolute(cache_dir),
    )
    with processes.writer_first():  # what has to be downloaded, it downloads
        dataset = _open(data, inputs, progress)
        chosen = recipe_for(dataset, protocol, recipe=recipe, epochs=epochs, unfreeze=unfreeze, changes=changes)
        plan, dataset = _planned(inputs, weights, dataset, model, chosen, seed, deterministic, progress)
        if has_runs_carved_by_name(Path(out), _run_name(plan, dataset)):  # this one may be among them
            before = _open(data, inputs, progress, "by name")
            earlier = _planned(inputs, weights, before, model, chosen, seed, deterministic, progress)
            if (Path(out) / run_id(*earlier)).exists():
                plan, dataset = earlier
    folder = Path(out) / run_id(plan, dataset)
    return train_run(
        plan, dataset, folder, device=processes.device_of(device), cache_dir=cache_dir, workers=workers, inputs=inputs,
        processes=processes, progress=progress,
    )  # fmt: skip


def resume(run: str | Path, *, processes: Processes = ALONE, progress: Progress = SILENT) -> RunRecord:
    """Goes on with a run that `train` began, from its last saved step; `run`: its folder, or the `out` it was given.

    Images, model, recipe, weights, seed and options are those that its record states; `processes` have to be as many
    as then. Returns at once when the run is
    done. Raises RunError when there is no such run, or several, when images or weights are no longer the same, and
    what `train` raises.
    """
    folder = find_run(Path(run))
    record = RunRecord.load(folder / "record.json")
    inputs = record.inputs
    if inputs is None:
        raise RunError(f"{folder} was not begun by foray train. Run the command that began it again: it goes on.")
    recipe = validated(record.recipe, str(folder / "record.json"))
    model = record.architecture.requested
    with processes.writer_first():
        carving = carving_of(record.dataset.split_origin)
        dataset = _open(inputs.data, inputs, progress, carving)
        plan, dataset = _planned(
            inputs, inputs.weights, dataset, model, recipe, record.seed, record.deterministic, progress
        )
    _require_unchanged(folder, record, plan, dataset)
    return train_run(
        plan,
        dataset,
        folder,
        device=processes.device_of(record.device),
        cache_dir=Path(inputs.cache_dir) if inputs.cache_dir else None,
        workers=inputs.workers,
        inputs=inputs,
        processes=processes,
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
    """Scores a finished run on images it was neither trained nor selected on, in float32.

    Of `data` with splits the test split is scored, of data without splits every image; what the run knows is left out
    and counted in `left_out`, whatever it is called now, so that of the run's own data its own test split is scored.
    `split` train or val scores those images on purpose. The classes may be any of the run's, by name; those without
    images are in `absent`. `fold` is by default the one the run was trained on. Raises RunError when `run` is no
    finished run, DataError when a class of `data` is not the run's or no image is left.
    """
    require_known("split", split, SPLITS)
    trained = load_run(run)
    record = trained.record
    given = open_given(
        data,
        fold=fold_for(data, record.dataset.name, record.dataset.fold, fold),
        data_dir=data_dir,
        offline=offline,
        cache_dir=cache_dir,
        progress=progress,
    )
    images = held_out(run, given, split, cache_dir=cache_dir or cache_directory(), progress=progress)
    dataset = images.dataset
    store = decode_for_evaluation(
        dataset, record.preprocessing, cache_dir=cache_dir, workers=workers, progress=progress
    )
    target = resolve_device(device)
    network = trained.network.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    predictions = predict_split(
        network, split=split, dataset=dataset, store=store, preprocessing=record.preprocessing, device=target,
        progress=progress,
    )  # fmt: skip
    metrics = compute_metrics(split, dataset.classes, predictions.labels, predictions.probabilities)
    notes = [*images.notes, *_of_leaked(images, predictions)]
    return metrics.model_copy(update={"left_out": images.left_out, "notes": notes})


def _of_leaked(images: HeldOut, predictions: Predictions) -> list[str]:
    """The score without those of the run's own test images that are near copies of what it was fitted to."""
    if images.leaked is None or not images.leaked.any():
        return []
    others = ~images.leaked
    right = (predictions.probabilities.argmax(axis=1) == predictions.labels)[others]
    rest = f"on the others accuracy is {format_percent(float(right.mean()))} (n = {len(right):,})" if len(right) else ""
    return [
        f"{int(images.leaked.sum()):,} of these {len(others):,} images are near copies of images the run was trained "
        f"or selected on; {rest or 'there are no others'}."
    ]


def run_id(plan: RunPlan, dataset: Dataset) -> str:
    """Name of a run's folder: model, protocol, data, seed, and a digest of everything that decides the result."""
    return f"{_run_name(plan, dataset)}{plan.key[:4]}{dataset.fingerprint[:4]}"


def _run_name(plan: RunPlan, dataset: Dataset) -> str:
    name = re.sub(r"[^\w.-]+", "_", dataset.name).encode()[:_NAME_BYTES].decode(errors="ignore")
    return f"{plan.spec.name}-{plan.recipe.protocol}-{name}-seed{plan.seed}-"


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


def _open(data: str | Path, inputs: RunInputs, progress: Progress, carving: Carving = "by content") -> Dataset:
    return open_dataset(
        data,
        fold=inputs.fold,
        data_dir=Path(inputs.data_dir) if inputs.data_dir else None,
        offline=inputs.offline,
        cache_dir=Path(inputs.cache_dir) if inputs.cache_dir else None,
        carving=carving,
        progress=progress,
    )


def _planned(
    inputs: RunInputs,
    weights: str | Path | None,
    dataset: Dataset,
    model: str,
    recipe: Recipe,
    seed: int,
    deterministic: bool,
    progress: Progress,
) -> tuple[RunPlan, Dataset]:
    """The plan, and the dataset less what is unreadable if that is to be left out."""
    plan = plan_run(
        model, dataset, recipe, weights=weights, resolution=inputs.resolution, seed=seed,
        deterministic=deterministic, offline=inputs.offline, progress=progress,
    )  # fmt: skip
    if inputs.skip_unreadable:
        cache_dir = Path(inputs.cache_dir) if inputs.cache_dir else None
        dataset = without_unreadable(
            dataset, plan.preprocessing, cache_dir=cache_dir, workers=inputs.workers, progress=progress
        )
    return plan, dataset


def _require_unchanged(folder: Path, record: RunRecord, plan: RunPlan, dataset: Dataset) -> None:
    pairs = {
        "images": (record.dataset.source, record.dataset.fingerprint, dataset.fingerprint),
        "weights": (
            record.weights.source if record.weights else "",
            record.weights.sha256 if record.weights else "",
            plan.weights.sha256 if plan.weights else "",
        ),
    }
    for what, (source, there, here) in pairs.items():
        if there != here:
            raise RunError(
                f"{folder} cannot go on: the {what} of {source} have changed since it began (SHA-256 {there[:12]} "
                f"then, {here[:12]} now). Put them back, or begin a new run without --resume."
            )


def _source(name: str | Path) -> str:
    """What still names the same thing in another folder: paths become absolute, names of data sets and hubs stay."""
    if isinstance(name, str) and (name in NAMED_DATASETS or not is_there(home_expanded(name))):
        return name
    return str(home_expanded(name).absolute())


def _absolute(path: Path | None) -> str | None:
    return str(home_expanded(path).absolute()) if path is not None else None
