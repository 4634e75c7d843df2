"""Batches of a store, in order or in an order that depends on (seed, epoch) only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from foray.data.cache import ImageStore

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

_RESIDENT_SHARE = 0.5  # of the free device memory; the rest is for the network
_UPLOAD_IMAGES = 512


def epoch_order(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """The order in which an epoch visits `n` images: a permutation that depends on (seed, epoch) only."""
    return np.random.default_rng([seed, epoch]).permutation(n)


class Batches:
    """The images at `indices` of a store, `batch_size` at a time; the last batch may be smaller, none is dropped.

    `seed` None: in the order of `indices` every epoch; else shuffled by (seed, epoch). On a CPU each batch is read from
    the memory map. On a CUDA device the images are uploaded once if they take less than half of the free memory,
    else batch by batch through pinned memory.
    """

    def __init__(
        self,
        store: ImageStore,
        indices: npt.NDArray[np.int64],
        *,
        batch_size: int,
        device: torch.device | str,
        seed: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self.indices = np.asarray(indices, dtype=np.int64)
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.seed = seed
        self._store = store
        self._labels = torch.from_numpy(store.labels[self.indices]).to(self.device)
        self._resident = self._upload() if self._fits_on_device() else None

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return -(-len(self.indices) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields (images, labels, positions) of one epoch.

        Images: uint8 (N, 3, H, W) on the device, in channels-last memory order (a view of NHWC). Labels: int64 (N,) on
        the device. Positions: int64 (N,) on the CPU, where the images stand in the dataset's samples.
        """
        order = self._order(epoch)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            rows = torch.from_numpy(chosen)
            labels = self._labels[rows.to(self.device)]
            yield self._images(chosen).permute(0, 3, 1, 2), labels, torch.from_numpy(self.indices[chosen])

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        if self.seed is None:
            return np.arange(len(self.indices))
        return epoch_order(len(self.indices), self.seed, epoch)

    def _images(self, chosen: npt.NDArray[np.int64]) -> torch.Tensor:
        """uint8 (N, H, W, 3) on the device; `chosen` counts within `indices`."""
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
        image_bytes = self._store.nbytes // max(len(self._store), 1)
        return len(self.indices) * image_bytes < _RESIDENT_SHARE * free_bytes

    def _upload(self) -> torch.Tensor:
        side = self._store.side
        images = torch.empty((len(self.indices), side, side, 3), dtype=torch.uint8, device=self.device)
        for start in range(0, len(self.indices), _UPLOAD_IMAGES):
            chunk = slice(start, start + _UPLOAD_IMAGES)
            images[chunk] = torch.from_numpy(self._store.pixels[self.indices[chunk]]).to(self.device)
        return images
