"""Preprocessing of an image, exactly as the weights' configuration states it.

`prepare` is timm's evaluation transform on Pillow images (timm.data.create_transform, `crop_mode` "center" or
"squash"): Resize and CenterCrop, bit for bit (`foray.deploy.predict.resize_and_crop`, as a device does it). `normalize`
is ToTensor and Normalize. torch is only a name here: the decode cache imports this without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from foray.deploy.predict import resize_and_crop
from foray.specs.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch


def prepare(image: Image.Image, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """RGB image -> uint8 (R, R, 3): the short side resized to `resize_side`, then the central square of side R."""
    return resize_and_crop(
        image,
        resolution=preprocessing.resolution,
        resize_side=preprocessing.resize_side,
        interpolation=preprocessing.interpolation,
        how=preprocessing.resize,
    )


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
