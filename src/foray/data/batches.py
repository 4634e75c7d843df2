"""Batches of a store, in order or in an order that depends on (seed, epoch) only, classes balanced where asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
Sampling = Literal["shuffled", "balanced"]

_RESIDENT_SHARE = 0.5  # of the free device memory; the rest is for the network
_UPLOAD_IMAGES = 512


def epoch_order(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order in which an epoch visits `n` images: a permutation that depends on (seed, epoch) only."""
    return np.random.default_rng([seed, epoch]).permutation(n)


def balanced_order(labels: npt.NDArray[np.int64], seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """As many positions as there are labels, (N,), every class equally often: their numbers differ by at most one.

    Of a class of n images that is due q times each comes q // n or q // n + 1 times. Which come once more, which
    classes get one more, and the order depend on (seed, epoch) only.
    """
    random = np.random.default_rng([seed, epoch])
    if not len(labels):
        return np.empty(0, dtype=np.int64)
    classes = random.permutation(np.unique(labels))
    every, one_more = divmod(len(labels), len(classes))
    drawn = []
    for rank, label in enumerate(classes):
        members = np.flatnonzero(labels == label)
        rounds, rest = divmod(every + (rank < one_more), len(members))
        drawn += [np.tile(members, rounds), random.permutation(members)[:rest]]
    return random.permutation(np.concatenate(drawn))


class Store(Protocol):
    """What batches are taken from. `pixels` (N, H, W, C), indexed as an array; `labels` (N,)."""

    @property
    def pixels(self) -> Any: ...

    @property
    def labels(self) -> npt.NDArray[np.int64]: ...


class Batches:
    """The images at `indices` of a store, `batch_size` at a time; the last batch may be smaller, none is dropped.

    `seed` None: in the order of `indices` every epoch; else an order by (seed, epoch): `shuffled`, or `balanced`, where
    an epoch draws as many images as there are, but every class equally often: some come twice, some not at all.
    On a CPU each batch is read from the memory map. On a CUDA device the images are uploaded once if they take less
    than half of the free memory, else batch by batch through pinned memory. `share`: which of the n images of a batch
    are read, where several processes take some each (`foray.processes.Processes.share`).
    """

    def __init__(
        self,
        store: Store,
        indices: npt.NDArray[np.int64],
        *,
        batch_size: int,
        device: torch.device | str,
        seed: int | None = None,
        sampling: Sampling = "shuffled",
        share: Callable[[int], slice] = lambda n: slice(0, n),
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        if sampling == "balanced" and seed is None:
            raise ValueError("balanced sampling needs a seed")
        self.indices = np.asarray(indices, dtype=np.int64)
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.seed = seed
        self.sampling = sampling
        self.share = share
        self._store = store
        self._labels = torch.from_numpy(store.labels[self.indices]).to(self.device)
        self._resident = self._upload() if self._fits_on_device() else None

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return -(-len(self.indices) // self.batch_size)

    def size(self, step: int) -> int:
        """Images of batch `step` (from 0) of an epoch, in all shares together."""
        return min(self.batch_size, len(self.indices) - step * self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields (images, labels, positions) of this process's share of each batch of one epoch.

        Images: (N, C, H, W) as in the store, uint8 of images, on the device in channels-last memory order (a view of
        NHWC). Labels: int64 (N,) on the device. Positions: int64 (N,) on the CPU, where the images stand in the
        dataset's samples.
        """
        order = self._order(epoch)
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            chosen = batch[self.share(len(batch))]
            rows = torch.from_numpy(chosen)
            labels = self._labels[rows.to(self.device)]
            yield self._images(chosen).permute(0, 3, 1, 2), labels, torch.from_numpy(self.indices[chosen])

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        if self.seed is None:
            return np.arange(len(self.indices))
        if self.sampling == "balanced":
            return balanced_order(self._store.labels[self.indices], self.seed, epoch)
        return epoch_order(len(self.indices), self.seed, epoch)

    def _images(self, chosen: npt.NDArray[np.int64]) -> torch.Tensor:
        """(N, H, W, C) on the device; `chosen` counts within `indices`."""
        if self._resident is not None:
            return self._resident[torch.from_numpy(chosen).to(self.device)]
        images = torch.from_numpy(self._store.pixels[self.indices[chosen]])
        if self.device.type == "cuda":
            return images.pin_memory().to(self.device, non_blocking=True)
        return images.to(self.device)

    def _fits_on_device(self) -> bool:
        if self.device.type != "cuda":
            return False
        free_bytes, _ = torch.cuda.mem_get_info(self.device)
        image_bytes = int(self._store.pixels.nbytes) // max(len(self._store.labels), 1)
        return len(self.indices) * image_bytes < _RESIDENT_SHARE * free_bytes

    def _upload(self) -> torch.Tensor:
        shape = (len(self.indices), *self._store.pixels.shape[1:])
        images = torch.empty(shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(self.indices), _UPLOAD_IMAGES):
            chunk = slice(start, start + _UPLOAD_IMAGES)
            images[chunk] = torch.from_numpy(self._store.pixels[self.indices[chunk]]).to(self.device)
        return images
