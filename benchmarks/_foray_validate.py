"""foray's side of the ImageNet evaluation: JPEG files to kept predictions, and its two halves, each alone."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks._side import ProcessMemory, Work, serve
from foray.data.encoded_images import decoded_batches
from foray.data.named.imagenet import validation_images
from foray.evaluation.imagenet import Classifier, PredictionJob
from foray.evaluation.inference_engine import fastest_engine
from foray.evaluation.precision import resolve_device
from foray.models import build_model
from foray.progress import SILENT
from foray.weights import find_weights, load_weights

BATCH_SIZE = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="class folders")
    parser.add_argument("--threads", type=int, help="of the network (default: cores)")
    parser.add_argument("--workers", type=int, help="threads that decode (default: cores)")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    serve(lambda: prepare(given))


def prepare(given: argparse.Namespace) -> Work:
    """Everything up to the first image, and one evaluation, whose predictions are told."""
    found = find_weights(given.weights, given.network)
    network = build_model(found.spec, num_classes=found.num_classes)
    load_weights(network, found)
    classifier = Classifier(network.eval(), found.preprocessing)
    images = validation_images(given.folder, cache_dir=given.folder).images
    batches = [range(i, min(i + BATCH_SIZE, len(images))) for i in range(0, len(images), BATCH_SIZE)]

    def decoded() -> int:
        stream = decoded_batches(images, batches, found.preprocessing, workers=given.workers)
        return sum(len(batch.positions) for batch in stream)

    pixels = next(decoded_batches(images, batches, found.preprocessing, workers=1)).pixels
    engine = fastest_engine(classifier, pixels, resolve_device(given.device), threads=given.threads)

    def network_alone() -> int:
        stream = ((batch, pixels[: len(batch)]) for batch in batches)
        return sum(len(batch) for batch, _ in engine.outputs(stream))

    def evaluated() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        with tempfile.TemporaryDirectory() as folder:
            job = PredictionJob(images, found.preprocessing, engine, Path(folder), BATCH_SIZE, given.workers)
            return job.run(SILENT)[0].classes[:, 0]

    top1 = dict(zip((image.name.name for image in images), evaluated().tolist(), strict=True))
    tasks = {"evaluate": passes(evaluated), "decode": passes(decoded), "network": passes(network_alone)}
    return Work(tasks, {"top1": top1, "engine": engine.name}, ProcessMemory())


def passes(work: Callable[[], object]) -> Callable[[int], None]:
    """A step is a pass over all images."""

    def steps(n: int) -> None:
        for _ in range(n):
            work()

    return steps


if __name__ == "__main__":
    main()
