"""Augmented views of train images, whose features a frozen backbone computes once.

View 0 of an image is the image as it is in evaluation; view v is what epoch v of a training by batches would show, but
for the order of images. An image that heads are scored on is only ever seen as view 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from foray.augmentation import Augment
from foray.data import ImageStore
from foray.linear.features import BATCH_SIZE, Features, batch_slices, cached_features
from foray.models import Network
from foray.progress import Progress
from foray.requests import Machine
from foray.specs import Preprocessing


class AugmentedImages:
    """One augmented view of the images at `positions` of a training store: float32, normalised."""

    def __init__(self, store: ImageStore, positions: npt.NDArray[np.int64], augment: Augment, view: int) -> None:
        self._store, self._positions, self._augment, self._view = store, positions, augment, view

    @property
    def preprocessing(self) -> Preprocessing:
        """How images are shown to the network, beside the augmentation."""
        return self._augment.preprocessing

    @property
    def identity(self) -> dict[str, Any]:
        """What is random follows from the seed, the view, and an image's batch and place in it."""
        return {
            "images": self._store.path.parent.name,
            "positions": hashlib.sha256(self._positions.tobytes()).hexdigest(),
            "batch_size": BATCH_SIZE,
            "resolution": self._augment.preprocessing.resolution,
            "augmentation": self._augment.augmentation.model_dump(mode="json"),
            "seed": self._augment.seed,
            "view": self._view,
        }

    def __len__(self) -> int:
        return len(self._positions)

    def batches(self) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """In the order of `positions`."""
        for step, where in enumerate(batch_slices(len(self))):
            pixels = torch.from_numpy(self._store.pixels[self._positions[where]])
            images = self._augment(pixels.permute(0, 3, 1, 2), self._view, step)
            yield where, images.permute(0, 2, 3, 1).contiguous().numpy()


def cached_views(
    network: Network, weights_sha256: str, views: Sequence[AugmentedImages], machine: Machine, progress: Progress
) -> tuple[Features, set[str]]:
    """Features (V, N, F) of V `views` of N images, and the engines that ran.

    Each view is kept by itself: of eight views, the first three are those of a run with three.
    """
    features, engines = [], set()
    for number, images in enumerate(views, start=1):
        progress.note(f"augmented view {number} of {len(views)}")
        found, engine = cached_features(
            network, weights_sha256, images, images.preprocessing,
            device=torch.device(machine.device), cache_dir=machine.cache, progress=progress,
        )  # fmt: skip
        features.append(found)
        engines.add(engine)
    return np.stack(features), engines
