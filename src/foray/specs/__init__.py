"""Architectures as data: tables, scaling rules, published numbers, registry. Standard library only."""

from foray.specs.preprocessing import HALF, IMAGENET_MEAN, IMAGENET_STD, Interpolation, Preprocessing
from foray.specs.registry import get_spec, spec_names, width_name
from foray.specs.scaling import round_channels, round_repeats, scale
from foray.specs.spec import (
    Activation,
    ArchSpec,
    BasicResidual,
    Bneck,
    BottleneckResidual,
    Conv,
    DepthwiseSeparable,
    FusedInvertedResidual,
    GhostBottleneck,
    Initialization,
    InvertedResidual,
    Padding,
    PlainConv,
    Published,
    SeparableConv,
    SeparableResidual,
    SqueezeExcitation,
    Stage,
)
from foray.specs.variants import TF_PREFIX

__all__ = [
    "HALF",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "TF_PREFIX",
    "Activation",
    "ArchSpec",
    "BasicResidual",
    "Bneck",
    "BottleneckResidual",
    "Conv",
    "DepthwiseSeparable",
    "FusedInvertedResidual",
    "GhostBottleneck",
    "Initialization",
    "Interpolation",
    "InvertedResidual",
    "Padding",
    "PlainConv",
    "Preprocessing",
    "Published",
    "SeparableConv",
    "SeparableResidual",
    "SqueezeExcitation",
    "Stage",
    "get_spec",
    "round_channels",
    "round_repeats",
    "scale",
    "spec_names",
    "width_name",
]
