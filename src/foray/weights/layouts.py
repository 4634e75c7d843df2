"""The layouts of weight files foray reads: whose names their tensors have."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from foray.errors import WeightsError
from foray.specs import ArchSpec
from foray.weights.key_map import timm_keys
from foray.weights.torchvision_keys import TORCHVISION_FAMILIES, lukemelas_keys, torchvision_keys

Layout = Literal["timm", "torchvision", "lukemelas", "keras"]

_MARKS: dict[str, Layout] = {
    "_conv_stem.weight": "lukemelas",
    "conv_stem.weight": "timm",
    "features.0.0.weight": "torchvision",
    "layers.0.weight": "torchvision",  # MNASNet
    "conv1.weight": "timm",  # ResNet, whose names timm took over, and timm's Xception
}


def layout_of(names: Collection[str]) -> Layout:
    """Whose names these are, by that of the first convolution. Raises WeightsError when nobody's that foray knows."""
    for mark, layout in _MARKS.items():
        if mark in names:
            return layout
    shown = ", ".join(sorted(names)[:3])
    raise WeightsError(
        f"These weights have names of a layout foray does not know ({shown}, ...). It reads those of timm, torchvision "
        "and lukemelas' EfficientNet-PyTorch."
    )


def names_in(layout: Layout, spec: ArchSpec) -> dict[str, str]:
    """Every state-dict key of a Network of `spec` to its name in `layout`. Raises WeightsError where it has none."""
    if layout == "timm":
        return timm_keys(spec)
    if layout == "keras":
        return {key: key for key in timm_keys(spec)}  # `read_keras` has renamed them
    if layout == "torchvision" and spec.family in TORCHVISION_FAMILIES:
        return torchvision_keys(spec)
    if layout == "lukemelas" and spec.family == "efficientnet":
        return lukemelas_keys(spec)
    raise WeightsError(f"{layout} has no {spec.name}: the weights are of another architecture.")
