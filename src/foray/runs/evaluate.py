"""The accuracy of a finished run on images it was neither trained nor selected on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from foray.data import SPLITS, Split, decode_for_evaluation
from foray.errors import require_known
from foray.evaluation.precision import resolve_device
from foray.evaluation.predictions import Predictions
from foray.evaluation.scores import compute_metrics
from foray.progress import SILENT, Progress
from foray.records import Metrics
from foray.records.quantities import format_percent
from foray.requests import ImageSource, Machine
from foray.runs.held_out import HeldOut, fold_for, held_out
from foray.runs.trained import load_run
from foray.training.whole_network import predict_split


def evaluate(
    run: str | Path,
    source: ImageSource,
    split: Split = "test",
    machine: Machine = Machine(),
    *,
    progress: Progress = SILENT,
) -> Metrics:
    """Scores the finished run in the folder `run` on images of `source`, in float32; see `foray.evaluate`.

    Raises RunError when `run` is no finished run, DataError when a class of the data is not the run's or no image is
    left.
    """
    require_known("split", split, SPLITS)
    trained = load_run(run)
    record = trained.record
    fold = fold_for(source.data, record.dataset.name, record.dataset.fold, source.fold)
    given = replace(source, fold=fold).open_given(machine.cache, progress)
    images = held_out(run, given, split, cache_dir=machine.cache, progress=progress)
    dataset = images.dataset
    store = decode_for_evaluation(
        dataset, record.preprocessing, cache_dir=machine.cache, workers=machine.workers, progress=progress
    )
    target = resolve_device(machine.device)
    network = trained.network.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    predictions = predict_split(
        network, split=split, dataset=dataset, store=store, preprocessing=record.preprocessing, device=target,
        progress=progress,
    )  # fmt: skip
    metrics = compute_metrics(split, dataset.classes, predictions.labels, predictions.probabilities)
    notes = [*images.notes, *_of_leaked(images, predictions)]
    return metrics.model_copy(update={"left_out": images.left_out, "notes": notes})


def _of_leaked(images: HeldOut, predictions: Predictions) -> list[str]:
    """The score without those of the run's own test images that are near-duplicates of what it was fitted to."""
    if images.leaked is None or not images.leaked.any():
        return []
    others = ~images.leaked
    right = (predictions.probabilities.argmax(axis=1) == predictions.labels)[others]
    rest = f"on the others accuracy is {format_percent(float(right.mean()))} (n = {len(right):,})" if len(right) else ""
    return [
        f"{int(images.leaked.sum()):,} of these {len(others):,} images are near-duplicates of images that the "
        f"run was trained or selected on; {rest or 'there are no others'}."
    ]
