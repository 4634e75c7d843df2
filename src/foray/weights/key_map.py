"""Which tensor of a timm file belongs to which parameter of a Network: written out from the spec, row by row.

timm names of the families in its `EfficientNet`, `MobileNetV3` and `GhostNet` classes:

    ours                              timm
    stem.conv, stem.norm              conv_stem, bn1
    head.conv, head.norm              conv_head, bn2; where a dense layer follows the pooling: blocks.LAST.0.conv, .bn1
    hidden.linear                     conv_head (a 1 x 1 convolution)
    classifier                        classifier
    stages.i.j.LAYER.conv, .norm      blocks.i.j.CONV, .BN       with LAYER, CONV, BN as in `_block_layers`
    ....squeeze_excitation.reduce     ....se.conv_reduce         (and expand: se.conv_expand)

ResNet's and Xception's classes have names of their own, see `_resnet_keys` and `_xception_keys`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from foray.specs import (
    ArchSpec,
    BasicResidual,
    Bneck,
    DepthwiseSeparable,
    FusedInvertedResidual,
    GhostBottleneck,
    InvertedResidual,
    SeparableResidual,
    Stage,
)

CLASSIFIER_KEYS = ("classifier.weight", "classifier.bias")
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
BATCH_COUNTER = "num_batches_tracked"  # used by no network here (momentum is fixed), and left out of some files

Layers = tuple[tuple[str, str, str], ...]  # (our layer, timm's convolution, timm's batch norm)


def timm_keys(spec: ArchSpec) -> dict[str, str]:
    """Every state-dict key of a Network of `spec`, the classifier's included, to timm's name of the same tensor."""
    if spec.family == "resnet":
        return _resnet_keys(spec)
    if spec.family == "xception":
        return _xception_keys(spec)
    keys = conv_norm("stem", "conv_stem", "bn1")
    for block, theirs in zip(named_blocks(spec), _timm_blocks(spec), strict=True):
        ours = block.ours
        for layer, conv, norm in _block_layers(block):
            keys |= conv_norm(f"{ours}.{layer}", f"{theirs}.{conv}", f"{theirs}.{norm}")
        if block.squeezes:
            for layer in ("reduce", "expand"):
                for tensor in ("weight", "bias"):
                    keys[f"{ours}.squeeze_excitation.{layer}.{tensor}"] = f"{theirs}.se.conv_{layer}.{tensor}"
    if spec.hidden_features:
        last = int(list(_timm_blocks(spec))[-1].split(".")[1]) + 1
        keys |= conv_norm("head", f"blocks.{last}.0.conv", f"blocks.{last}.0.bn1")
        keys |= {f"hidden.linear.{tensor}": f"conv_head.{tensor}" for tensor in ("weight", "bias")}
    elif spec.head:
        keys |= conv_norm("head", "conv_head", "bn2")
    return keys | {key: key for key in CLASSIFIER_KEYS}


@dataclass(frozen=True)
class BlockName:
    """A block of a Network. `ours`: its path. `reshapes`: its output has another shape than its input."""

    ours: str
    row: Stage
    layer: int
    in_channels: int
    reshapes: bool

    @property
    def expands(self) -> bool:
        """Whether it widens its input first."""
        match self.row:
            case InvertedResidual() | FusedInvertedResidual():
                return self.row.expand_ratio != 1
            case Bneck():
                return self.row.exp_sizes[self.layer] != self.in_channels
            case _:
                return False

    @property
    def squeezes(self) -> bool:
        """Whether it has squeeze-excitation."""
        match self.row:
            case InvertedResidual():
                return self.row.se_ratio > 0
            case Bneck():
                return self.row.squeeze
            case GhostBottleneck():
                return self.row.squeeze[self.layer]
            case _:
                return False


def named_blocks(spec: ArchSpec) -> Iterator[BlockName]:
    """Every block of a Network of `spec`, in order."""
    channels = spec.stem.out_channels
    for i, row in enumerate(spec.stages):
        for j in range(row.num_layers):
            reshapes = (row.stride > 1 and j == 0) or channels != row.out_channels
            yield BlockName(f"stages.{i}.{j}", row, j, channels, reshapes)
            channels = row.out_channels


def _timm_blocks(spec: ArchSpec) -> Iterator[str]:
    """timm's name of every block. GhostNet's rows of 80 and 112 channels, unstrided, are one stage there."""
    stage, at = -1, 0
    for i, row in enumerate(spec.stages):
        joined = spec.family == "ghostnet" and i == 7
        stage, at = (stage, at) if joined else (stage + 1, 0)
        for _ in range(row.num_layers):
            yield f"blocks.{stage}.{at}"
            at += 1


_SEPARABLE: Layers = (("depthwise", "conv_dw", "bn1"), ("project", "conv_pw", "bn2"))  # timm's DepthwiseSeparableConv
_INVERTED: Layers = (("expand", "conv_pw", "bn1"), ("depthwise", "conv_dw", "bn2"), ("project", "conv_pwl", "bn3"))


def _block_layers(block: BlockName) -> Layers:
    match block.row:
        case DepthwiseSeparable():
            return ("depthwise", "conv_dw", "bn1"), ("pointwise", "conv_pw", "bn2")
        case InvertedResidual() | Bneck():
            return _INVERTED if block.expands else _SEPARABLE
        case FusedInvertedResidual() if block.expands:  # timm's EdgeResidual
            return ("expand", "conv_exp", "bn1"), ("project", "conv_pwl", "bn2")
        case FusedInvertedResidual():  # timm's ConvBnAct
            return (("expand", "conv", "bn1"),)
        case GhostBottleneck():
            return _ghost_layers(block.row, block.reshapes)
        case _:
            raise TypeError(f"timm's EfficientNet class has no {type(block.row).__name__}")


def _ghost_layers(row: GhostBottleneck, reshapes: bool) -> Layers:
    modules = tuple(
        (f"{ours}.{part}", f"{theirs}.{name}.0", f"{theirs}.{name}.1")
        for ours, theirs in (("expand", "ghost1"), ("project", "ghost2"))
        for part, name in (("primary", "primary_conv"), ("cheap", "cheap_operation"))
    )
    strided = (("depthwise", "conv_dw", "bn_dw"),) if row.stride > 1 else ()
    shortcut = (("shortcut.0", "shortcut.0", "shortcut.1"), ("shortcut.1", "shortcut.2", "shortcut.3"))
    return (*modules, *strided, *(shortcut if reshapes else ()))


def _resnet_keys(spec: ArchSpec) -> dict[str, str]:
    """timm's and torchvision's `ResNet`: conv1, bn1, layer1.0.conv1 ... layer4, fc."""
    keys = conv_norm("stem", "conv1", "bn1")
    for block in named_blocks(spec):
        theirs = f"layer{int(block.ours.split('.')[1]) + 1}.{block.layer}"
        for i in range(2 if isinstance(block.row, BasicResidual) else 3):
            keys |= conv_norm(f"{block.ours}.convs.{i}", f"{theirs}.conv{i + 1}", f"{theirs}.bn{i + 1}")
        if block.reshapes:
            keys |= conv_norm(f"{block.ours}.shortcut", f"{theirs}.downsample.0", f"{theirs}.downsample.1")
    return keys | {key: key.replace("classifier", "fc") for key in CLASSIFIER_KEYS}


def _xception_keys(spec: ArchSpec) -> dict[str, str]:
    """timm's `legacy_xception`: conv1, bn1, conv2, bn2, block1 ... block12, conv3, bn3, conv4, bn4, fc.

    `rep` of a block is a list of rectifiers, separable convolutions (conv1, pointwise) and batch norms.
    """
    keys = conv_norm("stem", "conv1", "bn1") | conv_norm("stages.0.0", "conv2", "bn2")
    residuals = [(block, block.row) for block in named_blocks(spec) if isinstance(block.row, SeparableResidual)]
    for number, (block, row) in enumerate(residuals, start=1):
        for i in range(row.num_convs):
            at = 3 * i + row.relu_first  # of the separable convolution in timm's `rep`
            mine = 2 * i + row.relu_first  # and in our `convs`, where the batch norm is inside
            theirs = f"block{number}.rep"
            keys |= _separable(f"{block.ours}.convs.{mine}", f"{theirs}.{at}", f"{theirs}.{at + 1}")
        if block.reshapes:
            keys |= conv_norm(f"{block.ours}.shortcut", f"block{number}.skip", f"block{number}.skipbn")
    for i in (3, 4):
        keys |= _separable(f"stages.{len(spec.stages) - 5 + i}.0", f"conv{i}", f"bn{i}")
    return keys | {key: key.replace("classifier", "fc") for key in CLASSIFIER_KEYS}


def _separable(ours: str, timm_conv: str, timm_norm: str) -> dict[str, str]:
    depthwise = {f"{ours}.depthwise.weight": f"{timm_conv}.conv1.weight"}
    return depthwise | conv_norm(f"{ours}.pointwise", f"{timm_conv}.pointwise", timm_norm)


def conv_norm(ours: str, conv: str, norm: str) -> dict[str, str]:
    """A convolution with its batch norm: our layer `ours`, and what the two are called elsewhere."""
    keys = {f"{ours}.conv.weight": f"{conv}.weight"}
    return keys | {f"{ours}.norm.{tensor}": f"{norm}.{tensor}" for tensor in _NORM}
