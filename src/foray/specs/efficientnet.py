"""EfficientNet B0-B7 (Tan & Le 2019, arXiv:1905.11946, Table 1 and its compound scaling).

Width, depth, resolution and dropout of B1-B7 are those of the authors' release (`efficientnet_params` in
tpu/models/official/efficientnet/efficientnet_builder.py); the paper prints them rounded. The plain names are
torchvision's networks (symmetric padding, torchvision's batch-norm constants and evaluation transforms of
IMAGENET1K_V1), the `tf_` names the authors' (SAME padding, decay 0.99, the paper's resolution).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from foray.specs.preprocessing import Preprocessing
from foray.specs.scaling import ScalingRule, scale
from foray.specs.spec import ArchSpec, Conv, InvertedResidual, Published
from foray.specs.tensorflow import tensorflow_variant

RULE = ScalingRule()

_BASE = ArchSpec(
    name="efficientnet_b0",
    family="efficientnet",
    resolution=224,
    stem=Conv(out_channels=32, kernel=3, stride=2),
    stages=(
        #                t    c   n  s  k  se            output, pixels
        InvertedResidual(1, 16, 1, 1, 3, se_ratio=0.25),  # 112
        InvertedResidual(6, 24, 2, 2, 3, se_ratio=0.25),  # 56
        InvertedResidual(6, 40, 2, 2, 5, se_ratio=0.25),  # 28
        InvertedResidual(6, 80, 3, 2, 3, se_ratio=0.25),  # 14
        InvertedResidual(6, 112, 3, 1, 5, se_ratio=0.25),  # 14
        InvertedResidual(6, 192, 4, 2, 5, se_ratio=0.25),  # 7
        InvertedResidual(6, 320, 1, 1, 3, se_ratio=0.25),  # 7
    ),
    head=Conv(out_channels=1280, kernel=1),
    activation="silu",
    initialization="efficientnet",
    preprocessing=Preprocessing(),
    dropout=0.2,
    stochastic_depth_prob=0.2,
)


class _Scaling(NamedTuple):
    """One network of the family, as the authors released it."""

    width_mult: float
    depth_mult: float
    dropout: float
    params: int


class _Figures(NamedTuple):
    """One evaluation of it. `resolution` and `resize_side` in pixels, `top1` in [0, 1]."""

    resolution: int
    resize_side: int
    macs: int
    top1: float


# fmt: off
_SCALINGS = {
    #                            w    d   drop  params
    "efficientnet_b0": _Scaling(1.0, 1.0, 0.2,  5_288_548),
    "efficientnet_b1": _Scaling(1.0, 1.1, 0.2,  7_794_184),
    "efficientnet_b2": _Scaling(1.1, 1.2, 0.3,  9_109_994),
    "efficientnet_b3": _Scaling(1.2, 1.4, 0.3, 12_233_232),
    "efficientnet_b4": _Scaling(1.4, 1.8, 0.4, 19_341_616),
    "efficientnet_b5": _Scaling(1.6, 2.2, 0.4, 30_389_784),
    "efficientnet_b6": _Scaling(1.8, 2.6, 0.5, 43_040_704),
    "efficientnet_b7": _Scaling(2.0, 3.1, 0.5, 66_347_960),
}
# torchvision's IMAGENET1K_V1 weights. MACs by torch.utils.flop_counter / 2 on torchvision's network at that resolution;
# torchvision itself prints three decimals of the same figure in 10^9.
_TORCHVISION = {
    "efficientnet_b0": _Figures(224, 256,    385_814_752, 0.77692),
    "efficientnet_b1": _Figures(240, 256,    686_802_832, 0.78642),
    "efficientnet_b2": _Figures(288, 288,  1_087_529_456, 0.80608),
    "efficientnet_b3": _Figures(300, 320,  1_827_141_392, 0.82008),
    "efficientnet_b4": _Figures(380, 384,  4_393_771_024, 0.83384),
    "efficientnet_b5": _Figures(456, 456, 10_266_384_752, 0.83444),
    "efficientnet_b6": _Figures(528, 528, 19_067_593_536, 0.84008),
    "efficientnet_b7": _Figures(600, 600, 37_745_884_192, 0.84122),
}
# The paper's Table 2; its "FLOPS" are multiply-adds. The authors resize to the resolution + 32 pixels (CROP_PADDING in
# tpu/models/official/efficientnet/preprocessing.py).
_PAPER = {
    "efficientnet_b0": _Figures(224, 256,    390_000_000, 0.771),
    "efficientnet_b1": _Figures(240, 272,    700_000_000, 0.791),
    "efficientnet_b2": _Figures(260, 292,  1_000_000_000, 0.801),
    "efficientnet_b3": _Figures(300, 332,  1_800_000_000, 0.816),
    "efficientnet_b4": _Figures(380, 412,  4_200_000_000, 0.829),
    "efficientnet_b5": _Figures(456, 488,  9_900_000_000, 0.836),
    "efficientnet_b6": _Figures(528, 560, 19_000_000_000, 0.840),
    "efficientnet_b7": _Figures(600, 632, 37_000_000_000, 0.843),
}
# fmt: on


def _preprocessing(figures: _Figures) -> Preprocessing:
    return Preprocessing(resolution=figures.resolution, crop_pct=figures.resolution / figures.resize_side)


def _torchvision(name: str) -> ArchSpec:
    scaling, figures = _SCALINGS[name], _TORCHVISION[name]
    # torchvision gives B5-B7 the batch norm of the TensorFlow weights it ported, B0-B4 PyTorch's defaults.
    bn_eps, bn_momentum = (1e-3, 0.01) if name >= "efficientnet_b5" else (1e-5, 0.1)
    return replace(
        scale(_BASE, name, RULE, width_mult=scaling.width_mult, depth_mult=scaling.depth_mult),
        resolution=figures.resolution,
        preprocessing=_preprocessing(figures),
        dropout=scaling.dropout,
        bn_eps=bn_eps,
        bn_momentum=bn_momentum,
        published=Published(
            params=scaling.params,
            macs=figures.macs,
            top1=figures.top1,
            source="torchvision IMAGENET1K_V1 (params, top-1); torch.utils.flop_counter on it (MACs)",
        ),
    )


def _tensorflow(name: str) -> ArchSpec:
    figures = _PAPER[name]
    return tensorflow_variant(
        _torchvision(name),
        bn_decay=0.99,
        preprocessing=_preprocessing(figures),
        published=Published(
            params=_SCALINGS[name].params,
            macs=figures.macs,
            top1=figures.top1,
            source="arXiv:1905.11946 Table 2 (top-1, MACs rounded); trainable weights of keras.applications (params)",
        ),
    )


SPECS: tuple[ArchSpec, ...] = tuple(make(name) for name in _SCALINGS for make in (_torchvision, _tensorflow))
