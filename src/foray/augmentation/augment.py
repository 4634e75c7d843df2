"""Per-sample augmentation of a whole batch, on the device the batch is on.

Crop, flips, rotation, shift and a policy's shears are one affine map per sample, so the pixels are resampled once
(bilinear, reflected at the border). Where only flips and shifts are asked for they are not resampled at all: shifts are
whole pixels. Colour follows Pillow's definitions. What is random is drawn in `foray.augmentation.draws`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from foray.augmentation.colour import adjust_brightness, adjust_contrast, adjust_saturation
from foray.augmentation.draws import (
    Draws,
    Integers,
    Rows,
    Stream,
    generator,
    moves_whole_pixels,
    recolours,
    widest_crop,
)
from foray.augmentation.policies import PolicyDraws, draw_policy
from foray.augmentation.resampling import resize, shrink_for, take_pixels, warp
from foray.recipes.recipe import Augmentation
from foray.specs.preprocessing import Preprocessing

# Random erasing (Zhong et al. 2017, arXiv:1708.04896) with the numbers of torchvision.transforms.RandomErasing
_ERASED_AREA = (0.02, 0.33)  # of the rectangle relative to the image
_ERASED_RATIO = (0.3, 3.3)  # height / width of the rectangle
_ERASING_ATTEMPTS = 10


class Augment:
    """Turns batches of a training store into what the network trains on, the same for the same (seed, epoch, step)."""

    def __init__(self, augmentation: Augmentation, preprocessing: Preprocessing, *, seed: int) -> None:
        self.augmentation = augmentation
        self.preprocessing = preprocessing
        self.seed = seed

    def __call__(
        self,
        images: Tensor,
        epoch: int,
        step: int,
        side: int | None = None,
        part: tuple[int, int] | None = None,
    ) -> Tensor:
        """uint8 (N, 3, M, M), M >= R -> normalised float32 (N, 3, side, side), channels-last.

        `side`: what a network that is trained at growing resolutions sees, in pixels; None: the resolution R. The
        output shows as much of an image at every side. `part`: (start, total), where the images are rows start,
        start + 1, ... of a batch of `total` that several processes share; together they see what one process would, bit
        for bit. An augmentation that changes nothing gives the centre crop, normalised: the evaluation image (to 1e-6),
        resized (antialiased) where another side is asked for. Mixing is left to `Mix`.
        """
        resolution = self.preprocessing.resolution
        side = resolution if side is None else side
        if images.shape[-1] < resolution:
            raise ValueError(f"images of {images.shape[-1]} pixels are smaller than the resolution {resolution}")
        if side < 1:
            raise ValueError(f"side must be at least 1 pixel, not {side}")
        start, total = part or (0, len(images))
        rows = Rows(start, start + len(images), total)
        entropy = (self.seed, epoch, step)
        draws = Draws(self.augmentation, resolution, rows, entropy)
        pixels = self._coloured(images, draws, rows, entropy, side)
        normalized = _normalize_in_place(pixels, self.preprocessing)
        if self.augmentation.random_erasing > 0:
            _erase(normalized, self.augmentation.random_erasing, rows, entropy)
        return normalized

    def _coloured(self, images: Tensor, draws: Draws, rows: Rows, entropy: tuple[int, int, int], side: int) -> Tensor:
        """The images in place and colour: a new tensor, 0 to 255, uint8 where neither was computed."""
        chosen, resolution = self.augmentation, self.preprocessing.resolution
        policy = None if chosen.policy == "none" else draw_policy(chosen, resolution, rows, entropy)
        pixels = self._placed(images, draws, policy, side)
        if recolours(chosen):
            pixels = _recolour(pixels.float(), chosen, draws)
        return pixels if policy is None else policy.recolour(pixels)

    def _placed(self, images: Tensor, draws: Draws, policy: PolicyDraws | None, side: int) -> Tensor:
        stored, resolution = images.shape[-1], self.preprocessing.resolution
        if policy is None and moves_whole_pixels(self.augmentation):
            return resize(take_pixels(images, *draws.pixels(stored)), side)
        maps = draws.maps(stored)
        if policy is not None:
            maps = maps @ policy.maps()
        shrunk = shrink_for(images, widest_crop(self.augmentation, stored, resolution), side)
        return warp(shrunk.float(), maps, side)


def _recolour(pixels: Tensor, augmentation: Augmentation, draws: Draws) -> Tensor:
    for strength, factors, adjust in (
        (augmentation.brightness, draws.brightness, adjust_brightness),
        (augmentation.contrast, draws.contrast, adjust_contrast),
        (augmentation.saturation, draws.saturation, adjust_saturation),
    ):
        if strength > 0:
            pixels = adjust(pixels, torch.from_numpy(factors).to(pixels.device).view(-1, 1, 1, 1))
    return pixels


def _normalize_in_place(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """0 to 255, (N, 3, H, W) -> (x / 255 - mean) / std, float32, channels-last, over the same memory where it fits.

    `normalize` as one multiply-add a value, x (1 / 255 std) - mean / std: not the same to the last bit, but within 1e-6
    for the usual deviations. As there, the factors are repeated along a row of pixels.
    """
    height, width = pixels.shape[2:]
    rows = pixels.permute(0, 2, 3, 1).to(torch.float32, memory_format=torch.contiguous_format).flatten(2)
    mean = torch.tensor(preprocessing.mean, dtype=torch.float64)
    std = torch.tensor(preprocessing.std, dtype=torch.float64)
    scale, shift = ((part.float().to(rows.device)).repeat(width) for part in (1.0 / (255.0 * std), -mean / std))
    torch.addcmul(shift, rows, scale, out=rows)
    return rows.view(-1, height, width, 3).permute(0, 3, 1, 2)


def _erase(images: Tensor, probability: float, rows: Rows, entropy: tuple[int, int, int]) -> Tensor:
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
    area = side**2 * (_ERASED_AREA[0] + (_ERASED_AREA[1] - _ERASED_AREA[0]) * rows.uniform(random, _ERASING_ATTEMPTS))
    low, high = np.log(_ERASED_RATIO[0]), np.log(_ERASED_RATIO[1])
    stretch = np.exp(low + (high - low) * rows.uniform(random, _ERASING_ATTEMPTS))
    places = rows.uniform(random, 2)
    sizes = np.rint(np.stack([np.sqrt(area * stretch), np.sqrt(area / stretch)], axis=2)).astype(np.int64)
    fits = (sizes < side).all(axis=2)
    size = sizes[np.arange(len(rows)), fits.argmax(axis=1)]
    size[~(erased & fits.any(axis=1))] = 0
    return np.floor(places * (side - size + 1)).astype(np.int64), size
