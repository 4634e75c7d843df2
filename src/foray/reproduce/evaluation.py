"""Pretrained weights on ImageNet images: the one experiment without training."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from foray.data import Dataset, decode_for_evaluation
from foray.models import PretrainedWeights, build_model, load_weights
from foray.progress import SILENT, Progress
from foray.records import commit, hardware, versions
from foray.records.reproduction import Evaluation
from foray.training import compute_metrics
from foray.training.precision import resolve_device
from foray.training.whole_network import predict_split

IMAGENET_CLASSES = 1000


def evaluate_weights(
    weights: PretrainedWeights,
    dataset: Dataset,
    resolution: int | None,
    *,
    device: str = "auto",
    workers: int | None = None,
    cache_dir: Path | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Scores `weights` on the test split, against all 1000 classes, in float32.

    `resolution` in pixels; None: the weights' own. Raises WeightsError and DataError.
    """
    started = time.perf_counter()
    preprocessing = replace(weights.preprocessing, resolution=resolution or weights.preprocessing.resolution)
    network = build_model(weights.spec, num_classes=IMAGENET_CLASSES, seed=0)
    info = load_weights(network, weights)
    target = resolve_device(device)
    store = decode_for_evaluation(dataset, preprocessing, cache_dir=cache_dir, workers=workers, progress=progress)
    classes = (*dataset.classes, *(f"class {i}" for i in range(len(dataset.classes), IMAGENET_CLASSES)))
    network.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    predictions = predict_split(
        network, split="test", dataset=replace(dataset, classes=classes), store=store, preprocessing=preprocessing,
        device=target, progress=progress,
    )  # fmt: skip
    metrics = compute_metrics("test", classes, predictions.labels, predictions.probabilities)
    accelerator = torch.cuda.get_device_name(target) if target.type == "cuda" else None
    return Evaluation(
        model=weights.spec.name,
        weights=info,
        resolution=preprocessing.resolution,
        top1=metrics.top1,
        top5=metrics.top5,
        seconds=time.perf_counter() - started,
        hardware=hardware(accelerator),
        versions=versions(),
        commit=commit(),
    )
