"""Per-sample augmentation of a whole batch, on the device the batch is on.

Crop, flips, rotation and shift are one affine map per sample, so the pixels are resampled once (bilinear, reflected at
the border), and not at all where only flips are asked for. Colour follows Pillow's definitions through kornia. Every
random number comes from (seed, epoch, step), drawn on the CPU: the same on every device, and a resumed run repeats it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from foray.data.preprocessing import normalize, standardize
from foray.recipes.recipe import Augmentation
from foray.specs.preprocessing import Preprocessing

_CROP_ATTEMPTS = 10  # as torchvision's RandomResizedCrop
_UNCHANGED = (1.0, 1.0)

_Floats = npt.NDArray[np.float64]


class Augment:
    """Turns batches of a training store into what the network trains on, the same for the same (seed, epoch, step)."""

    def __init__(self, augmentation: Augmentation, preprocessing: Preprocessing, *, seed: int) -> None:
        self.augmentation = augmentation
        self.preprocessing = preprocessing
        self.seed = seed

    def __call__(self, images: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        """uint8 (N, 3, M, M), M >= R -> normalised float32 (N, 3, R, R), channels-last.

        An augmentation that changes nothing gives the centre crop, normalised: the evaluation image.
        """
        chosen, side = self.augmentation, self.preprocessing.resolution
        if images.shape[-1] < side:
            raise ValueError(f"images of {images.shape[-1]} pixels are smaller than the resolution {side}")
        draws = _Draws(chosen, len(images), (self.seed, epoch, step))
        if _resamples(chosen):
            scaled = _warp(images.float().div_(255), draws.maps(images.shape[-1], side), side)
        else:
            flipped = _flip(_center_crop(images, side), draws)
            if not _recolours(chosen):
                return normalize(flipped, self.preprocessing)
            scaled = flipped.float().div_(255)
        if _recolours(chosen):
            scaled = _recolour(scaled, chosen, draws)
        return standardize(scaled, self.preprocessing)


class _Draws:
    """The random numbers of one batch, all of them always drawn in one order: an option that is switched on does not
    change the others' numbers."""

    def __init__(self, augmentation: Augmentation, n: int, entropy: tuple[int, int, int]) -> None:
        random = np.random.default_rng(entropy)
        self.augmentation = augmentation
        self.horizontal: npt.NDArray[np.bool_] = random.random(n) < augmentation.horizontal_flip
        self.vertical: npt.NDArray[np.bool_] = random.random(n) < augmentation.vertical_flip
        self._crop_areas, self._crop_ratios = random.random((2, n, _CROP_ATTEMPTS))
        self._crop_places, shifts = random.random((2, n, 2))
        self._shifts = (2.0 * shifts - 1.0) * augmentation.translate
        self._radians = np.deg2rad(augmentation.rotation_degrees) * (2.0 * random.random(n) - 1.0)
        around_one = 2.0 * random.random((3, n)) - 1.0
        self.brightness = _factors(around_one[0], augmentation.brightness)
        self.contrast = _factors(around_one[1], augmentation.contrast)
        self.saturation = _factors(around_one[2], augmentation.saturation)

    def maps(self, stored: int, side: int) -> _Floats:
        """(N, 2, 3): from the output's coordinates to the stored image's, both -1 to 1 from edge to edge.

        An output point is flipped, stretched to the crop, rotated about the crop's centre, and moved to its place.
        """
        size, centre = self._crops(stored, side)  # (N, 2) each, x and y, in stored pixels from the middle
        signs = np.stack([np.where(self.horizontal, -1.0, 1.0), np.where(self.vertical, -1.0, 1.0)], axis=1)
        cos, sin = np.cos(self._radians), np.sin(self._radians)
        rotation = np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)
        linear = rotation * (signs * size)[:, None, :] / stored
        offset = (centre + self._shifts * size) * 2.0 / stored
        return np.concatenate([linear, offset[:, :, None]], axis=2)

    def _crops(self, stored: int, side: int) -> tuple[_Floats, _Floats]:
        """Width and height, and centre, of every crop. Without random crops: the central square of the output's side.

        Else the rule of Szegedy et al. 2014 (arXiv:1409.4842, section 6) as torchvision has it: area uniform in the
        scale, log ratio uniform, the first of ten draws that fits, at a uniform place.
        """
        n = len(self._shifts)
        scale, ratio = self.augmentation.random_crop_scale, self.augmentation.random_crop_ratio
        if scale == _UNCHANGED and ratio == _UNCHANGED:
            return np.full((n, 2), float(side)), np.zeros((n, 2))
        area = stored**2 * (scale[0] + (scale[1] - scale[0]) * self._crop_areas)
        low, high = np.log(ratio[0]), np.log(ratio[1])
        stretch = np.exp(low + (high - low) * self._crop_ratios)
        sizes = np.stack([np.sqrt(area * stretch), np.sqrt(area / stretch)], axis=2)  # (N, attempts, 2)
        fits = (sizes <= stored).all(axis=2)
        size = np.minimum(sizes[np.arange(n), fits.argmax(axis=1)], stored)  # none fits: the first, cut to the image
        return size, (self._crop_places - 0.5) * (stored - size)


def _resamples(augmentation: Augmentation) -> bool:
    return (
        augmentation.random_crop_scale != _UNCHANGED
        or augmentation.random_crop_ratio != _UNCHANGED
        or augmentation.rotation_degrees > 0
        or augmentation.translate > 0
    )


def _recolours(augmentation: Augmentation) -> bool:
    return augmentation.brightness > 0 or augmentation.contrast > 0 or augmentation.saturation > 0


def _factors(around_zero: _Floats, strength: float) -> npt.NDArray[np.float32]:
    """Factors uniform in [1 - strength, 1 + strength], (N,)."""
    return (1.0 + strength * around_zero).astype(np.float32)


def _warp(images: torch.Tensor, maps: _Floats, side: int) -> torch.Tensor:
    theta = torch.from_numpy(maps.astype(np.float32)).to(images.device)
    grid = functional.affine_grid(theta, [len(images), 3, side, side], align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _center_crop(images: torch.Tensor, side: int) -> torch.Tensor:
    start = round((images.shape[-1] - side) / 2)  # as `prepare` rounds
    cropped = images[:, :, start : start + side, start : start + side]
    return cropped.contiguous(memory_format=torch.channels_last)


def _flip(images: torch.Tensor, draws: _Draws) -> torch.Tensor:
    for mirrored, axis in ((draws.horizontal, -1), (draws.vertical, -2)):
        if mirrored.any():
            which = torch.from_numpy(mirrored).to(images.device).view(-1, 1, 1, 1)
            images = torch.where(which, images.flip(axis), images)
    return images


def _recolour(images: torch.Tensor, augmentation: Augmentation, draws: _Draws) -> torch.Tensor:
    # imported here: kornia takes 0.6 s to import, which a frozen backbone's run has no use for
    from kornia.enhance import (
        adjust_brightness_accumulative,
        adjust_contrast_with_mean_subtraction,
        adjust_saturation_with_gray_subtraction,
    )

    for strength, factors, adjust in (
        (augmentation.brightness, draws.brightness, adjust_brightness_accumulative),
        (augmentation.contrast, draws.contrast, adjust_contrast_with_mean_subtraction),
        (augmentation.saturation, draws.saturation, adjust_saturation_with_gray_subtraction),
    ):
        if strength > 0:
            images = adjust(images, torch.from_numpy(factors).to(images.device))
    return images
