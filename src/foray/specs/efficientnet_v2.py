"""EfficientNetV2 (Tan & Le 2021, arXiv:2104.00298): S (Table 4), M, L, and the B networks of the authors' release.

M, L and B are in automl/efficientnetv2/effnetv2_configs.py (`v2_m_block`, `v2_l_block`, `v2_base_block`); B1-B3 scale
B0 as EfficientNet does, with channels rounded to the nearest multiple of 8 and no floor. The plain S, M, L are
torchvision's networks with the evaluation transforms of IMAGENET1K_V1; torchvision has no B: their plain names follow
the same conventions (BN eps 1e-3, momentum 0.1). The `tf_` names are the authors' and Keras's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from foray.specs.preprocessing import HALF, Preprocessing
from foray.specs.scaling import ScalingRule, scale
from foray.specs.spec import ArchSpec, Conv, FusedInvertedResidual, InvertedResidual, Published
from foray.specs.tensorflow import tensorflow_variant

RULE = ScalingRule(at_least=0.0)

_SE = 0.25

_B0 = ArchSpec(
    name="efficientnet_v2_b0",
    family="efficientnet_v2",
    resolution=224,
    stem=Conv(out_channels=32, kernel=3, stride=2),
    stages=(
        #                     t    c   n  s              output, pixels
        FusedInvertedResidual(1, 16, 1, 1),  # 112
        FusedInvertedResidual(4, 32, 2, 2),  # 56
        FusedInvertedResidual(4, 48, 2, 2),  # 28
        InvertedResidual(4, 96, 3, 2, se_ratio=_SE),  # 14
        InvertedResidual(6, 112, 5, 1, se_ratio=_SE),  # 14
        InvertedResidual(6, 192, 8, 2, se_ratio=_SE),  # 7
    ),
    head=Conv(out_channels=1280, kernel=1),
    activation="silu",
    initialization="efficientnet",
    preprocessing=Preprocessing(),
    bn_eps=1e-3,
    dropout=0.2,
    stochastic_depth_prob=0.2,
)

_S = replace(
    _B0,
    name="efficientnet_v2_s",
    stem=Conv(out_channels=24, kernel=3, stride=2),
    stages=(
        FusedInvertedResidual(1, 24, 2, 1),
        FusedInvertedResidual(4, 48, 4, 2),
        FusedInvertedResidual(4, 64, 4, 2),
        InvertedResidual(4, 128, 6, 2, se_ratio=_SE),
        InvertedResidual(6, 160, 9, 1, se_ratio=_SE),
        InvertedResidual(6, 256, 15, 2, se_ratio=_SE),
    ),
)

_M = replace(
    _S,
    name="efficientnet_v2_m",
    stages=(
        FusedInvertedResidual(1, 24, 3, 1),
        FusedInvertedResidual(4, 48, 5, 2),
        FusedInvertedResidual(4, 80, 5, 2),
        InvertedResidual(4, 160, 7, 2, se_ratio=_SE),
        InvertedResidual(6, 176, 14, 1, se_ratio=_SE),
        InvertedResidual(6, 304, 18, 2, se_ratio=_SE),
        InvertedResidual(6, 512, 5, 1, se_ratio=_SE),
    ),
    dropout=0.3,
)

_L = replace(
    _S,
    name="efficientnet_v2_l",
    stem=Conv(out_channels=32, kernel=3, stride=2),
    stages=(
        FusedInvertedResidual(1, 32, 4, 1),
        FusedInvertedResidual(4, 64, 7, 2),
        FusedInvertedResidual(4, 96, 7, 2),
        InvertedResidual(4, 192, 10, 2, se_ratio=_SE),
        InvertedResidual(6, 224, 19, 1, se_ratio=_SE),
        InvertedResidual(6, 384, 25, 2, se_ratio=_SE),
        InvertedResidual(6, 640, 7, 1, se_ratio=_SE),
    ),
    dropout=0.4,
)


class _V2Scaling(NamedTuple):
    """A B network: how it grows from B0, and the resolution the authors test it at, pixels."""

    width_mult: float
    depth_mult: float
    resolution: int
    dropout: float


# fmt: off
_SCALINGS = {
    #                                w    d    px  drop
    "efficientnet_v2_b0": _V2Scaling(1.0, 1.0, 224, 0.2),
    "efficientnet_v2_b1": _V2Scaling(1.0, 1.1, 240, 0.2),
    "efficientnet_v2_b2": _V2Scaling(1.1, 1.2, 260, 0.3),
    "efficientnet_v2_b3": _V2Scaling(1.2, 1.4, 300, 0.3),
}
_TORCHVISION = "torchvision IMAGENET1K_V1 (params, top-1); torch.utils.flop_counter on it (MACs)"
_TIMM = "trainable parameters of keras.applications (params); torch.utils.flop_counter on timm's (MACs)"
_PAPER = "arXiv:2104.00298 Table 7 (top-1, MACs rounded); trainable parameters of keras.applications (params)"
_RELEASE = "github.com/google/automl efficientnetv2 README (top-1, MACs rounded); keras.applications (params)"
_PUBLISHED = {
    # plain, then TensorFlow
    "efficientnet_v2_b0": (Published(7_139_704, _TIMM, macs=718_086_176),
                           Published(7_139_704, _RELEASE, macs=720_000_000, top1=0.787)),
    "efficientnet_v2_b1": (Published(8_141_052, _TIMM, macs=1_196_819_360),
                           Published(8_141_052, _RELEASE, macs=1_200_000_000, top1=0.798)),
    "efficientnet_v2_b2": (Published(10_096_086, _TIMM, macs=1_697_542_832),
                           Published(10_096_086, _RELEASE, macs=1_700_000_000, top1=0.805)),
    "efficientnet_v2_b3": (Published(14_358_406, _TIMM, macs=3_011_458_816),
                           Published(14_358_406, _RELEASE, macs=3_000_000_000, top1=0.821)),
    "efficientnet_v2_s": (Published(21_458_488, _TORCHVISION, macs=8_365_617_152, top1=0.84228),
                          Published(21_458_488, _PAPER, macs=8_800_000_000, top1=0.839)),
    "efficientnet_v2_m": (Published(54_139_356, _TORCHVISION, macs=24_582_460_384, top1=0.85112),
                          Published(54_139_356, _PAPER, macs=24_000_000_000, top1=0.851)),
    "efficientnet_v2_l": (Published(118_515_272, _TORCHVISION, macs=56_079_699_008, top1=0.85808),
                          Published(118_515_272, _PAPER, macs=53_000_000_000, top1=0.857)),
}
# The whole image is shown, not a centre crop (torchvision's transforms; Keras and the authors do so too).
_TRANSFORMS = {
    "efficientnet_v2_s": Preprocessing(384, 1.0, "bilinear"),
    "efficientnet_v2_m": Preprocessing(480, 1.0, "bilinear"),
    "efficientnet_v2_l": Preprocessing(480, 1.0, "bicubic", mean=HALF, std=HALF),
}
_TF_TRANSFORMS = {
    "efficientnet_v2_s": Preprocessing(384, 1.0, "bicubic", mean=HALF, std=HALF),
    "efficientnet_v2_m": Preprocessing(480, 1.0, "bicubic", mean=HALF, std=HALF),
    "efficientnet_v2_l": Preprocessing(480, 1.0, "bicubic", mean=HALF, std=HALF),
}
# fmt: on


def _b(name: str) -> tuple[ArchSpec, ArchSpec]:
    """A B network and its TensorFlow variant.

    Keras's B variants take ImageNet mean and std. timm lists the training side, 192 pixels for B0; Keras and the
    authors test at 224.
    """
    scaling = _SCALINGS[name]
    preprocessing = Preprocessing(resolution=scaling.resolution)
    plain = replace(
        scale(_B0, name, RULE, width_mult=scaling.width_mult, depth_mult=scaling.depth_mult),
        resolution=scaling.resolution,
        preprocessing=preprocessing,
        dropout=scaling.dropout,
    )
    return _published(plain, preprocessing)


def _published(plain: ArchSpec, tf_preprocessing: Preprocessing) -> tuple[ArchSpec, ArchSpec]:
    figures, tf_figures = _PUBLISHED[plain.name]
    tf = tensorflow_variant(plain, bn_decay=0.9, preprocessing=tf_preprocessing, published=tf_figures)
    return replace(plain, published=figures), tf


def _large(base: ArchSpec) -> tuple[ArchSpec, ArchSpec]:
    """S, M or L and its TensorFlow variant."""
    preprocessing = _TRANSFORMS[base.name]
    plain = replace(base, resolution=preprocessing.resolution, preprocessing=preprocessing)
    return _published(plain, _TF_TRANSFORMS[base.name])


SPECS: tuple[ArchSpec, ...] = (
    *(spec for name in _SCALINGS for spec in _b(name)),
    *(spec for base in (_S, _M, _L) for spec in _large(base)),
)
