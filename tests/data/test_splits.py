"""Properties of carved splits: nothing is torn, classes keep their share, only contents and the seed decide."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foray.data.dataset import Dataset, ImageFile, Sample
from foray.data.near_duplicates import Tie
from foray.data.splits import carve, carving_of, complete_splits
from foray.errors import DataError

BOTH = {"test": 0.15, "val": 0.15}


def sample(i: int, label: int, group: str | None = None, content: str = "", split: str | None = None) -> Sample:
    return Sample(f"image {i:05d}", ImageFile(Path(f"{i}.png")), label, split, group, content or f"bytes {i}")


def dataset_of(samples: list[Sample]) -> Dataset:
    classes = tuple(f"class {label}" for label in range(max(s.label for s in samples) + 1))
    return Dataset("weeds", "here", classes, tuple(samples), "")


@st.composite
def tied_samples(draw: st.DrawFn) -> list[Sample]:
    """Classes of 3 to 60 images, some tied by group (across classes too), some copies of one another."""
    sizes = draw(st.lists(st.integers(3, 60), min_size=2, max_size=5))
    labels = [label for label, n in enumerate(sizes) for _ in range(n)]
    groups = draw(st.integers(1, 40))
    contents = draw(st.integers(1, 200))
    rng = draw(st.randoms(use_true_random=False))
    return [
        sample(
            i,
            label,
            group=f"plant {rng.randrange(groups)}" if rng.random() < 0.3 else None,
            content=f"same {rng.randrange(contents)}" if rng.random() < 0.3 else "",
        )
        for i, label in enumerate(labels)
    ]


@given(samples=tied_samples(), seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_no_group_and_no_exact_copy_is_on_two_sides(samples, seed):
    assigned = carve(samples, seed, BOTH)
    assert assigned.keys() == {s.id for s in samples}
    sides = defaultdict(set)
    for s in samples:
        sides["content", s.content].add(assigned[s.id])
        if s.group:
            sides["group", s.group].add(assigned[s.id])
    assert all(len(splits) == 1 for splits in sides.values())


@given(samples=tied_samples(), seed=st.integers(0, 2**32), order=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_listing_changes_nothing(samples, seed, order):
    shuffled = samples.copy()
    order.shuffle(shuffled)
    assert carve(shuffled, seed, BOTH) == carve(samples, seed, BOTH)


@given(samples=tied_samples(), seed=st.integers(0, 2**32), shuffling=st.integers(0, 2**32))
@settings(deadline=None)
def test_renaming_the_files_changes_nothing(samples, seed, shuffling):
    names = [f"photo {i}" for i in range(len(samples))]
    random.Random(shuffling).shuffle(names)
    renamed = [replace(one, id=name) for one, name in zip(samples, names, strict=True)]
    before, after = carve(samples, seed, BOTH), carve(renamed, seed, BOTH)
    assert [before[s.id] for s in samples] == [after[s.id] for s in renamed]


@given(
    sizes=st.lists(st.integers(3, 60), min_size=2, max_size=4), seed=st.integers(0, 2**32), links=st.integers(0, 2**32)
)
@settings(deadline=None, max_examples=50)
def test_however_near_duplicates_are_chained_each_split_has_half_to_double_of_its_share(sizes, seed, links):
    samples = [sample(i, label) for i, label in enumerate(label for label, n in enumerate(sizes) for _ in range(n))]
    generator = random.Random(links)
    pairs = [(one, generator.choice(samples)) for one in samples for _ in range(2)]
    ties = [
        Tie(one.id, other.id, generator.uniform(0.97, 1.0))
        for one, other in pairs
        if one.label == other.label and one.id != other.id
    ]
    assigned = carve(samples, seed, BOTH, ties)
    placed = Counter((assigned[s.id], s.label) for s in samples)
    for label, n in enumerate(sizes):
        share = max(1, int(0.15 * n + 0.5))
        assert all(share / 2 <= placed[split, label] <= 2 * share for split in BOTH)
        assert placed["train", label] > 0


def test_near_duplicates_stay_together_where_there_is_room():
    samples = [sample(i, i % 2) for i in range(120)]
    ties = [Tie(samples[i].id, samples[i + 2].id, 0.98) for i in range(0, 116, 4) for i in (i, i + 1)]
    for seed in range(10):
        assigned = carve(samples, seed, BOTH, ties)
        assert all(assigned[tie.first] == assigned[tie.second] for tie in ties)
        assert Counter(assigned.values()) == {"train": 84, "val": 18, "test": 18}


def test_by_name_is_the_rule_of_earlier_versions():
    """Of 10 images of one class these were drawn when only names and the seed decided."""
    samples = [sample(i, 0) for i in range(10)]
    assigned = carve(samples, 0, BOTH, carving="by name")
    ordered = sorted(samples, key=lambda s: hashlib.sha256(f"0\0{s.id}".encode()).digest())
    assert [assigned[s.id] for s in ordered] == ["test"] * 2 + ["val"] * 2 + ["train"] * 6
    assert carving_of("carved (seed 0)") == "by name"
    assert carving_of("train and test given, val carved from train (seed 0)") == "by name"
    assert carving_of("train and test given, val carved from train by content (seed 0)") == "by content"
    assert carving_of("given") == "by content"


@given(samples=tied_samples(), seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_no_class_leaves_train(samples, seed):
    assigned = carve(samples, seed, BOTH)
    assert {s.label for s in samples if assigned[s.id] == "train"} == {s.label for s in samples}


@given(
    units=st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=30), min_size=2, max_size=4),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None)
def test_a_split_takes_more_than_its_share_only_as_one_unit_that_brings_the_class(units, seed):
    """`units[label]`: sizes of the groups of a class."""
    sizes = [
        (label, group, i) for label, groups in enumerate(units) for group, n in enumerate(groups) for i in range(n)
    ]
    samples = [sample(i, label, group=f"{label}-{group}") for i, (label, group, _) in enumerate(sizes)]
    assigned = carve(samples, seed, BOTH)
    placed = Counter((s.label, assigned[s.id]) for s in samples)
    for label, groups in enumerate(units):
        share = max(1, int(0.15 * sum(groups) + 0.5))
        for split in ("val", "test"):
            taken = {s.group for s in samples if s.label == label and assigned[s.id] == split}
            assert placed[label, split] <= share or len(taken) == 1


@given(sizes=st.lists(st.integers(3, 400), min_size=2, max_size=6), seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_free_images_are_split_to_the_image(sizes, seed):
    samples = [sample(i, label) for i, label in enumerate(label for label, n in enumerate(sizes) for _ in range(n))]
    assigned = carve(samples, seed, BOTH)
    placed = Counter((s.label, assigned[s.id]) for s in samples)
    for label, n in enumerate(sizes):
        share = max(1, int(0.15 * n + 0.5))
        assert (placed[label, "test"], placed[label, "val"]) == (share, share)


@given(n_groups=st.integers(3, 12), size=st.integers(1, 30), seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_a_class_of_three_or_more_groups_reaches_every_split(n_groups, size, seed):
    samples = [sample(i, i % 2, group=f"{i % 2} of plant {i // 2 % n_groups}") for i in range(2 * n_groups * size)]
    assigned = carve(samples, seed, BOTH)
    assert {(s.label, assigned[s.id]) for s in samples} == {
        (label, split) for label in (0, 1) for split in ("train", "val", "test")
    }


@given(seeds=st.lists(st.integers(0, 2**32), min_size=2, max_size=2, unique=True))
@settings(deadline=None, max_examples=20)
def test_another_seed_draws_another_split(seeds):
    samples = [sample(i, i % 3) for i in range(300)]
    assert carve(samples, seeds[0], BOTH) != carve(samples, seeds[1], BOTH)


def test_each_image_is_as_likely_to_be_drawn_for_test():
    """Over 400 seeds an image is in test 60 times on average, sd sqrt(400 * 0.15 * 0.85) = 7.1: within 5 sd."""
    samples = [sample(i, 0) for i in range(100)]
    times = Counter(id for seed in range(400) for id, split in carve(samples, seed, BOTH).items() if split == "test")
    assert all(60 - 36 <= times[s.id] <= 60 + 36 for s in samples)
    assert sum(times.values()) == 400 * 15


def test_ties_join_through_chains():
    """a and b share a group, b and c their bytes: all three stay together."""
    chain = [sample(0, 0, group="g"), sample(1, 0, group="g", content="x"), sample(2, 0, content="x")]
    others = [sample(i, i % 2) for i in range(3, 60)]
    for seed in range(20):
        assigned = carve(chain + others, seed, BOTH)
        assert len({assigned[s.id] for s in chain}) == 1


def test_empty_files_are_not_copies_of_one_another():
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    samples = [sample(i, i % 2, content=empty) for i in range(40)]
    assert set(carve(samples, 0, BOTH).values()) == {"train", "val", "test"}


def test_given_splits_are_never_changed():
    samples = [sample(i, i % 2, group="one plant", split=random.Random(i).choice(["train", "test"])) for i in range(80)]
    done = complete_splits(dataset_of(samples), seed=1)
    kept = {s.id: s.split for s in samples}
    assert all(kept[s.id] == "test" for s in done.samples if s.split == "test")
    assert {kept[s.id] for s in done.samples if s.split in ("train", "val")} == {"train"}


def test_what_given_splits_spread_is_noted():
    samples = [
        *(sample(i, i % 2, split="train") for i in range(4)),
        sample(4, 0, split="val", content="bytes 0"), sample(5, 1, split="val", group="g"),
        sample(6, 0, split="test", content="bytes 1"), sample(7, 1, split="test", group="g"),
    ]  # fmt: skip
    notes = complete_splits(dataset_of(samples), seed=0).notes
    assert notes == (
        "2 images with exact copies in another given split: image 00000, image 00001",
        "1 image with copies of another class: image 00001",
        "1 group in more than one given split: g",
    )


def test_a_class_tied_together_stays_in_train_and_is_noted():
    samples = [sample(i, 0) for i in range(20)] + [sample(20 + i, 1, group="one plant") for i in range(20)]
    done = complete_splits(dataset_of(samples), seed=0)
    assert {s.split for s in done.samples if s.label == 1} == {"train"}
    assert done.notes == tuple(
        f"{split} has no image of class 1 (its images belong to one group, which is in train)"
        for split in ("val", "test")
    )


def test_more_than_five_small_classes_are_counted():
    samples = [sample(i, i) for i in range(7)]
    with pytest.raises(
        DataError, match=r"too few images in 7 classes: 'class 0' \(1 image\).* and more\. A class needs"
    ):
        complete_splits(dataset_of(samples), seed=0)
