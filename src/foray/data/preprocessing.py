"""What an image goes through before a network sees it, exactly as the weights' configuration states it.

`prepare` is timm's evaluation transform on Pillow images (timm.data.create_transform, `crop_mode="center"`): Resize and
CenterCrop, bit for bit once the resized size is settled (`_resize_short_side`). `normalize` is ToTensor and Normalize.
torch is only a name here: the decode cache imports this module without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from foray.specs.preprocessing import Interpolation, Preprocessing

if TYPE_CHECKING:
    import torch

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
# A strip longer than this many times its short side is cut before the resize, which would otherwise blow a picture of
# 1 x 10,000 pixels up to 256 x 2,560,000. Real pictures stay far below, so parity with timm is not touched.
_LONGEST_STRIP = 32


def prepare(image: Image.Image, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """RGB image -> uint8 (R, R, 3): the short side resized to `resize_side`, then the central square of side R."""
    resized = _resize_short_side(_cut_strip(image), preprocessing.resize_side, preprocessing.interpolation)
    return np.asarray(_center_crop(resized, preprocessing.resolution))


def normalize(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """uint8 (N, 3, H, W) -> float32 of the same shape, channels-last: (x / 255 - mean) / std per channel."""
    return standardize(images.div(255), preprocessing)


def standardize(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Float (N, 3, H, W) with values in [0, 1] -> (x - mean) / std per channel, channels-last.

    mean and std are repeated along a row of pixels: broadcasting over three numbers takes four times as long.
    """
    height, width = images.shape[2:]
    rows = images.permute(0, 2, 3, 1).flatten(2)  # (N, H, W x 3)
    mean = rows.new_tensor(preprocessing.mean).repeat(width)
    std = rows.new_tensor(preprocessing.std).repeat(width)
    standardized = rows.sub(mean).div_(std)  # in place on a fresh tensor only, which tracing exporters can follow
    return standardized.view(-1, height, width, 3).permute(0, 3, 1, 2)


def _resize_short_side(image: Image.Image, side: int, interpolation: Interpolation) -> Image.Image:
    """The long side becomes side * long / short, rounded to the nearest pixel: that keeps the aspect ratio best.

    torchvision and timm cut the fraction off, one pixel less for half of all images.
    """
    width, height = image.size
    if width <= height:
        size = (side, round(side * height / width))
    else:
        size = (round(side * width / height), side)
    return image if size == image.size else image.resize(size, _FILTERS[interpolation])


def _center_crop(image: Image.Image, side: int) -> Image.Image:
    """torchvision.transforms.CenterCrop(side) of an image that is nowhere smaller; rounds half to even."""
    width, height = image.size
    left, top = round((width - side) / 2), round((height - side) / 2)
    return image if image.size == (side, side) else image.crop((left, top, left + side, top + side))


def _cut_strip(image: Image.Image) -> Image.Image:
    width, height = image.size
    longest = _LONGEST_STRIP * min(width, height)
    if max(width, height) <= longest:
        return image
    cut_width, cut_height = min(width, longest), min(height, longest)
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    return image.crop((left, top, left + cut_width, top + cut_height))
