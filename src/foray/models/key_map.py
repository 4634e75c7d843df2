"""Which tensor of a timm file belongs to which parameter of a Network: written out from the spec, row by row.

timm names (its `EfficientNet` class, which holds all families here):

    ours                              timm
    stem.conv, stem.norm              conv_stem, bn1
    head.conv, head.norm              conv_head, bn2
    classifier                        classifier
    stages.i.j.LAYER.conv, .norm      blocks.i.j.CONV, .BN       with LAYER, CONV, BN as in `_block_layers`
    ....squeeze_excitation.reduce     ....se.conv_reduce         (and expand: se.conv_expand)
"""

from __future__ import annotations

from foray.specs import ArchSpec, DepthwiseSeparable, FusedInvertedResidual, InvertedResidual, Stage

CLASSIFIER_KEYS = ("classifier.weight", "classifier.bias")
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
BATCH_COUNTER = "num_batches_tracked"  # used by no network here (momentum is fixed), and left out of some files


def timm_keys(spec: ArchSpec) -> dict[str, str]:
    """Every state-dict key of a Network of `spec`, the classifier's included, to timm's name of the same tensor."""
    keys = _conv_norm("stem", "conv_stem", "bn1")
    for i, row in enumerate(spec.stages):
        for j in range(row.num_layers):
            ours, theirs = f"stages.{i}.{j}", f"blocks.{i}.{j}"
            for layer, conv, norm in _block_layers(row):
                keys |= _conv_norm(f"{ours}.{layer}", f"{theirs}.{conv}", f"{theirs}.{norm}")
            if isinstance(row, InvertedResidual) and row.se_ratio:
                for layer in ("reduce", "expand"):
                    for tensor in ("weight", "bias"):
                        keys[f"{ours}.squeeze_excitation.{layer}.{tensor}"] = f"{theirs}.se.conv_{layer}.{tensor}"
    if spec.head:
        keys |= _conv_norm("head", "conv_head", "bn2")
    return keys | {key: key for key in CLASSIFIER_KEYS}


def _block_layers(row: Stage) -> tuple[tuple[str, str, str], ...]:
    """(our layer, timm's convolution, timm's batch norm) of one block of `row`."""
    match row:
        case DepthwiseSeparable():
            return ("depthwise", "conv_dw", "bn1"), ("pointwise", "conv_pw", "bn2")
        case InvertedResidual(expand_ratio=1):  # timm's DepthwiseSeparableConv
            return ("depthwise", "conv_dw", "bn1"), ("project", "conv_pw", "bn2")
        case InvertedResidual():
            return ("expand", "conv_pw", "bn1"), ("depthwise", "conv_dw", "bn2"), ("project", "conv_pwl", "bn3")
        case FusedInvertedResidual(expand_ratio=1):  # timm's ConvBnAct
            return (("expand", "conv", "bn1"),)
        case FusedInvertedResidual():  # timm's EdgeResidual
            return ("expand", "conv_exp", "bn1"), ("project", "conv_pwl", "bn2")


def _conv_norm(ours: str, timm_conv: str, timm_norm: str) -> dict[str, str]:
    keys = {f"{ours}.conv.weight": f"{timm_conv}.weight"}
    return keys | {f"{ours}.norm.{tensor}": f"{timm_norm}.{tensor}" for tensor in _NORM}
