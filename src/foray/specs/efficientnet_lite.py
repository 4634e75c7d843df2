"""EfficientNet-Lite0 to Lite4 (Google 2020: tpu/models/official/efficientnet/lite/efficientnet_lite_builder.py).

EfficientNet for integer hardware: no squeeze-excitation, ReLU6, and a stem, a head, and first and last stages that are
not scaled. The `tf_` names are the authors' networks at their resolutions; the symmetric ones have no published
weights and follow PyTorch's conventions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from foray.specs.preprocessing import HALF, Preprocessing
from foray.specs.scaling import ScalingRule, scale
from foray.specs.spec import ArchSpec, Conv, InvertedResidual, Published
from foray.specs.tensorflow import tensorflow_variant

RULE = ScalingRule(head="fixed", fixed_ends=True)

_BASE = ArchSpec(
    name="efficientnet_lite0",
    family="efficientnet_lite",
    resolution=224,
    stem=Conv(out_channels=32, kernel=3, stride=2),
    stages=(
        #                t    c   n  s  k     output, pixels
        InvertedResidual(1, 16, 1, 1, 3),  # 112
        InvertedResidual(6, 24, 2, 2, 3),  # 56
        InvertedResidual(6, 40, 2, 2, 5),  # 28
        InvertedResidual(6, 80, 3, 2, 3),  # 14
        InvertedResidual(6, 112, 3, 1, 5),  # 14
        InvertedResidual(6, 192, 4, 2, 5),  # 7
        InvertedResidual(6, 320, 1, 1, 3),  # 7
    ),
    head=Conv(out_channels=1280, kernel=1),
    activation="relu6",
    initialization="efficientnet",
    preprocessing=Preprocessing(mean=HALF, std=HALF),
    dropout=0.2,
    stochastic_depth_prob=0.2,
)


class _LiteScaling(NamedTuple):
    """`efficientnet_lite_params`: width, depth, resolution (pixels), dropout; and what the README prints."""

    width_mult: float
    depth_mult: float
    resolution: int
    dropout: float
    params: int
    counted_macs: int
    printed_macs: int
    top1: float


# fmt: off
_SCALINGS = {
    #                               w    d    px  drop  params      MACs counted   printed        top-1
    "efficientnet_lite0": _LiteScaling(1.0, 1.0, 224, 0.2,  4_652_008,    385_187_552,   407_000_000, 0.751),
    "efficientnet_lite1": _LiteScaling(1.0, 1.1, 240, 0.2,  5_416_680,    600_185_232,   631_000_000, 0.767),
    "efficientnet_lite2": _LiteScaling(1.1, 1.2, 260, 0.3,  6_092_072,    859_736_272,   899_000_000, 0.776),
    "efficientnet_lite3": _LiteScaling(1.2, 1.4, 280, 0.3,  8_197_096,  1_383_321_872, 1_440_000_000, 0.798),
    "efficientnet_lite4": _LiteScaling(1.4, 1.8, 300, 0.3, 13_006_568, 2_553_034_336, 2_640_000_000, 0.815),
}
# fmt: on
_TIMM = "trainable parameters of timm's (params); torch.utils.flop_counter on it (MACs)"
_README = "tpu/models/official/efficientnet/lite README (top-1, MACs rounded); trainable parameters of timm's (params)"


def _pair(name: str) -> tuple[ArchSpec, ArchSpec]:
    """A Lite network and its TensorFlow variant."""
    scaling = _SCALINGS[name]
    # The authors resize to the resolution + 32 pixels, as for EfficientNet.
    preprocessing = replace(
        _BASE.preprocessing, resolution=scaling.resolution, crop_pct=scaling.resolution / (scaling.resolution + 32)
    )
    plain = replace(
        scale(_BASE, name, RULE, width_mult=scaling.width_mult, depth_mult=scaling.depth_mult),
        resolution=scaling.resolution,
        preprocessing=preprocessing,
        dropout=scaling.dropout,
        published=Published(scaling.params, _TIMM, macs=scaling.counted_macs),
    )
    published = Published(scaling.params, _README, macs=scaling.printed_macs, top1=scaling.top1)
    return plain, tensorflow_variant(plain, bn_decay=0.99, preprocessing=preprocessing, published=published)


SPECS: tuple[ArchSpec, ...] = tuple(spec for name in _SCALINGS for spec in _pair(name))
