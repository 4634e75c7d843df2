"""Calibration sees the train split, in proportion, and the same images for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foray.data.cache import ImageStore
from foray.data.dataset import Dataset, ImageArray, Sample
from foray.errors import DataError
from foray.export.quantization import Settings, TrainImages, train_images
from foray.export.quantization.train_images import stratified_order


def store_of(splits: list[str]) -> tuple[Dataset, ImageStore]:
    """One-pixel images whose value is their position."""
    pixels = np.arange(len(splits), dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    samples = tuple(Sample(str(i), ImageArray(pixels[i]), i % 2, split) for i, split in enumerate(splits))
    dataset = Dataset("d", "s", ("a", "b"), samples, "given")
    return dataset, ImageStore(pixels, dataset.labels, Path("none"))


def test_only_train_images_are_seen() -> None:
    splits = ["train", "val", "test", "train", "test", "train", "val"] * 10
    train = train_images(*store_of(splits))
    assert len(train) == 30
    seen = train.sample(1000, seed=3)[:, 0, 0, 0]
    assert sorted(seen.tolist()) == [i for i, split in enumerate(splits) if split == "train"]


def test_no_train_images_is_an_error_with_a_way_out() -> None:
    with pytest.raises(DataError, match=r"train images.*`data`"):
        train_images(*store_of(["val", "test"]))


def test_settings_want_images() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        Settings(images=0)


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array),
    n=st.integers(1, 60),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_beginning_is_stratified(labels: np.ndarray, n: int, seed: int) -> None:
    order = stratified_order(labels, seed)
    assert sorted(order.tolist()) == list(range(len(labels)))
    assert np.array_equal(order, stratified_order(labels, seed))
    drawn = labels[order[: min(n, len(labels))]]
    classes = len(np.unique(labels))
    for label in np.unique(labels):
        fair = len(drawn) * (labels == label).mean()
        assert abs((drawn == label).sum() - fair) <= max(1, classes) + 1e-9


def test_sample_is_the_same_for_the_same_seed_and_nested() -> None:
    train = TrainImages(np.arange(50, dtype=np.uint8)[:, None, None, None], np.arange(50), np.arange(50) % 5)
    assert np.array_equal(train.sample(20, 1)[:10], train.sample(10, 1))
    assert not np.array_equal(train.sample(20, 1), train.sample(20, 2))
