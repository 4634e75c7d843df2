"""The random numbers that augment one batch, and the affine map or the whole pixels they choose for each image.

Every number comes from (seed, epoch, step), drawn on the CPU: the same on every device, and a resumed run repeats it.
What is drawn does not depend on which options are on, so an option that is switched on does not change the others'
numbers. Numbers are drawn for the whole batch, of which several processes take one part each. torchvision's transforms
draw from the process's one generator as images come along, so they can promise none of this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from foray.recipes.recipe import Augmentation

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_CROP_ATTEMPTS = 10  # as torchvision's RandomResizedCrop
_UNCHANGED = (1.0, 1.0)


class Stream(IntEnum):
    """What a generator draws for: each of them has its own independent numbers."""

    PLACE_AND_COLOUR = 0
    POLICY = 1
    ERASING = 2
    MIXING = 3


@dataclass(frozen=True)
class Rows:
    """Rows `start` to `stop` of a batch of `total` images: those that one process sees."""

    start: int
    stop: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop <= self.total:
            raise ValueError(f"rows {self.start} to {self.stop} are not part of a batch of {self.total}")

    def __len__(self) -> int:
        return self.stop - self.start

    def uniform(self, random: np.random.Generator, *each: int) -> Floats:
        """Uniform in [0, 1), (len(self), *each): drawn for the whole batch, those of these rows returned."""
        return random.random((self.total, *each))[self.start : self.stop]


def generator(entropy: tuple[int, int, int], stream: Stream) -> np.random.Generator:
    """The random numbers of one (seed, epoch, step) for one purpose."""
    spawn_key = (int(stream),) if stream else ()
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=spawn_key))


class Draws:
    """Place and colour of every image of a batch; `resolution` R is the side of the square that the network sees."""

    def __init__(self, augmentation: Augmentation, resolution: int, rows: Rows, entropy: tuple[int, int, int]) -> None:
        random = generator(entropy, Stream.PLACE_AND_COLOUR)
        self._augmentation = augmentation
        self._resolution = resolution
        self._mirrored = rows.uniform(random) < augmentation.horizontal_flip
        self._upside_down = rows.uniform(random) < augmentation.vertical_flip
        self._crop_areas = rows.uniform(random, _CROP_ATTEMPTS)
        self._crop_ratios = rows.uniform(random, _CROP_ATTEMPTS)
        self._crop_places = rows.uniform(random, 2)
        self._shifts = rows.uniform(random, 2)
        self._radians = np.deg2rad(augmentation.rotation_degrees) * (2.0 * rows.uniform(random) - 1.0)
        self.brightness = _factors(rows.uniform(random), augmentation.brightness)
        self.contrast = _factors(rows.uniform(random), augmentation.contrast)
        self.saturation = _factors(rows.uniform(random), augmentation.saturation)

    def pixels(self, stored: int) -> tuple[Integers, Integers]:
        """Rows and columns of the stored image that the output shows, (N, R) each: flips and whole-pixel shifts.

        Beyond the border the image is reflected, its outermost pixels repeated, as the warp does it.
        """
        first = _first_of_centre(stored, self._resolution) + self._whole_shifts()  # (N, 2), x and y
        line = np.arange(self._resolution)
        reverse = line[::-1]
        columns = first[:, :1] + np.where(self._mirrored[:, None], reverse, line)
        rows = first[:, 1:] + np.where(self._upside_down[:, None], reverse, line)
        return _reflect(rows, stored), _reflect(columns, stored)

    def maps(self, stored: int) -> Floats:
        """(N, 2, 3): from the output's coordinates to the stored image's, both -1 to 1 from edge to edge.

        An output point is flipped, stretched to the crop, rotated about the crop's centre, and moved to its place.
        """
        size, centre = self._crops(stored)  # (N, 2) each, x and y, in stored pixels from the middle
        signs = np.stack([np.where(self._mirrored, -1.0, 1.0), np.where(self._upside_down, -1.0, 1.0)], axis=1)
        cos, sin = np.cos(self._radians), np.sin(self._radians)
        rotation = np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)
        linear = rotation * (signs * size)[:, None, :] / stored
        if moves_whole_pixels(self._augmentation):
            shifts = self._whole_shifts().astype(np.float64)
        else:
            shifts = (2.0 * self._shifts - 1.0) * self._augmentation.translate * size
        offset = (centre + shifts) * 2.0 / stored
        return np.concatenate([linear, offset[:, :, None]], axis=2)

    def _whole_shifts(self) -> Integers:
        """(N, 2): x and y, each uniform over -K to K pixels, K the whole pixels in `translate` x R.

        With K = 4 at 32 pixels that is CIFAR's customary padding by 4 and random crop (He et al. 2015,
        arXiv:1512.03385, section 4.2).
        """
        largest = int(self._augmentation.translate * self._resolution + 1e-9)
        return np.floor(self._shifts * (2 * largest + 1)).astype(np.int64) - largest

    def _crops(self, stored: int) -> tuple[Floats, Floats]:
        """Width and height, and centre, of every crop. Without random crops: the centre crop that evaluation takes.

        Else the rule of Szegedy et al. 2014 (arXiv:1409.4842, section 6) as torchvision has it: area uniform in the
        scale, log ratio uniform, the first of ten draws that fits, at a uniform place.
        """
        n, side = len(self._shifts), self._resolution
        if not crops(self._augmentation):
            centre = _first_of_centre(stored, side) + side / 2 - stored / 2
            return np.full((n, 2), float(side)), np.full((n, 2), centre)
        scale, ratio = self._augmentation.random_crop_scale, self._augmentation.random_crop_ratio
        area = stored**2 * (scale[0] + (scale[1] - scale[0]) * self._crop_areas)
        low, high = np.log(ratio[0]), np.log(ratio[1])
        stretch = np.exp(low + (high - low) * self._crop_ratios)
        sizes = np.stack([np.sqrt(area * stretch), np.sqrt(area / stretch)], axis=2)  # (N, attempts, 2)
        fits = (sizes <= stored).all(axis=2)
        size = np.minimum(sizes[np.arange(n), fits.argmax(axis=1)], stored)  # none fits: the first, cut to the image
        return size, (self._crop_places - 0.5) * (stored - size)


def crops(augmentation: Augmentation) -> bool:
    """True when every image gets a crop of its own."""
    return augmentation.random_crop_scale != _UNCHANGED or augmentation.random_crop_ratio != _UNCHANGED


def moves_whole_pixels(augmentation: Augmentation) -> bool:
    """True when crops, flips and shifts need no resampling: there are no random crops and no rotations."""
    return not crops(augmentation) and augmentation.rotation_degrees == 0


def recolours(augmentation: Augmentation) -> bool:
    """True when brightness, contrast or saturation change."""
    return augmentation.brightness > 0 or augmentation.contrast > 0 or augmentation.saturation > 0


def widest_crop(augmentation: Augmentation, stored: int, resolution: int) -> float:
    """Side of the largest square that an output may show, in stored pixels; a bound where crops have a ratio."""
    if not crops(augmentation):
        return float(resolution)
    low, high = augmentation.random_crop_ratio
    return stored * min(1.0, math.sqrt(augmentation.random_crop_scale[1] * max(high, 1.0 / low)))


def _factors(uniform: Floats, strength: float) -> npt.NDArray[np.float32]:
    """Factors uniform in [1 - strength, 1 + strength], (N,)."""
    return (1.0 + strength * (2.0 * uniform - 1.0)).astype(np.float32)


def _first_of_centre(stored: int, side: int) -> int:
    return round((stored - side) / 2)  # as `prepare` rounds


def _reflect(positions: Integers, stored: int) -> Integers:
    """Positions beyond [0, stored) mirrored at the edges: -1 is 0, -2 is 1, `stored` is `stored` - 1."""
    within = positions % (2 * stored)
    return np.minimum(within, 2 * stored - 1 - within)
