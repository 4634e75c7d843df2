"""TrivialAugment and RandAugment for a batch: operations and strengths drawn for each image.

Müller & Hutter 2021 (arXiv:2103.10158, Table 1, "wide"): one of 14 operations, its strength uniform over 31 levels.
Cubuk et al. 2020 (arXiv:1909.13719): `num_ops` of them, one after the other, at one level for all. Operations and
ranges are those of torchvision.transforms.TrivialAugmentWide and RandAugment.

Two differences from torchvision. Shears, shifts and rotations become part of the one map by which an image is
resampled, before any colour is changed, so they are bilinear, and what they uncover is what lies there in the stored
image or its reflection, where torchvision puts black. Colours stay fractions from one operation to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from foray.augmentation import colour
from foray.augmentation.draws import Floats, Integers, Rows, Stream, generator
from foray.recipes.recipe import Augmentation

_HIGHEST_LEVEL = 30


class Operation(NamedTuple):
    """One row of the table: the strength at the highest level, half of the draws negative where it is `signed`."""

    name: str
    trivial: float  # TrivialAugment wide
    rand: float  # RandAugment
    signed: bool


OPERATIONS = (
    #          name          trivial  rand       signed
    Operation("identity",      0.0,   0.0,       False),
    Operation("shear_x",       0.99,  0.3,       True),   # pixels to the side per pixel down
    Operation("shear_y",       0.99,  0.3,       True),
    Operation("translate_x",  32.0,   150 / 331, True),   # pixels; share of the side
    Operation("translate_y",  32.0,   150 / 331, True),
    Operation("rotate",      135.0,  30.0,       True),   # degrees
    Operation("brightness",    0.99,  0.9,       True),   # change of the factor from 1, so the next three
    Operation("color",         0.99,  0.9,       True),
    Operation("contrast",      0.99,  0.9,       True),
    Operation("sharpness",     0.99,  0.9,       True),
    Operation("posterize",     6.0,   4.0,       False),  # bits of 8 that are dropped
    Operation("solarize",    255.0, 255.0,       False),  # 255 - threshold
    Operation("autocontrast",  0.0,   0.0,       False),
    Operation("equalize",      0.0,   0.0,       False),
)  # fmt: skip

_SHEARS_X, _SHEARS_Y, _SHIFTS_X, _SHIFTS_Y, _ROTATES, _POSTERIZES = (
    next(i for i, operation in enumerate(OPERATIONS) if operation.name == name)
    for name in ("shear_x", "shear_y", "translate_x", "translate_y", "rotate", "posterize")
)
# operation -> (images, strengths (N, 1, 1, 1)) -> images
_COLOURS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": lambda images, strengths: colour.adjust_brightness(images, 1.0 + strengths),
    "color": lambda images, strengths: colour.adjust_saturation(images, 1.0 + strengths),
    "contrast": lambda images, strengths: colour.adjust_contrast(images, 1.0 + strengths),
    "sharpness": lambda images, strengths: colour.adjust_sharpness(images, 1.0 + strengths),
    "posterize": lambda images, strengths: colour.posterize(images, strengths),
    "solarize": lambda images, strengths: colour.solarize(images, 255.0 - strengths),
    "autocontrast": lambda images, _: colour.autocontrast(images),
    "equalize": lambda images, _: colour.equalize(images),
}


class PolicyDraws:
    """What a policy does to the images of a batch.

    `operations` (N, K): places in OPERATIONS, first to last. `strengths` (N, K): in the units of the table, shifts as a
    share of the side.
    """

    def __init__(self, operations: Integers, strengths: Floats) -> None:
        self.operations = operations
        self.strengths = strengths

    def maps(self) -> Floats:
        """(N, 3, 3): from the output's coordinates to those before the policy, both -1 to 1 from edge to edge.

        The last operation is the first that an output's point goes through.
        """
        n, num_ops = self.operations.shape
        maps = np.tile(np.eye(3), (n, 1, 1))
        for k in range(num_ops):
            maps = maps @ _maps(self.operations[:, k], self.strengths[:, k])
        return maps

    def recolour(self, pixels: Tensor) -> Tensor:
        """Changes the colours of float pixels (N, 3, H, W), 0 to 255, in place, each operation on its own images."""
        for k in range(self.operations.shape[1]):
            for place, operation in enumerate(OPERATIONS):
                chosen = np.flatnonzero(self.operations[:, k] == place)
                if operation.name in _COLOURS and len(chosen):
                    at = torch.from_numpy(chosen).to(pixels.device)
                    strengths = torch.from_numpy(self.strengths[chosen, k].astype(np.float32)).to(pixels.device)
                    pixels[at] = _COLOURS[operation.name](pixels[at], strengths.view(-1, 1, 1, 1))
        return pixels


def draw_policy(augmentation: Augmentation, resolution: int, rows: Rows, entropy: tuple[int, int, int]) -> PolicyDraws:
    """Operations and strengths of the recipe's policy for these rows of a batch; `resolution` in pixels."""
    random = generator(entropy, Stream.POLICY)
    trivial = augmentation.policy == "trivialaugment"
    num_ops = 1 if trivial else augmentation.num_ops
    operations = np.floor(rows.uniform(random, num_ops) * len(OPERATIONS)).astype(np.int64)
    levels = np.floor(rows.uniform(random, num_ops) * (_HIGHEST_LEVEL + 1))
    negative = rows.uniform(random, num_ops) < 0.5
    if not trivial:
        levels = np.full_like(levels, augmentation.magnitude)
    highest = np.array([operation.trivial if trivial else operation.rand for operation in OPERATIONS])
    if trivial:
        highest[[_SHIFTS_X, _SHIFTS_Y]] /= resolution
    strengths = highest[operations] * levels / _HIGHEST_LEVEL
    shifts = np.isin(operations, (_SHIFTS_X, _SHIFTS_Y))  # by whole pixels, which leaves the others' sharpness
    strengths = np.where(shifts, np.floor(strengths * resolution + 1e-9) / resolution, strengths)
    strengths = np.where(operations == _POSTERIZES, np.rint(strengths), strengths)
    signed = np.array([operation.signed for operation in OPERATIONS])[operations]
    return PolicyDraws(operations, np.where(signed & negative, -strengths, strengths))


def _maps(operations: Integers, strengths: Floats) -> Floats:
    """(N, 3, 3) for one operation each; the identity where it is none of place.

    Rotations are counter-clockwise about the middle; shears leave the top left corner where it is, as the AutoAugment
    authors' and torchvision's do; positive shifts go right and down.
    """
    maps = np.tile(np.eye(3), (len(operations), 1, 1))

    def put(operation: int, row: int, column: int, values: Floats) -> None:
        maps[:, row, column] = np.where(operations == operation, values, maps[:, row, column])

    for operation, row, column in ((_SHEARS_X, 0, 1), (_SHEARS_Y, 1, 0)):
        put(operation, row, column, strengths)
        put(operation, row, 2, strengths)
    put(_SHIFTS_X, 0, 2, -2.0 * strengths)
    put(_SHIFTS_Y, 1, 2, -2.0 * strengths)
    cos, sin = np.cos(np.deg2rad(strengths)), np.sin(np.deg2rad(strengths))
    for row, column, values in ((0, 0, cos), (0, 1, -sin), (1, 0, sin), (1, 1, cos)):
        put(_ROTATES, row, column, values)
    return maps
