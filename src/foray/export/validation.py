"""The images int8 is calibrated on, and those that say how much accuracy it lost. The test split is neither."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from foray.data import Dataset, decode_for_evaluation
from foray.data.cache import Pixels
from foray.deploy import Session
from foray.deploy.predict import RUNTIMES
from foray.export.graph import deployable
from foray.export.quantization import TrainImages, int8_loss, train_images
from foray.export.quantization.train_images import stratified_order
from foray.export.source import ExportSource
from foray.progress import SILENT, Progress
from foray.records import Runtime
from foray.requests import Machine
from foray.runs.held_out import trained_on
from foray.statistics.paired import PairedResult

_BATCH_SIZE = 32
_HELD_BACK = 4  # of calibration images that come without a val split, one in so many measures


@dataclass(frozen=True, eq=False)
class Validation:
    """Prepared images: `pixels` uint8 (M, R, R, 3), of which `rows` (N,) are used, with their `labels` (N,).

    `float32` (N, C): the network's probabilities.
    """

    pixels: Pixels
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    float32: npt.NDArray[np.float32]

    def measure(self, runtime: Runtime, entry: Path, batch: int | None, tolerance: float) -> PairedResult:
        """The accuracy that the file in `entry`, which takes `batch` prepared images, loses against float32."""
        side = self.pixels.shape[1]
        description = {"precision": "int8", "input": {"height": side, "width": side, "batch": batch}}
        session = Session(RUNTIMES[runtime][1](entry, description, torch.get_num_threads()), 1)
        found = np.concatenate([session.run(self.pixels[row][None]) for row in self.rows])
        return int8_loss(self.float32, found, self.labels, tolerance)


@dataclass(frozen=True, eq=False)
class QuantizationImages:
    """`train`: to calibrate on and to tune with; `validation`: to measure with. `dataset`: what both are of."""

    train: TrainImages
    validation: Validation | None
    dataset: Dataset


def quantization_images(
    source: ExportSource,
    dataset: Dataset,
    machine: Machine,
    *,
    whole: bool,
    seed: int,
    progress: Progress = SILENT,
) -> QuantizationImages:
    """From `dataset`: its train and val images, or, with `whole`, all of its images, three quarters for calibration.

    `source`: the float32 network, which says what can be lost; with `whole` no image that it was fitted to measures.
    Raises DataError when there are no train images.
    """
    store = decode_for_evaluation(
        dataset, source.preprocessing, cache_dir=machine.cache, workers=machine.workers, progress=progress
    )
    module = deployable(source.network, source.preprocessing)
    if whole:
        order = stratified_order(store.labels, seed)
        fitted = trained_on(source.folder) if source.folder else ()
        fresh = np.array([dataset.samples[i].content not in fitted for i in order], dtype=np.bool_)
        rows = np.sort(order[fresh][: len(order) // _HELD_BACK])
        train_rows = np.setdiff1d(order, rows)
        train = TrainImages(store.pixels, train_rows, store.labels[train_rows])
    else:
        train, rows = train_images(dataset, store), dataset.indices("val")
    if not len(rows):
        return QuantizationImages(train, None, dataset)
    labels = store.labels[rows]
    found = []
    with torch.inference_mode(), progress.task("float32 on val", len(rows)) as task:
        for start in range(0, len(rows), _BATCH_SIZE):
            chosen = rows[start : start + _BATCH_SIZE]
            found.append(module(torch.from_numpy(store.pixels[chosen])).numpy())
            task.advance(len(chosen))
    return QuantizationImages(train, Validation(store.pixels, rows, labels, np.concatenate(found)), dataset)
