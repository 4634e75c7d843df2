"""Random erasing (Zhong et al. 2017, arXiv:1708.04896, algorithm 1) for a batch, on normalised images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from foray.augmentation.draws import Integers, Rows, Stream, generator

# torchvision.transforms.RandomErasing
_SCALE = (0.02, 0.33)  # area of the rectangle relative to the image
_RATIO = (0.3, 3.3)  # height / width of the rectangle
_ATTEMPTS = 10


def erase(images: Tensor, probability: float, rows: Rows, entropy: tuple[int, int, int]) -> Tensor:
    """Sets a rectangle to 0, the mean of normalised pixels, in place, in a share of the images (N, 3, S, S)."""
    device, side = images.device, images.shape[-1]
    first, size = (torch.from_numpy(part).to(device) for part in _rectangles(probability, side, rows, entropy))
    line = torch.arange(side, device=device)
    inside = (line >= first[:, :, None]) & (line < (first + size)[:, :, None])  # (N, 2, S): vertically, horizontally
    return images.masked_fill_((inside[:, 0, :, None] & inside[:, 1, None, :]).unsqueeze(1), 0.0)


def _rectangles(probability: float, side: int, rows: Rows, entropy: tuple[int, int, int]) -> tuple[Integers, Integers]:
    """First pixel, and height and width, (N, 2) each; of size 0 where an image is left as it is.

    Area uniform in the scale, log ratio uniform, the first of ten draws that is smaller than the image, at a uniform
    place.
    """
    random = generator(entropy, Stream.ERASING)
    erased = rows.uniform(random) < probability
    area = side**2 * (_SCALE[0] + (_SCALE[1] - _SCALE[0]) * rows.uniform(random, _ATTEMPTS))
    low, high = np.log(_RATIO[0]), np.log(_RATIO[1])
    stretch = np.exp(low + (high - low) * rows.uniform(random, _ATTEMPTS))
    places = rows.uniform(random, 2)
    sizes = np.rint(np.stack([np.sqrt(area * stretch), np.sqrt(area / stretch)], axis=2)).astype(np.int64)
    fits = (sizes < side).all(axis=2)
    size = sizes[np.arange(len(rows)), fits.argmax(axis=1)]
    size[~(erased & fits.any(axis=1))] = 0
    return np.floor(places * (side - size + 1)).astype(np.int64), size
