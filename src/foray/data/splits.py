"""Splits: given ones are kept, missing ones are carved, stratified per class and from a seed.

Images that share a group or have the same bytes form one unit and stay in one split. The split of a unit depends on
the seed and on the ids of the samples, never on the order in which files were listed.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from foray.data.content import EMPTY_SHA256
from foray.data.dataset import SPLITS, Dataset, Sample, Split, counted, some_names
from foray.errors import DataError

VAL_FRACTION = 0.15
TEST_FRACTION = 0.15
_CARVED: Mapping[Split, float] = {"test": TEST_FRACTION, "val": VAL_FRACTION}

SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def complete_splits(dataset: Dataset, seed: int) -> Dataset:
    """The dataset with train, val and test all present, `split_origin` and notes set.

    Without any split, test and val are each 15 % of all images. Otherwise what is missing is carved from train, 15 %
    of it for each. Raises DataError when splits are given without train, when a class has too few images to be carved,
    or has no train image.
    """
    given = {sample.split for sample in dataset.samples}
    _require_enough(dataset, carving_all=given == {None})
    if given == {None}:
        missing, pool, origin = ["test", "val"], dataset.samples, f"carved (seed {seed})"
    else:
        if "train" not in given:
            raise DataError(
                f"{dataset.name} has {' and '.join(sorted(map(str, given)))} images but no train split. "
                "Name one folder (or split) train."
            )
        missing = [split for split in _CARVED if split not in given]
        pool = tuple(sample for sample in dataset.samples if sample.split == "train")
        origin = _origin([split for split in SPLITS if split in given], missing, seed)
    samples = dataset.samples
    if missing:
        assigned = carve(pool, seed, {split: fraction for split, fraction in _CARVED.items() if split in missing})
        samples = tuple(replace(sample, split=assigned.get(sample.id, sample.split)) for sample in samples)
    done = replace(dataset, samples=samples, split_origin=origin)
    _require_train(done)
    return replace(done, notes=(*done.notes, *_absences(done, missing), *_overlaps(done)))


def carve(samples: Sequence[Sample], seed: int, fractions: Mapping[Split, float]) -> dict[str, Split]:
    """Split of every sample by id; what goes to no split of `fractions` is train.

    Of each class, `fraction` of its images (rounded, at least one where the class has two or more to spare) go to
    each split, as near as units allow; no class leaves train, and each reaches every split if it has enough units.
    """
    units = sorted(_units(samples), key=lambda unit: _draw(seed, unit.key))
    sizes = Counter(sample.label for sample in samples)
    room = {split: {label: _quota(fraction, n, len(fractions)) for label, n in sizes.items()}
            for split, fraction in fractions.items()}  # fmt: skip
    members: dict[Split, list[_Unit]] = {split: [] for split in ("train", *fractions)}
    for unit in units:
        for split in fractions:
            if all(room[split][label] >= n for label, n in unit.labels.items()):
                for label, n in unit.labels.items():
                    room[split][label] -= n
                members[split].append(unit)
                break
        else:
            members["train"].append(unit)
    for split in fractions:
        _fill_absent_classes(members["train"], members[split], sizes)
    return {id: split for split, chosen in members.items() for unit in chosen for id in unit.ids}


def halves(samples: Sequence[Sample], seed: int) -> dict[str, int]:
    """Half of every sample, 0 or 1, by id. Each class is divided equally, as near as units allow.

    Large units come first, and each goes to the half that has fewer images of its classes, then fewer images. So both
    halves have images unless all belong together.
    """
    filled: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
    sizes = [0, 0]
    placed: dict[str, int] = {}
    for unit in sorted(_units(samples), key=lambda unit: (-len(unit.ids), _draw(seed, unit.key))):
        alike = [sum(n * there[label] for label, n in unit.labels.items()) for there in filled]
        half = 0 if (alike[0], sizes[0]) <= (alike[1], sizes[1]) else 1
        filled[half].update(unit.labels)
        sizes[half] += len(unit.ids)
        placed |= dict.fromkeys(unit.ids, half)
    return placed


@dataclass(frozen=True)
class _Unit:
    """Images that must stay together. `key`: the smallest id; `labels`: images per class."""

    key: str
    ids: tuple[str, ...]
    labels: Mapping[int, int]


def _units(samples: Sequence[Sample]) -> list[_Unit]:
    """Connected components (union-find) of "same group" and "same bytes"."""
    ordered = sorted(samples, key=lambda sample: sample.id)
    parent = list(range(len(ordered)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    seen: dict[tuple[str, str], int] = {}
    for i, sample in enumerate(ordered):
        ties = [("group", sample.group), ("content", sample.content if sample.content != EMPTY_SHA256 else None)]
        for kind, value in ties:
            if value:
                parent[root(i)] = root(seen.setdefault((kind, value), i))
    components: dict[int, list[Sample]] = defaultdict(list)
    for i, sample in enumerate(ordered):
        components[root(i)].append(sample)
    return [
        _Unit(
            key=component[0].id,
            ids=tuple(sample.id for sample in component),
            labels=Counter(sample.label for sample in component),
        )
        for component in components.values()
    ]


def _draw(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{key}".encode()).digest()


def _quota(fraction: float, n: int, carved_splits: int) -> int:
    """Images of a class of `n` that a split may take; 0 where taking one would leave train without the class."""
    return max(1, math.floor(fraction * n + 0.5)) if n > carved_splits else 0


def _fill_absent_classes(train: list[_Unit], target: list[_Unit], sizes: Mapping[int, int]) -> None:
    """Moves, for each class that `target` lacks, the smallest unit whose classes all have another unit in train."""
    for label in sorted(sizes):
        if any(label in unit.labels for unit in target):
            continue
        units_with = Counter(other for unit in train for other in unit.labels)
        movable = [
            unit for unit in train if label in unit.labels and all(units_with[other] > 1 for other in unit.labels)
        ]
        if movable:
            chosen = min(movable, key=lambda unit: len(unit.ids))  # the first drawn of the smallest
            train.remove(chosen)
            target.append(chosen)


def _origin(given: Sequence[str], carved: Sequence[str], seed: int) -> str:
    if not carved:
        return "given"
    return f"{' and '.join(given)} given, {' and '.join(reversed(carved))} carved from train (seed {seed})"


def _require_enough(dataset: Dataset, *, carving_all: bool) -> None:
    if len(dataset.classes) < 2:
        only = f"one class ({dataset.classes[0]})" if dataset.classes else "no classes"
        raise DataError(f"{dataset.name} has {only}; telling images apart needs at least two classes.")
    needed = 3 if carving_all else 2
    sizes = Counter(sample.label for sample in dataset.samples)
    small = [label for label in range(len(dataset.classes)) if sizes[label] < needed]
    if small:
        named = ", ".join(f"{dataset.classes[label]!r} ({counted(sizes[label], 'image')})" for label in small[:5])
        why = "one each for train, val and test" if carving_all else "one to train on and one to test with"
        raise DataError(
            f"{dataset.name} has too few images in {counted(len(small), 'class', 'classes')}: {named}"
            f"{' and more' if len(small) > 5 else ''}. A class needs at least {needed} ({why}). "
            "Add images, or merge or remove the class."
        )


def _require_train(dataset: Dataset) -> None:
    trained = {sample.label for sample in dataset.samples if sample.split == "train"}
    unseen = [name for label, name in enumerate(dataset.classes) if label not in trained]
    if unseen:
        raise DataError(
            f"{dataset.name} has no train image of {some_names(unseen)}: a network cannot learn a class it never sees. "
            "Put images of it into train, or remove the class."
        )


def _absences(dataset: Dataset, carved: Sequence[str]) -> list[str]:
    present = {(sample.split, sample.label) for sample in dataset.samples}
    notes = []
    for split in SPLITS:
        absent = [name for label, name in enumerate(dataset.classes) if (split, label) not in present]
        if absent:
            why = " (its images belong together and are in train)" if split in carved else ""
            notes.append(f"{split} has no image of {some_names(absent)}{why}")
    return notes


def _overlaps(dataset: Dataset) -> list[str]:
    """Notes on exact duplicates that given splits spread, on groups they tear, and on contradicting labels."""
    by_content: dict[str, list[Sample]] = defaultdict(list)
    by_group: dict[str, set[Split | None]] = defaultdict(set)
    for sample in dataset.samples:
        if sample.content and sample.content != EMPTY_SHA256:
            by_content[sample.content].append(sample)
        if sample.group:
            by_group[sample.group].add(sample.split)
    copies = [sorted(same, key=lambda sample: sample.id) for same in by_content.values() if len(same) > 1]
    across = sorted(same[0].id for same in copies if len({sample.split for sample in same}) > 1)
    contradicting = sorted(same[0].id for same in copies if len({sample.label for sample in same}) > 1)
    torn = [group for group, splits in by_group.items() if len(splits) > 1]
    notes = []
    if across:
        notes.append(f"{counted(len(across), 'image')} with exact copies in another given split: {some_names(across)}")
    if contradicting:
        notes.append(
            f"{counted(len(contradicting), 'image')} with copies of another class: {some_names(contradicting)}"
        )
    if torn:
        notes.append(f"{counted(len(torn), 'group')} in more than one given split: {some_names(torn)}")
    return notes
