"""How a network is quantised: what every runtime's own tool is told, in words that hold for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ranges = Literal["full", "clipped"]
Granularity = Literal["channel", "tensor"]


@dataclass(frozen=True)
class Settings:
    """Post-training quantisation to int8: weights symmetric, activations asymmetric with one scale a tensor.

    The defaults are what loses least with published ImageNet weights. `images`: how many train images the ranges of the
    activations are taken from. `ranges`: "full" is the widest range seen; "clipped" cuts rare outliers off, each tool
    in its own way. `float_layers`: names of layers (as in `Network.named_modules`) that stay in float32. `weights`: one
    scale per "channel" or per "tensor"; the latter loses much on depthwise layers and is there for comparison.

    Raises ValueError for fewer than one image.
    """

    images: int = 300
    ranges: Ranges = "full"
    float_layers: tuple[str, ...] = ()
    weights: Granularity = "channel"

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ValueError(f"Calibration needs at least one image, not {self.images}")

    def __str__(self) -> str:
        kept = f", {len(self.float_layers)} layers in float32" if self.float_layers else ""
        return f"{self.images} calibration images, {self.ranges} ranges{kept}"
