"""Preprocessing of images: part of the weights, not of scripts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from foray.limits import LEAST_CROP_PCT
from foray.parsing import shortened

Interpolation = Literal["bilinear", "bicubic"]
Resize = Literal["cut", "rounded", "squashed"]
Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
HALF: Triple = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Preprocessing:
    """Evaluation preprocessing: resize the short side, centre crop, scale to [0, 1], normalise per channel.

    `resolution`: side of the square the network sees, pixels. `crop_pct`: resolution / short side after the resize,
    so the short side is resized to floor(resolution / crop_pct) pixels (timm's convention). `mean` and `std`: per RGB
    channel, on values in [0, 1]. `resize`: what becomes of the long side. "cut": side * long / short, the fraction cut
    off, as torchvision and timm do; "rounded": to the nearest pixel, as earlier versions of foray did; "squashed": it
    becomes as long as the short side (timm's `crop_mode="squash"`).
    """

    resolution: int = 224
    crop_pct: float = 0.875
    interpolation: Interpolation = "bicubic"
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    resize: Resize = field(default="cut", repr=False)  # checkpoints of earlier versions do not bear it

    def __post_init__(self) -> None:
        if not 1 <= self.resolution < 2**31:
            raise ValueError(f"resolution must be at least 1 pixel, not {shortened(self.resolution)}")
        if not 0.0 < self.crop_pct <= 1.0:
            raise ValueError(f"crop_pct must be in (0, 1], not {self.crop_pct}")
        if self.crop_pct < LEAST_CROP_PCT:
            raise ValueError(
                f"crop_pct must be at least {LEAST_CROP_PCT}, not {self.crop_pct:g}: images would be resized to "
                f"{1 / self.crop_pct:.3g} times what is used of them"
            )
        if not all(math.isfinite(value) for value in self.mean):
            raise ValueError(f"mean must be finite, not {self.mean}")
        if not all(0.0 < value < math.inf for value in self.std):
            raise ValueError(f"std must be positive and finite, not {self.std}")

    @property
    def resize_side(self) -> int:
        """Short side after the resize, pixels."""
        return int(self.resolution / self.crop_pct)

    @property
    def identity(self) -> dict[str, Any]:
        """What keys of runs are made of. The usual `resize` is left out: keys of earlier versions do not hold it."""
        stated = asdict(self)
        if self.resize == "cut":
            del stated["resize"]
        return stated
