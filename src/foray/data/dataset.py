"""A dataset in memory as names: which image, which label, which split. Pixels are read later, once, by the cache."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from foray.records import DatasetInfo

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class ImageFile:
    """An encoded image on disk."""

    path: Path


@dataclass(frozen=True, eq=False)
class ImageArray:
    """An already decoded image: uint8 (H, W, 3) RGB (CIFAR's binary files, scikit-learn's digits)."""

    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sample:
    """One image. `id`: its path relative to the dataset, unique and stable. `group`: images that must share a split.

    `split` is None until it is given or carved. `content`: SHA-256 of the file's bytes (or pixels), hex.
    """

    id: str
    image: ImageFile | ImageArray
    label: int
    split: Split | None = None
    group: str | None = None
    content: str = ""


@dataclass(frozen=True)
class Dataset:
    """Samples with class names. `split_origin` says whether splits were given or carved, and from which seed."""

    name: str
    source: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    split_origin: str
    licence: str | None = None
    fold: int | None = None
    fingerprint: str = ""
    notes: tuple[str, ...] = ()  # what a reader should know: unreadable files left out, duplicates kept together

    def indices(self, split: Split) -> npt.NDArray[np.int64]:
        """Positions in `samples` of one split."""
        return np.array([i for i, sample in enumerate(self.samples) if sample.split == split], dtype=np.int64)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Label of every sample, in the order of `samples`."""
        return np.array([sample.label for sample in self.samples], dtype=np.int64)

    def info(self) -> DatasetInfo:
        """What a record keeps of it."""
        return DatasetInfo(
            name=self.name,
            source=self.source,
            fingerprint=self.fingerprint,
            classes=list(self.classes),
            counts=dict(Counter(sample.split or "unassigned" for sample in self.samples)),
            split_origin=self.split_origin,
            licence=self.licence,
            fold=self.fold,
        )
