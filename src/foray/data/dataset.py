"""A dataset in memory as names: which image, which label, which split. Pixels are read later, once, by the cache."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from foray.errors import DataError
from foray.parsing import shortened
from foray.records import DatasetInfo

if TYPE_CHECKING:
    from foray.data.appearance import Appearances, NearPairs

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
    """Samples with class names. `split_origin` says whether splits were given or carved, by which rule and seed.

    `appearances`: of every sample; `near`: which samples are near-duplicates of each other. Both may hold more images
    than `samples`, and are None where nobody has looked.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    split_origin: str
    licence: str | None = None
    fold: int | None = None
    fingerprint: str = ""
    notes: tuple[str, ...] = ()  # what a reader should know: unreadable files left out, duplicates kept together
    appearances: Appearances | None = field(default=None, compare=False, repr=False)
    near: NearPairs | None = field(default=None, compare=False, repr=False)

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

    def without(self, ids: Iterable[str], why: str = "left out") -> Dataset:
        """The dataset less some samples, with a note that says so and a new fingerprint.

        A class of which no image is left goes with them, with a note. Raises DataError when an id is unknown, or a
        class that has images left would have none to train on, or fewer than two classes are left.
        """
        dropped = set(ids)
        if not dropped:
            return self
        if unknown := dropped - {sample.id for sample in self.samples}:
            raise DataError(f"{self.name} has no image {min(unknown)!r}.")
        kept = tuple(sample for sample in self.samples if sample.id not in dropped)
        trained = {sample.label for sample in self.samples if sample.split == "train"}
        remaining = {sample.label for sample in kept}
        lost = sorted((trained & remaining) - {sample.label for sample in kept if sample.split == "train"})
        if lost:
            raise DataError(
                f"Without {some_names(dropped)} class {self.classes[lost[0]]!r} has no train image. "
                "Replace these files, or remove the class."
            )
        note = f"{counted(len(dropped), 'image')} {why}: {some_names(dropped)}"
        emptied = {sample.label for sample in self.samples} - remaining
        fewer = replace(self, samples=kept, notes=(*self.notes, note))
        return (fewer._without_classes(emptied) if emptied else fewer).fingerprinted()

    def _without_classes(self, labels: Collection[int]) -> Dataset:
        """Less classes that have no images."""
        left = [label for label in range(len(self.classes)) if label not in labels]
        gone = [self.classes[label] for label in labels]
        if len(left) < 2:
            raise DataError(f"Without {some_names(gone)}, of which no image is left, fewer than two classes remain.")
        new = {label: i for i, label in enumerate(left)}
        return replace(
            self,
            classes=tuple(self.classes[label] for label in left),
            samples=tuple(replace(sample, label=new[sample.label]) for sample in self.samples),
            notes=(*self.notes, f"no image is left of {counted(len(gone), 'class', 'classes')}: {some_names(gone)}"),
        )

    def fingerprinted(self) -> Dataset:
        """The dataset with `fingerprint`: SHA-256 over class names and sorted (id, label, split, content)."""
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        for sample in sorted(self.samples, key=lambda sample: sample.id):
            digest.update(json.dumps([sample.id, sample.label, sample.split, sample.content]).encode())
        return replace(self, fingerprint=digest.hexdigest())


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """`1 image`, `2 images`, `4,750 images`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def some_names(names: Iterable[str], shown: int = 3) -> str:
    """The first few names in order, and how many more there are: `a.jpg, b.jpg, c.jpg and 4 more`."""
    ordered = [shortened(name) for name in sorted(names)]
    more = len(ordered) - shown
    return ", ".join(ordered[:shown]) + (f" and {more:,} more" if more > 0 else "")
