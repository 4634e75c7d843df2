"""Batches: every image once, with its own label, in an order that (seed, epoch) fixes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foray.data.batches import Batches, balanced_order
from foray.data.cache import ImageStore

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def numbered(n: int, side: int = 4) -> ImageStore:
    """Image i is full of i, its label is 10 i."""
    pixels = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, side, side, 3)).copy()
    pixels.flags.writeable = False  # as a read-only memory map
    return ImageStore(pixels, np.arange(n, dtype=np.int64) * 10, Path("pixels.u8"))


def positions(batches: Batches, epoch: int) -> list[int]:
    return [int(p) for _, _, chosen in batches.epoch(epoch) for p in chosen]


@given(
    n=st.integers(1, 60),
    batch_size=st.integers(1, 70),
    seed=st.none() | st.integers(0, 2**32),
    epoch=st.integers(0, 1000),
    data=st.data(),
)
@settings(max_examples=80, deadline=None)
def test_every_image_comes_once_with_its_label(
    n: int, batch_size: int, seed: int | None, epoch: int, data: st.DataObject
) -> None:
    indices = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True)), dtype=np.int64)
    batches = Batches(numbered(n), indices, batch_size=batch_size, device="cpu", seed=seed)
    found = list(batches.epoch(epoch))
    assert len(found) == len(batches)
    assert [len(labels) for _, labels, _ in found[:-1]] == [batch_size] * (len(found) - 1)
    seen = torch.cat([chosen for _, _, chosen in found])
    assert sorted(seen.tolist()) == sorted(indices.tolist())
    if seed is None:
        assert seen.tolist() == indices.tolist()
    for images, labels, chosen in found:
        assert (images == chosen.view(-1, 1, 1, 1)).all()
        assert torch.equal(labels, 10 * chosen)


@pytest.mark.parametrize("device", DEVICES)
def test_types_shapes_and_memory_order(device: str) -> None:
    batches = Batches(numbered(5), np.arange(5), batch_size=3, device=device, seed=1)
    images, labels, chosen = next(batches.epoch(0))
    assert (images.dtype, labels.dtype, chosen.dtype) == (torch.uint8, torch.int64, torch.int64)
    assert images.shape == (3, 3, 4, 4)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert (images.device.type, labels.device.type, chosen.device.type) == (device, device, "cpu")
    assert torch.equal(images[:, 0, 0, 0].cpu(), chosen.to(torch.uint8))


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    store, indices = numbered(50), np.arange(50)
    one = Batches(store, indices, batch_size=7, device="cpu", seed=3)
    epoch_two = positions(one, 2)
    assert positions(one, 2) == epoch_two
    resumed = Batches(store, indices, batch_size=7, device="cpu", seed=3)
    assert positions(resumed, 2) == epoch_two
    assert positions(Batches(store, indices, batch_size=50, device="cpu", seed=3), 2) == epoch_two
    others = [positions(one, epoch) for epoch in (0, 1, 3)]
    others.append(positions(Batches(store, indices, batch_size=7, device="cpu", seed=4), 2))
    assert len({tuple(order) for order in [epoch_two, *others, list(range(50))]}) == 6


@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 1000),
)
@settings(max_examples=80)
def test_balanced_sampling_draws_classes_and_the_images_of_a_class_equally_often(
    labels: list[int], seed: int, epoch: int
) -> None:
    of_each = np.array(labels, dtype=np.int64)
    order = balanced_order(of_each, seed, epoch)
    assert len(order) == len(labels)
    assert np.array_equal(order, balanced_order(of_each, seed, epoch))
    images = np.bincount(order, minlength=len(labels))
    quotas = [int(images[of_each == label].sum()) for label in set(labels)]
    assert max(quotas) - min(quotas) <= 1
    for label in set(labels):
        of_class = images[of_each == label]
        assert of_class.max() - of_class.min() <= 1


def test_balanced_epochs_differ_in_images_classes_and_order() -> None:
    labels = np.array([0] * 30 + [1] * 5 + [2] * 4)
    epochs = [balanced_order(labels, 3, epoch) for epoch in range(60)]
    assert len({tuple(order) for order in epochs}) == 60
    assert set(np.concatenate(epochs).tolist()) == set(range(39))  # nothing is left out for good
    first = np.concatenate([labels[order][:10] for order in epochs])
    assert abs((first == 1).mean() - 1 / 3) < 5 * np.sqrt(2 / 9 / 600)  # classes are spread over the epoch


def test_balanced_batches_are_of_the_given_indices_with_their_labels() -> None:
    store, indices = numbered(12), np.array([2, 3, 5, 7, 11])  # as many classes as images
    batches = Batches(store, indices, batch_size=2, device="cpu", seed=1, sampling="balanced")
    assert sorted(positions(batches, 4)) == indices.tolist()
    for images, labels, chosen in batches.epoch(4):
        assert (images == chosen.view(-1, 1, 1, 1)).all()
        assert torch.equal(labels, 10 * chosen)
    empty = Batches(store, indices[:0], batch_size=2, device="cpu", seed=1, sampling="balanced")
    assert list(empty.epoch(0)) == []
    with pytest.raises(ValueError, match="needs a seed"):
        Batches(store, indices, batch_size=2, device="cpu", sampling="balanced")


def test_a_batch_may_be_written_to_without_reaching_the_store() -> None:
    store = numbered(4)
    images, _, _ = next(Batches(store, np.arange(4), batch_size=4, device="cpu").epoch(0))
    images.fill_(99)
    assert store.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_no_images_make_no_batches_and_no_batch_size_is_an_error() -> None:
    empty = Batches(numbered(3), np.array([], dtype=np.int64), batch_size=2, device="cpu", seed=0)
    assert len(empty) == 0
    assert list(empty.epoch(0)) == []
    with pytest.raises(ValueError, match="batch_size"):
        Batches(numbered(3), np.arange(3), batch_size=0, device="cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda_resident_and_streamed_batches_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def whole_epoch() -> list[torch.Tensor]:
        batches = Batches(numbered(50), np.arange(3, 50), batch_size=8, device="cuda", seed=5)
        return [tensor.cpu() for batch in batches.epoch(1) for tensor in batch]

    resident = whole_epoch()
    monkeypatch.setattr("foray.data.batches._RESIDENT_SHARE", 0.0)
    streamed = whole_epoch()
    assert all(torch.equal(a, b) for a, b in zip(resident, streamed, strict=True))
