"""The images quantisation may look at: the train split, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foray.data.cache import ImageStore, Pixels
from foray.data.dataset import Dataset
from foray.errors import DataError

UInt8Images = npt.NDArray[np.uint8]  # (N, R, R, 3), RGB


@dataclass(frozen=True, eq=False)
class TrainImages:
    """Prepared train images. `pixels` uint8 (M, R, R, 3), possibly a map of a file; `rows` (N,): which of them belong
    to train; `labels` (N,).
    """

    pixels: Pixels
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.rows) == 0:
            raise DataError("int8 needs train images to calibrate with, and there are none. Name the data with `data`.")
        if len(self.rows) != len(self.labels):
            raise ValueError(f"{len(self.rows)} images and {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.rows)

    def sample(self, n: int, seed: int) -> UInt8Images:
        """`n` images (all, if there are fewer), stratified by label: uint8 (n, R, R, 3), in an order that `seed` fixes.

        A larger sample of the same seed holds the smaller one.
        """
        return np.ascontiguousarray(self.pixels[self.rows[stratified_order(self.labels, seed)[:n]]])


def train_images(dataset: Dataset, store: ImageStore) -> TrainImages:
    """The train split of `dataset`, whose images `store` holds as the network sees them in evaluation.

    Raises DataError when the split is empty.
    """
    rows = dataset.indices("train")
    return TrainImages(store.pixels, rows, store.labels[rows])


def stratified_order(labels: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """A random order of 0..N-1 in which every beginning holds the classes in proportion, within one image each.

    Image k of a class with m images is due at (k + u) / m, with one random u in [0, 1) per class.
    """
    generator = np.random.default_rng(seed)
    due = np.empty(len(labels))
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        due[members] = (np.arange(len(members)) + generator.random()) / len(members)
    return np.argsort(due, kind="stable")
