"""Names of tensors in files of torchvision and of lukemelas' EfficientNet-PyTorch, written out from the spec.

torchvision's EfficientNet, MobileNetV2 and V3 number their layers: `features.0` is the stem, then come the stages
(EfficientNet) or the blocks (MobileNet), then the head; within a block layers are numbered in the order they run.
"""

from __future__ import annotations

from foray.specs import ArchSpec, Bneck, FusedInvertedResidual, InvertedResidual
from foray.weights.key_map import BlockName, conv_norm, named_blocks, timm_keys

TORCHVISION_FAMILIES = ("efficientnet", "efficientnet_v2", "mobilenet_v2", "mobilenet_v3", "mnasnet", "resnet")


def torchvision_keys(spec: ArchSpec) -> dict[str, str]:
    """Every state-dict key of a Network of `spec` to torchvision's name of the same tensor.

    Raises KeyError for a family torchvision has not.
    """
    if spec.family == "resnet":
        return timm_keys(spec)  # timm took over torchvision's names
    if spec.family == "mnasnet":
        return _mnasnet(spec)
    if spec.family not in TORCHVISION_FAMILIES:
        raise KeyError(spec.family)
    keys = conv_norm("stem", "features.0.0", "features.0.1")
    number = 0
    for number, block in enumerate(named_blocks(spec), start=1):
        match spec.family:
            case "mobilenet_v2":
                keys |= _mobilenet_v2_block(block, f"features.{number}.conv")
            case "mobilenet_v3":
                keys |= _numbered_block(block, f"features.{number}.block")
            case _:
                stage, layer = block.ours.split(".")[1:]
                keys |= _numbered_block(block, f"features.{int(stage) + 1}.{layer}.block")
    last = number if spec.family.startswith("mobilenet") else len(spec.stages)
    keys |= conv_norm("head", f"features.{last + 1}.0", f"features.{last + 1}.1")
    if spec.hidden_features:
        keys |= _both("hidden.linear", "classifier.0")
    return keys | _both("classifier", "classifier.3" if spec.hidden_features else "classifier.1")


def lukemelas_keys(spec: ArchSpec) -> dict[str, str]:
    """The same for github.com/lukemelas/EfficientNet-PyTorch, whose networks are the TensorFlow variants."""
    keys = conv_norm("stem", "_conv_stem", "_bn0") | conv_norm("head", "_conv_head", "_bn1")
    for number, block in enumerate(named_blocks(spec)):
        theirs = f"_blocks.{number}"
        if block.expands:
            keys |= conv_norm(f"{block.ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
        keys |= conv_norm(f"{block.ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        for part in ("reduce", "expand"):
            keys |= _both(f"{block.ours}.squeeze_excitation.{part}", f"{theirs}._se_{part}")
        keys |= conv_norm(f"{block.ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
    return keys | _both("classifier", "_fc")


def _mobilenet_v2_block(block: BlockName, theirs: str) -> dict[str, str]:
    """The projection's convolution and batch norm are layers of their own there."""
    layers = ("expand", "depthwise") if block.expands else ("depthwise",)
    keys: dict[str, str] = {}
    for at, layer in enumerate(layers):
        keys |= conv_norm(f"{block.ours}.{layer}", f"{theirs}.{at}.0", f"{theirs}.{at}.1")
    n = len(layers)
    return keys | conv_norm(f"{block.ours}.project", f"{theirs}.{n}", f"{theirs}.{n + 1}")


def _numbered_block(block: BlockName, theirs: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for at, layer in enumerate(_layers(block)):
        if layer == "squeeze_excitation":
            keys |= _both(f"{block.ours}.{layer}.reduce", f"{theirs}.{at}.fc1")
            keys |= _both(f"{block.ours}.{layer}.expand", f"{theirs}.{at}.fc2")
        else:
            keys |= conv_norm(f"{block.ours}.{layer}", f"{theirs}.{at}.0", f"{theirs}.{at}.1")
    return keys


def _layers(block: BlockName) -> list[str]:
    match block.row:
        case FusedInvertedResidual():
            return ["expand", "project"] if block.expands else ["expand"]
        case InvertedResidual() | Bneck():
            squeeze = ["squeeze_excitation"] if block.squeezes else []
            return [*(["expand"] if block.expands else []), "depthwise", *squeeze, "project"]
        case _:
            raise TypeError(f"torchvision has no {type(block.row).__name__}")


def _mnasnet(spec: ArchSpec) -> dict[str, str]:
    """One flat list: stem 0 and 1, the first separable block 3 to 7, six stages 8 to 13, head 14 and 15."""
    keys = conv_norm("stem", "layers.0", "layers.1") | conv_norm("head", "layers.14", "layers.15")
    for block in named_blocks(spec):
        stage, layer = block.ours.split(".")[1:]
        theirs = f"layers.{int(stage) + 7}.{layer}.layers" if block.expands else "layers"
        first = 0 if block.expands else 3
        for at, name in enumerate(_layers(block)):
            at_conv = first + 3 * at  # convolution, batch norm, activation
            keys |= conv_norm(f"{block.ours}.{name}", f"{theirs}.{at_conv}", f"{theirs}.{at_conv + 1}")
    return keys | _both("classifier", "classifier.1")


def _both(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{tensor}": f"{theirs}.{tensor}" for tensor in ("weight", "bias")}
