"""Pretrained weights on ImageNet images: the one experiment without training."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from foray.data import Dataset, decode_for_evaluation
from foray.models import build_model, find_weights, load_weights
from foray.progress import SILENT, Progress
from foray.records import commit, hardware, versions
from foray.records.reproduction import Evaluation
from foray.reproduce.experiments import Experiment
from foray.reproduce.sources import Places
from foray.specs import get_spec
from foray.training import compute_metrics
from foray.training.precision import resolve_device
from foray.training.whole_network import predict_split

IMAGENET_CLASSES = 1000


def evaluate_weights(
    experiment: Experiment,
    dataset: Dataset,
    places: Places,
    *,
    device: str = "auto",
    workers: int | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Scores the weights of `experiment.model` on the test split, against all 1000 classes, in float32.

    Without `places.weights` the weights are random ones, and the result says so. Raises WeightsError and DataError.
    """
    started = time.perf_counter()
    weights = (
        find_weights(places.weights, experiment.model, offline=not places.download, progress=progress)
        if places.weights
        else None
    )
    spec = weights.spec if weights else get_spec(experiment.model)
    preprocessing = weights.preprocessing if weights else spec.preprocessing
    if experiment.resolution is not None:
        preprocessing = replace(preprocessing, resolution=experiment.resolution)
    network = build_model(spec, num_classes=IMAGENET_CLASSES, seed=0)
    info = load_weights(network, weights) if weights else None
    target = resolve_device(device)
    store = decode_for_evaluation(
        dataset, preprocessing, cache_dir=places.cache_dir, workers=workers, progress=progress
    )
    classes = (*dataset.classes, *(f"class {i}" for i in range(len(dataset.classes), IMAGENET_CLASSES)))
    network.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    predictions = predict_split(
        network, split="test", dataset=replace(dataset, classes=classes), store=store, preprocessing=preprocessing,
        device=target, progress=progress,
    )  # fmt: skip
    metrics = compute_metrics("test", classes, predictions.labels, predictions.probabilities)
    accelerator = torch.cuda.get_device_name(target) if target.type == "cuda" else None
    return Evaluation(
        model=spec.name,
        weights=info,
        resolution=preprocessing.resolution,
        top1=metrics.top1,
        top5=metrics.top5,
        seconds=time.perf_counter() - started,
        hardware=hardware(accelerator),
        versions=versions(),
        commit=commit(),
    )
