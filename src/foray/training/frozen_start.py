"""The frozen start of a network, run once: in `partial` without augmentation its output is the same in every epoch.

The stem and the blocks before the first trained layer take most of a step. Their output, feature maps, is kept in
memory in float32, and the rest of the network is trained and evaluated on these maps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foray.data import Batches, ImageStore
from foray.data.decoding_memory import usable_memory_bytes
from foray.evaluation.precision import float32_exactly
from foray.models import Network, fold_batch_norm
from foray.progress import SILENT, Progress
from foray.recipes import NetworkRecipe

BATCH_SIZE = 32
_MEMORY_SHARE = 4  # maps may take a quarter of the memory


@dataclass(frozen=True, eq=False)
class MapStore:
    """Maps in dataset order, in place of images: `pixels` float32 (N, H, W, C); `labels` (N,)."""

    pixels: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


def is_same_every_epoch(recipe: NetworkRecipe) -> bool:
    """Whether layers stay frozen, and images are neither augmented nor shown at another size."""
    return (
        recipe.protocol == "partial"
        and recipe.augmentation.is_identity
        and recipe.training_resolution == 1.0
        and recipe.progressive_resolution is None
    )


def as_it_is(maps: Tensor, *_: object) -> Tensor:
    """In place of augmentation and normalisation, which are for images."""
    return maps


def frozen_blocks(network: Network) -> int:
    """Number of blocks before the first that is trained; 0 where the stem is trained."""
    trained = [_is_trained(part) for part in (network.stem, *network.blocks)]
    return max(trained.index(True) - 1, 0) if True in trained else len(trained) - 1


def frozen_maps(
    network: Network, store: ImageStore, normalize: Callable[[Tensor], Tensor], blocks: int, progress: Progress = SILENT
) -> MapStore | None:
    """Output of stem and first `blocks` blocks for every image of `store`, on the CPU; None where memory is short.

    `normalize`: uint8 (N, 3, R, R) -> float32. The network is left in inference mode.
    """
    folded = fold_batch_norm(network.eval())
    start = nn.Sequential(folded.stem, folded.pool, *folded.blocks[:blocks])
    batches = Batches(store, np.arange(len(store)), batch_size=BATCH_SIZE, device="cpu")
    maps: npt.NDArray[np.float32] | None = None
    with torch.inference_mode(), float32_exactly(), progress.task("frozen layers", total=len(store)) as task:
        for images, _, positions in batches.epoch(0):
            found = start(normalize(images)).permute(0, 2, 3, 1)
            if maps is None:
                shape = (len(store), *found.shape[1:])
                if 4 * int(np.prod(shape)) > usable_memory_bytes() // _MEMORY_SHARE:
                    return None
                maps = np.empty(shape, dtype=np.float32)
            maps[positions.numpy()] = found.numpy()
            task.advance(len(images))
    return None if maps is None else MapStore(maps, store.labels)


def _is_trained(part: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in part.parameters())
