"""MnasNet (Tan et al. 2019, arXiv:1807.11626): B1 at four widths, and A1 with squeeze-excitation (Fig. 7).

`mnasnet0_5` ... `mnasnet1_3` are torchvision's names and networks (B1, which the paper searched without
squeeze-excitation; table in tensorflow/tpu/models/official/mnasnet/mnasnet_models.py, `mnasnet_b1`). `mnasnet_a1` is
the paper's best-known network, with timm's constants. The `tf_` names are the authors' release.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from foray.specs.preprocessing import Preprocessing
from foray.specs.scaling import ScalingRule, scale
from foray.specs.spec import ArchSpec, Conv, InvertedResidual, Published
from foray.specs.tensorflow import tensorflow_variant

RULE = ScalingRule(head="fixed")  # 1280 features at every width

_B1 = ArchSpec(
    name="mnasnet1_0",
    family="mnasnet",
    resolution=224,
    stem=Conv(out_channels=32, kernel=3, stride=2),
    stages=(
        #                t    c   n  s  k     output, pixels
        InvertedResidual(1, 16, 1, 1, 3),  # 112
        InvertedResidual(3, 24, 3, 2, 3),  # 56
        InvertedResidual(3, 40, 3, 2, 5),  # 28
        InvertedResidual(6, 80, 3, 2, 5),  # 14
        InvertedResidual(6, 96, 2, 1, 3),  # 14
        InvertedResidual(6, 192, 4, 2, 5),  # 7
        InvertedResidual(6, 320, 1, 1, 3),  # 7
    ),
    head=Conv(out_channels=1280, kernel=1),
    activation="relu",
    initialization="mobilenet",
    preprocessing=Preprocessing(interpolation="bilinear"),
    bn_momentum=0.0003,  # torchvision: 1 - 0.9997, the TensorFlow release's decay
    dropout=0.2,
)

_A1 = replace(
    _B1,
    name="mnasnet_a1",
    stages=(
        InvertedResidual(1, 16, 1, 1, 3),
        InvertedResidual(6, 24, 2, 2, 3),
        InvertedResidual(3, 40, 3, 2, 5, se_ratio=0.25),
        InvertedResidual(6, 80, 4, 2, 3),
        InvertedResidual(6, 112, 2, 1, 3, se_ratio=0.25),
        InvertedResidual(6, 160, 3, 2, 5, se_ratio=0.25),
        InvertedResidual(6, 320, 1, 1, 3),
    ),
    preprocessing=Preprocessing(),
    bn_momentum=0.1,
    published=Published(
        3_887_038, "timm's semnasnet_100 (params); torch.utils.flop_counter on it (MACs)", macs=311_579_072
    ),
)


class _MnasFigures(NamedTuple):
    """torchvision's IMAGENET1K_V1. `resize_side`: short side before the crop, pixels."""

    width_mult: float
    params: int
    macs: int
    top1: float
    resize_side: int


_WIDTHS = {
    "mnasnet0_5": _MnasFigures(0.5, 2_218_512, 104_455_968, 0.67734, 256),
    "mnasnet0_75": _MnasFigures(0.75, 3_170_208, 215_493_104, 0.71180, 232),
    "mnasnet1_0": _MnasFigures(1.0, 4_383_312, 314_415_872, 0.73456, 256),
    "mnasnet1_3": _MnasFigures(1.3, 6_282_256, 526_362_432, 0.76506, 232),
}
_TORCHVISION = "torchvision IMAGENET1K_V1 (params, top-1); torch.utils.flop_counter on it (MACs)"
_PAPER_A1 = Published(3_887_038, "arXiv:1807.11626 Table 1 (top-1, MACs rounded); timm (params)", 312_000_000, 0.752)


def _at_width(name: str) -> ArchSpec:
    figures = _WIDTHS[name]
    return replace(
        scale(_B1, name, RULE, width_mult=figures.width_mult),
        preprocessing=replace(_B1.preprocessing, crop_pct=224 / figures.resize_side),
        published=Published(figures.params, _TORCHVISION, macs=figures.macs, top1=figures.top1),
    )


def _tensorflow(plain: ArchSpec) -> ArchSpec:
    params = plain.published.params if plain.published else 0
    published = _PAPER_A1 if plain.name == _A1.name else Published(params, "the same table (params)")
    # The release resizes to the resolution + 32 pixels, bicubic.
    return tensorflow_variant(plain, bn_decay=0.99, preprocessing=Preprocessing(), published=published)


SPECS: tuple[ArchSpec, ...] = tuple(
    spec for plain in (*map(_at_width, _WIDTHS), _A1) for spec in (plain, _tensorflow(plain))
)
