"""Near-duplicates among the samples of a data set: which are certain, which to keep in one split, and which cross
splits.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from foray.data.appearance import NearPairs, appearances_of, near_pairs
from foray.data.content import EMPTY_SHA256
from foray.data.dataset import Dataset, Sample, counted
from foray.progress import SILENT, Progress

_FEW_PAIRS = 20  # of which nothing can be said
_MIXED = 0.25  # of the share of pairs of two classes that chance would give; copies agree but for wrong labels

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tie:
    """Two samples, by id, that are near-duplicates; `correlation` of their thumbnails."""

    first: str
    second: str
    correlation: float


Ties = Sequence[Tie]


@dataclass(frozen=True)
class Leaks:
    """Ids of images with a copy or near-duplicate on another side: `val` in train, `test` in train or val."""

    val: frozenset[str] = frozenset()
    test: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.val or self.test)


def with_appearances(dataset: Dataset, *, cache_dir: Path, progress: Progress = SILENT) -> Dataset:
    """The dataset, all of whose samples have a content, with `appearances` and `near`.

    Where near-duplicates are of two classes nearly as often as chance has it, all images are laid out alike (one camera
    over one belt, say) and being alike says nothing: `near` is empty then, and a note says so.
    """
    appearances = appearances_of(dataset.samples, cache_dir=cache_dir, progress=progress)
    near = near_pairs(appearances, cache_dir=cache_dir, progress=progress)
    if not _is_mixed(*_labelled(dataset.samples, near)):
        return replace(dataset, appearances=appearances, near=near)
    none = NearPairs((), near.first[:0], near.second[:0], near.correlations[:0])
    note = "thumbnails of different classes look alike, so only exact duplicates are looked for, not near-duplicates"
    return replace(dataset, appearances=appearances, near=none, notes=(*dataset.notes, note))


def is_mixed(first: Sequence[int], second: Sequence[int], labels: Iterable[int]) -> bool:
    """Whether pairs, whose labels are `first` and `second`, agree hardly more often than by chance among `labels`."""
    return _is_mixed(np.array(first), np.array(second), np.array(list(labels)))


def _is_mixed(first: Positions, second: Positions, labels: Positions) -> bool:
    if len(first) < _FEW_PAIRS:
        return False
    shares = np.bincount(labels) / len(labels)
    by_chance = 1 - float((shares**2).sum())
    return by_chance > 0 and float((first != second).mean()) > _MIXED * by_chance


def _labelled(samples: Sequence[Sample], near: NearPairs) -> tuple[Positions, Positions, Positions]:
    label_of = {sample.content: sample.label for sample in samples}
    labels = np.array([label_of.get(content, -1) for content in near.contents], dtype=np.int64)
    return labels[near.first], labels[near.second], np.array([sample.label for sample in samples], dtype=np.int64)


def ties_of(samples: Sequence[Sample], near: NearPairs | None) -> Ties:
    """What keeps near-duplicates among `samples` together: the strongest ties that do, chains included.

    Of all pairs a maximum spanning forest does, whatever correlation is then asked for; one of pairs of one class, and
    one of pairs of two, since classes may be asked for different ones.
    """
    if near is None or not len(near):
        return ()
    id_of = {sample.content: sample.id for sample in samples}
    label_of = {sample.content: sample.label for sample in samples}
    here = np.array([content in id_of for content in near.contents])
    both = here[near.first] & here[near.second]
    first, second, correlations = near.first[both], near.second[both], near.correlations[both]
    labels = np.array([label_of.get(content, -1) for content in near.contents], dtype=np.int64)
    ties = []
    for chosen in (labels[first] == labels[second], labels[first] != labels[second]):
        weights = 2.0 - correlations[chosen].astype(np.float64)  # above 0, which would be no edge
        n = len(near.contents)
        forest = minimum_spanning_tree(coo_array((weights, (first[chosen], second[chosen])), shape=(n, n))).tocoo()
        for i, j, weight in zip(forest.row, forest.col, forest.data, strict=True):
            ties.append(Tie(id_of[near.contents[i]], id_of[near.contents[j]], 2.0 - float(weight)))
    return ties


def find_leaks(dataset: Dataset) -> Leaks:
    """The images of later splits that are copies or near-duplicates of images in earlier ones."""
    rank = {"train": 0, "val": 1, "test": 2}
    by_content: dict[str, list[Sample]] = defaultdict(list)
    for sample in dataset.samples:
        if sample.split and sample.content and sample.content != EMPTY_SHA256:
            by_content[sample.content].append(sample)
    earliest = {content: min(rank[str(sample.split)] for sample in same) for content, same in by_content.items()}
    partners = dict(earliest)  # the earliest split that holds a copy or near-duplicate
    if dataset.near is not None:
        contents = dataset.near.contents
        for i, j in zip(dataset.near.first.tolist(), dataset.near.second.tolist(), strict=True):
            one, other = contents[i], contents[j]
            if one in earliest and other in earliest:
                partners[one] = min(partners[one], earliest[other])
                partners[other] = min(partners[other], earliest[one])
    leaked: dict[str, set[str]] = {"val": set(), "test": set()}
    for content, same in by_content.items():
        for sample in same:
            if partners[content] < rank[str(sample.split)]:
                leaked[str(sample.split)].add(sample.id)
    return Leaks(frozenset(leaked["val"]), frozenset(leaked["test"]))


def leak_note(dataset: Dataset, leaks: Leaks) -> str:
    """One sentence on what `find_leaks` found; empty where that is nothing."""
    counts = Counter(sample.split for sample in dataset.samples)
    parts, alike = [], "are duplicates or near-duplicates of"
    if leaks.val:
        parts.append(f"{len(leaks.val):,} of {counted(counts['val'], 'val image')} {alike} train images")
    if leaks.test:
        parts.append(f"{len(leaks.test):,} of {counted(counts['test'], 'test image')} {alike} train or val images")
    return " and ".join(parts)
