"""Architectures as data: tables, scaling rules, published numbers, registry. Standard library only."""

from foray.specs.preprocessing import HALF, IMAGENET_MEAN, IMAGENET_STD, Interpolation, Preprocessing
from foray.specs.registry import get_spec, spec_names, width_name
from foray.specs.scaling import round_channels, round_repeats, scale
from foray.specs.spec import (
    Activation,
    ArchSpec,
    Conv,
    DepthwiseSeparable,
    FusedInvertedResidual,
    Initialization,
    InvertedResidual,
    Padding,
    Published,
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
    "Conv",
    "DepthwiseSeparable",
    "FusedInvertedResidual",
    "Initialization",
    "Interpolation",
    "InvertedResidual",
    "Padding",
    "Preprocessing",
    "Published",
    "Stage",
    "get_spec",
    "round_channels",
    "round_repeats",
    "scale",
    "spec_names",
    "width_name",
]
