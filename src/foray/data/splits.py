"""Splits: given ones are kept, missing ones are carved, stratified per class and from a seed.

Images that share a group or have the same bytes form one unit and stay in one split; so do near-duplicates, unless
their chains would leave a split without its share of a class. The split of a unit depends on the seed and on the
contents of its images, never on their names or on the order in which files were listed. scikit-learn's splitters go by
that order, and a data set's fingerprint and the ids of its runs rest on these splits.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from foray.data.content import EMPTY_SHA256
from foray.data.dataset import SPLITS, Dataset, Sample, Split, counted, some_names
from foray.data.near_duplicates import Ties, ties_of
from foray.data.split_units import Carving, SplitUnit, draw, units_of
from foray.errors import DataError

VAL_FRACTION = 0.15
TEST_FRACTION = 0.15
_CARVED: Mapping[Split, float] = {"test": TEST_FRACTION, "val": VAL_FRACTION}

SPLIT_NAMES: Mapping[str, Split] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def complete_splits(dataset: Dataset, seed: int, carving: Carving = "by content") -> Dataset:
    """The dataset with train, val and test all present, `split_origin` and notes set.

    Without any split, test and val are each 15 % of all images. Otherwise what is missing is carved from train, 15 %
    of it for each. Raises DataError when splits are given without train, when a class has too few images to be carved,
    or has no train image.
    """
    given = {sample.split for sample in dataset.samples}
    _require_enough(dataset, carving_all=given == {None})
    how = f"{'' if carving == 'by name' else 'by content '}(seed {seed})"
    if given == {None}:
        missing, pool, origin = ["test", "val"], dataset.samples, f"carved {how}"
    else:
        if "train" not in given:
            raise DataError(
                f"{dataset.name} has {' and '.join(sorted(map(str, given)))} images but no train split. "
                "Name one folder (or split) train."
            )
        missing = [split for split in _CARVED if split not in given]
        pool = tuple(sample for sample in dataset.samples if sample.split == "train")
        origin = _origin([split for split in SPLITS if split in given], missing, how)
    samples = dataset.samples
    if missing:
        fractions = {split: fraction for split, fraction in _CARVED.items() if split in missing}
        assigned = carve(pool, seed, fractions, ties_of(pool, dataset.near), carving)
        samples = tuple(replace(sample, split=assigned.get(sample.id, sample.split)) for sample in samples)
    done = replace(dataset, samples=samples, split_origin=origin)
    _require_train(done)
    return replace(done, notes=(*done.notes, *_absences(done, missing), *_overlaps(done)))


def carving_of(split_origin: str) -> Carving:
    """The rule by which the splits of a record were carved, read from its `split_origin`."""
    return "by name" if "carved" in split_origin and "by content" not in split_origin else "by content"


def carve(
    samples: Sequence[Sample],
    seed: int,
    fractions: Mapping[Split, float],
    ties: Ties = (),
    carving: Carving = "by content",
) -> dict[str, Split]:
    """Split of every sample by id; what goes to no split of `fractions` is train.

    Of each class, `fraction` of its images (rounded, at least one where the class has two or more to spare) go to
    each split, as near as units allow; no class leaves train, and each reaches every split if it has enough units.
    `ties`: near-duplicates, which stay together as well. Where their chains would leave a split with less than half of
    its share of a class, or more than double, the least similar of that class are let go, a step of `_STEPS` at a time.
    """
    assigned = _assigned(units_of(samples, (), carving), seed, fractions)
    if not ties or carving == "by name":
        return assigned
    bearable = _uneven(samples, fractions, assigned)  # by groups and exact copies, which are never let go
    labels = {sample.id: sample.label for sample in samples}
    tied = {labels[id_] for tie in ties for id_ in (tie.first, tie.second)}
    steps = dict.fromkeys(tied, 0)
    while True:
        kept = [
            tie for tie in ties if tie.correlation > _STEPS[max(steps[labels[tie.first]], steps[labels[tie.second]])]
        ]
        assigned = _assigned(units_of(samples, kept, carving), seed, fractions)
        crowded = {
            label for label in tied & _uneven(samples, fractions, assigned) - bearable if _can_loosen(steps[label])
        }
        if not crowded:
            return assigned
        steps |= {label: steps[label] + 1 for label in crowded}


_STEPS = (0.0, 0.98, 0.985, 0.99, 0.995, 0.998, 2.0)  # correlations that ties must exceed; no pair exceeds the last


def _can_loosen(step: int) -> bool:
    return step < len(_STEPS) - 1


def _uneven(samples: Sequence[Sample], fractions: Mapping[Split, float], assigned: Mapping[str, Split]) -> set[int]:
    """Classes of which some split has less than half of its share, or more than double."""
    sizes = Counter(sample.label for sample in samples)
    placed = Counter((assigned[sample.id], sample.label) for sample in samples)
    return {
        label
        for label, n in sizes.items()
        for split, fraction in fractions.items()
        if (share := _quota(fraction, n, len(fractions))) and not share <= 2 * placed[split, label] <= 4 * share
    }


def _assigned(units: Sequence[SplitUnit], seed: int, fractions: Mapping[Split, float]) -> dict[str, Split]:
    units = sorted(units, key=lambda unit: draw(seed, unit.key))
    sizes: Counter[int] = Counter()
    for unit in units:
        sizes.update(unit.labels)
    room = {split: {label: _quota(fraction, n, len(fractions)) for label, n in sizes.items()}
            for split, fraction in fractions.items()}  # fmt: skip
    members: dict[Split, list[SplitUnit]] = {split: [] for split in ("train", *fractions)}
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


def _quota(fraction: float, n: int, carved_splits: int) -> int:
    """Images of a class of `n` that a split may take; 0 where taking one would leave train without the class."""
    return max(1, math.floor(fraction * n + 0.5)) if n > carved_splits else 0


def _fill_absent_classes(train: list[SplitUnit], target: list[SplitUnit], sizes: Mapping[int, int]) -> None:
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


def _origin(given: Sequence[str], carved: Sequence[str], how: str) -> str:
    if not carved:
        return "given"
    return f"{' and '.join(given)} given, {' and '.join(reversed(carved))} carved from train {how}"


def _require_enough(dataset: Dataset, *, carving_all: bool) -> None:
    if len(dataset.classes) < 2:
        only = f"one class ({dataset.classes[0]})" if dataset.classes else "no classes"
        raise DataError(f"{dataset.name} has {only}; classification needs at least two classes.")
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
            f"{dataset.name} has no train image of {some_names(unseen)}: put images of it into train, or remove "
            "the class."
        )


def _absences(dataset: Dataset, carved: Sequence[str]) -> list[str]:
    present = {(sample.split, sample.label) for sample in dataset.samples}
    notes = []
    for split in SPLITS:
        absent = [name for label, name in enumerate(dataset.classes) if (split, label) not in present]
        if absent:
            why = " (its images belong to one group, which is in train)" if split in carved else ""
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
