"""Top-1 and top-5 of published weights on ImageNet: image files to predictions, without a cache of pixels.

Threads decode while the network computes. Predictions are kept in shards, so an interrupted evaluation continues; the
result is bitwise that of an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foray.data.encoded_images import DecodedBatch, EncodedImage, decoded_batches
from foray.data.images import UnreadableImagesError
from foray.data.named.imagenet import ValidationImages, validation_images
from foray.data.network_input import normalize
from foray.deploy.predict import READER_VERSION
from foray.errors import DataError, WeightsError
from foray.evaluation.inference_engine import InferenceEngine, fastest_engine
from foray.evaluation.precision import resolve_device
from foray.evaluation.prediction_shards import (
    TOP,
    TopPredictions,
    read_shard,
    shard_path,
    shards_of,
    top_predictions,
    write_shard,
)
from foray.models import Network, build_model
from foray.progress import SILENT, Progress, Task
from foray.records import Estimate, WeightsInfo, folder_lock, hardware, remove_unfinished_files, versions
from foray.records.pretrained_evaluation import PretrainedEvaluation
from foray.requests import ImageSource, Machine
from foray.specs.preprocessing import Preprocessing
from foray.statistics import wilson_interval
from foray.weights import PretrainedWeights, find_weights, load_weights

_BATCH_SIZES = {"cpu": 16, "cuda": 256}  # on a CPU small batches stay in its caches
_CLASSES = 1000
_FORMAT_VERSION = 1


class Classifier(nn.Module):
    """uint8 (N, R, R, 3) -> logits (N, 1000); of 1001 classes the first, TensorFlow's background, is left out."""

    def __init__(self, network: Network, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.preprocessing = preprocessing

    def forward(self, images: Tensor) -> Tensor:
        channels_first = images.permute(0, 3, 1, 2)  # of a contiguous array: channels-last, nothing is copied
        logits: Tensor = self.network(normalize(channels_first, self.preprocessing))
        return logits[:, 1:] if self.network.num_classes == _CLASSES + 1 else logits


def evaluate_pretrained(
    model: str,
    weights: str | Path,
    source: ImageSource,
    machine: Machine = Machine(),
    *,
    out: str | Path = "evaluations",
    progress: Progress = SILENT,
) -> tuple[PretrainedEvaluation, Path]:
    """Scores `weights` (see `find_weights`) of `model` on ImageNet images, in float32.

    `source`: `imagenet`, whose images are in its `data_dir`.

    Returns the record and the folder below `out` that keeps it and the predictions. The resolution, resize, crop and
    normalisation are those of the weights. Raises UnknownNameError, WeightsError when the weights fit no model or
    classify something else, DataError when images or labels are missing, UnreadableImagesError unless
    `source` leaves them out, RunError when another process evaluates the same.
    """
    found = find_weights(weights, model, offline=source.offline, progress=progress)
    _require_imagenet_classes(found)  # before the images are looked for, which may take long
    data = validation_images(source.data_dir, cache_dir=machine.cache, progress=progress)
    return evaluate_weights(found, data, machine, out=out, skip_unreadable=source.skip_unreadable, progress=progress)


def evaluate_weights(
    found: PretrainedWeights,
    data: ValidationImages,
    machine: Machine = Machine(),
    *,
    out: str | Path,
    skip_unreadable: bool = False,
    progress: Progress = SILENT,
) -> tuple[PretrainedEvaluation, Path]:
    """As `evaluate_pretrained`, of weights and images that are found already."""
    classifier, info = _load(found)
    target = resolve_device(machine.device)
    side = found.preprocessing.resolution
    sample = next(decoded_batches(data.images[:4], [range(min(4, len(data.images)))], found.preprocessing, workers=1))
    first = np.concatenate([sample.pixels, np.full((2, side, side, 3), 128, dtype=np.uint8)])
    engine = fastest_engine(classifier, first, target, threads=machine.threads, progress=progress)
    folder = Path(out) / f"{found.spec.name}-{_key(found, engine, target)}"
    with folder_lock(folder, what="evaluation"):
        remove_unfinished_files(folder)
        job = PredictionJob(
            data.images,
            found.preprocessing,
            engine,
            folder / "predictions",
            _BATCH_SIZES[target.type],
            machine.workers,
        )
        predictions, computed, seconds = job.run(progress)
        score = _score(data, predictions, skip_unreadable=skip_unreadable)
        record = PretrainedEvaluation(
            model=found.spec.name,
            weights=info,
            preprocessing=found.preprocessing,
            num_classes=found.num_classes,
            n=score.top1.n,
            top1=score.top1,
            top5=score.top5,
            published_top1=found.spec.published.top1 if found.spec.published else None,
            unreadable=score.unreadable,
            missing=data.missing,
            notes=list(data.notes),
            engine=engine.name,
            device=str(target),
            computed=computed,
            seconds=seconds,
            hardware=hardware(torch.cuda.get_device_name(target) if target.type == "cuda" else None),
            versions=versions(),
        )
        record.save(folder / "evaluation.json")
    return record, folder


def _require_imagenet_classes(found: PretrainedWeights) -> None:
    """Raises WeightsError for weights that do not classify into ImageNet's classes."""
    if found.num_classes == 0:
        raise WeightsError(f"The weights in {found.source} are a backbone without a classifier.")
    if found.num_classes not in (_CLASSES, _CLASSES + 1):
        raise WeightsError(
            f"The weights in {found.source} have {found.num_classes:,} classes, not the 1000 of ImageNet (or "
            "1001 with TensorFlow's background). Score a run on its own images with foray evaluate RUN DATA."
        )


def _load(found: PretrainedWeights) -> tuple[Classifier, WeightsInfo]:
    """The network with its weights. Raises WeightsError when they do not classify into ImageNet's classes."""
    _require_imagenet_classes(found)
    network = build_model(found.spec, num_classes=found.num_classes)
    info = load_weights(network, found)
    return Classifier(network.eval(), found.preprocessing), info


def _key(found: PretrainedWeights, engine: InferenceEngine, device: torch.device) -> str:
    """Everything that decides the predictions of an image, except the image."""
    about = {
        "format": _FORMAT_VERSION, "architecture": found.spec.name, "weights": found.sha256,
        "preprocessing": asdict(found.preprocessing), "engine": engine.name, "version": versions().get(engine.name),
        "pillow": versions().get("pillow"), "reader": READER_VERSION, "device": device.type,
    }  # fmt: skip
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class PredictionJob:
    """Predictions of `images` by `engine`, kept in shards in `folder`. `workers`: threads that decode."""

    images: Sequence[EncodedImage]
    preprocessing: Preprocessing
    engine: InferenceEngine
    folder: Path
    batch_size: int
    workers: int | None

    def run(self, progress: Progress) -> tuple[TopPredictions, int, float]:
        """Predictions of all images, how many of them were computed now, and the seconds that took."""
        shards = shards_of(len(self.images))
        paths = {shard: shard_path(self.folder, shard, self.images) for shard in shards}
        kept = {shard: found for shard in shards if (found := read_shard(paths[shard], len(shard))) is not None}
        missing = [shard for shard in shards if shard not in kept]
        if kept and missing:
            progress.note(f"Continuing: {sum(map(len, kept)):,} of {len(self.images):,} images were predicted already.")
        began = time.perf_counter()
        computed = sum(map(len, missing))
        with progress.task("evaluating", total=computed) as task:
            for shard, predictions in self._predict(missing, task):
                write_shard(paths[shard], predictions)
                kept[shard] = predictions
        seconds = time.perf_counter() - began
        return TopPredictions.joined([kept[shard] for shard in shards]), computed, seconds

    def _predict(self, shards: Sequence[range], task: Task) -> Iterator[tuple[range, TopPredictions]]:
        """Each shard when its last batch is done; the batches of the next are being decoded by then."""
        size = self.batch_size
        batches = [shard[start : start + size] for shard in shards for start in range(0, len(shard), size)]
        of_start = {batch.start: shard for shard in shards for batch in batches if batch.start in shard}
        begun: dict[range, _ShardInWork] = {}
        decoded = decoded_batches(self.images, batches, self.preprocessing, workers=self.workers)
        for batch, logits in self.engine.outputs((batch, batch.pixels) for batch in decoded):
            shard = of_start[batch.positions.start]
            in_work = begun.setdefault(shard, _ShardInWork(shard))
            in_work.add(batch, logits)
            task.advance(len(batch.positions))
            if in_work.left == 0:
                yield shard, begun.pop(shard).predictions()


class _ShardInWork:
    """A shard some batches of which are still to come."""

    def __init__(self, shard: range) -> None:
        self._shard = shard
        self.left = len(shard)
        self._classes = np.zeros((len(shard), TOP), dtype=np.int16)
        self._probabilities = np.zeros((len(shard), TOP), dtype=np.float32)
        self._reasons = [""] * len(shard)

    def add(self, batch: DecodedBatch, logits: npt.NDArray[np.float32]) -> None:
        start = batch.positions.start - self._shard.start
        rows = slice(start, start + len(batch.positions))
        self._classes[rows], self._probabilities[rows] = top_predictions(logits)
        for position, reason in batch.reasons.items():
            row = position - self._shard.start
            self._reasons[row] = reason
            self._classes[row], self._probabilities[row] = 0, 0.0
        self.left -= len(batch.positions)

    def predictions(self) -> TopPredictions:
        return TopPredictions(self._classes, self._probabilities, np.array(self._reasons, dtype=np.str_))


@dataclass(frozen=True)
class _Score:
    top1: Estimate
    top5: Estimate
    unreadable: dict[str, str]


def _score(data: ValidationImages, predictions: TopPredictions, *, skip_unreadable: bool) -> _Score:
    """Accuracy over the images that can be read. Raises UnreadableImagesError, and DataError when none can."""
    unreadable = {
        str(image.name): str(reason) for image, reason in zip(data.images, predictions.reasons, strict=True) if reason
    }
    if unreadable and not skip_unreadable:
        raise UnreadableImagesError(unreadable)
    read = predictions.reasons == ""
    if not read.any():
        raise DataError(f"None of the {len(data.images):,} images can be read.")
    hits = predictions.classes[read] == data.labels[read, None]
    return _Score(_proportion(hits[:, 0]), _proportion(hits.any(axis=1)), unreadable)


def _proportion(hits: npt.NDArray[np.bool_]) -> Estimate:
    n, successes = len(hits), int(hits.sum())
    low, high = wilson_interval(successes, n)
    return Estimate(value=successes / n, low=low, high=high, n=n)
