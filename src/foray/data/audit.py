"""What is in a dataset before anything is trained on it: `foray data inspect`."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from foray.cache_folder import cache_directory
from foray.data.appearance import Appearances, appearances_of, why_unreadable
from foray.data.content import EMPTY_SHA256
from foray.data.dataset import SPLITS, Dataset, ImageArray, Sample
from foray.data.images import size_and_mode
from foray.data.perceptual_hash import near_duplicates
from foray.errors import DataError
from foray.progress import SILENT, Progress
from foray.records import DatasetInfo, Record

_SIDES_SAMPLED = 200


class PixelRange(Record):
    """Smallest, median and largest, pixels."""

    min: int
    median: float
    max: int


class UnreadableImage(Record):
    """An image that cannot be decoded, and why."""

    id: str
    reason: str


class DuplicatePair(Record):
    """Two images of different splits that are (nearly) the same; `first` is of the later split (test, then val).

    `correlation`: of their 24x24 grey thumbnails; 1 for exact copies.
    """

    first: str
    first_split: str
    second: str
    second_split: str
    same_class: bool
    correlation: float


class Audit(Record):
    """Findings. `counts[class][split]`: images. `imbalance_ratio`: largest class over smallest that has images.

    Sizes and modes are as stored in the files, unreadable ones not counted (None: nothing readable). Of each image,
    only its most similar one in another split is listed. `copies_within_splits`: images beyond the first of each set
    of exact copies inside a split. `groups`: sets of images that belong together by what the data say (0: none said).
    """

    schema_version: Literal[1] = 1
    dataset: DatasetInfo
    counts: dict[str, dict[str, int]]
    imbalance_ratio: float
    width: PixelRange | None
    height: PixelRange | None
    short_side: PixelRange | None
    modes: dict[str, int]
    unreadable: list[UnreadableImage] = Field(default_factory=list)
    exact_duplicates: list[DuplicatePair] = Field(default_factory=list)
    near_duplicates: list[DuplicatePair] = Field(default_factory=list)
    copies_within_splits: int = 0
    groups: int = 0
    licence: str | None
    split_origin: str
    notes: list[str] = Field(default_factory=list)


def inspect_dataset(dataset: Dataset, *, cache_dir: Path | None = None, progress: Progress = SILENT) -> Audit:
    """Reports sizes, unreadable files and duplicates across splits; decodes what has not been looked at yet."""
    cache_dir = cache_dir or cache_directory()
    appearances = dataset.appearances or appearances_of(dataset.samples, cache_dir=cache_dir, progress=progress)
    rows = [appearances.row[sample.content] for sample in dataset.samples]
    reasons = [
        reason if sample.content else why_unreadable(sample)
        for sample, reason in zip(dataset.samples, appearances.reasons[rows].tolist(), strict=True)
    ]
    readable = [i for i, reason in enumerate(reasons) if not reason]
    sizes = appearances.sizes[[rows[i] for i in readable]].reshape(-1, 2)
    exact, copies_within = _exact_duplicates(dataset.samples)
    paired = {pair.first for pair in exact}
    samples = [dataset.samples[i] for i in readable]
    trusted = dataset.near is None or len(dataset.near.contents) > 0
    pairs = _near_duplicates(samples, appearances, progress) if trusted else []
    near = [pair for pair in pairs if pair.first not in paired]
    counts = _counts(dataset)
    totals = [sum(by_split.values()) for by_split in counts.values() if by_split]
    return Audit(
        dataset=dataset.info(),
        counts=counts,
        imbalance_ratio=max(totals) / min(totals),
        width=_range(sizes[:, 0].tolist()),
        height=_range(sizes[:, 1].tolist()),
        short_side=_range(sizes.min(axis=1).tolist()),
        modes=dict(Counter(appearances.modes[[rows[i] for i in readable]].tolist()).most_common()),
        unreadable=[
            UnreadableImage(id=sample.id, reason=reason)
            for sample, reason in zip(dataset.samples, reasons, strict=True)
            if reason
        ],
        exact_duplicates=exact,
        near_duplicates=near,
        copies_within_splits=copies_within,
        groups=len({sample.group for sample in dataset.samples if sample.group}),
        licence=dataset.licence,
        split_origin=dataset.split_origin,
        notes=list(dataset.notes),
    )


def typical_side(dataset: Dataset) -> int:
    """Median short side, pixels, of up to 200 images spread over the dataset; only file headers are read.

    Raises DataError when none of them is an image.
    """
    step = max(1, len(dataset.samples) // _SIDES_SAMPLED)
    chosen = dataset.samples[::step][:_SIDES_SAMPLED]
    sides = [min(size) for sample in chosen if (size := _header_size(sample)) is not None]
    if not sides:
        raise DataError(f"No image of {dataset.name} can be read, for example {chosen[0].id}.")
    return int(np.median(sides))


def _header_size(sample: Sample) -> tuple[int, int] | None:
    if isinstance(sample.image, ImageArray):
        height, width = sample.image.pixels.shape[:2]
        return width, height
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return size_and_mode(sample.image.path)[0]
    except Exception:  # on damaged bytes Pillow raises nearly every kind of exception; the audit names such files
        return None


def _counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    tally: Counter[tuple[int, str]] = Counter(
        (sample.label, sample.split or "unassigned") for sample in dataset.samples
    )
    splits: list[str] = [*SPLITS, "unassigned"]
    return {
        name: {split: tally[label, split] for split in splits if tally[label, split]}
        for label, name in enumerate(dataset.classes)
    }


def _range(values: Sequence[int]) -> PixelRange | None:
    return PixelRange(min=min(values), median=float(np.median(values)), max=max(values)) if values else None


def _exact_duplicates(samples: Sequence[Sample]) -> tuple[list[DuplicatePair], int]:
    """Each image of a later split with one copy of it in the earliest split that has one; and copies inside splits."""
    by_content: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.content and sample.content != EMPTY_SHA256:
            by_content[sample.content].append(sample)
    pairs: list[DuplicatePair] = []
    within = 0
    for same in by_content.values():
        ordered = sorted(same, key=lambda sample: (_rank(sample), sample.id))
        within += len(same) - len({sample.split for sample in same})
        pairs += [_pair(sample, ordered[0], 1.0) for sample in ordered if sample.split != ordered[0].split]
    return sorted(pairs, key=lambda pair: pair.first), within


def _near_duplicates(samples: Sequence[Sample], appearances: Appearances, progress: Progress) -> list[DuplicatePair]:
    known = appearances.fingerprints_of(samples)
    splits = np.array([_rank(sample) for sample in samples], dtype=np.int64)
    found = near_duplicates(known.thumbnails, known.hashes, splits, progress=progress)
    return sorted(
        (_pair(samples[near.first], samples[near.second], near.correlation) for near in found),
        key=lambda pair: pair.first,
    )


def _rank(sample: Sample) -> int:
    return SPLITS.index(sample.split) if sample.split else 0


def _pair(first: Sample, second: Sample, correlation: float) -> DuplicatePair:
    return DuplicatePair(
        first=first.id,
        first_split=str(first.split),
        second=second.id,
        second_split=str(second.split),
        same_class=first.label == second.label,
        correlation=correlation,
    )
