"""Where our stages end in a peer's network, and the feature maps there.

A table names, for `stem`, `pool`, every stage, `head` and `hidden` of a Network, the peer's module whose output is the
same tensor.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from foray.specs import ArchSpec

Ends = dict[str, str]  # our module -> the peer's


def torchvision_ends(spec: ArchSpec) -> Ends:
    """Ends in torchvision's network of `spec`."""
    n = len(spec.stages)
    match spec.family:
        case "resnet":
            return {"stem": "relu", "pool": "maxpool"} | _stages(f"layer{i + 1}" for i in range(n))
        case "mnasnet":  # one list: convolution, batch norm and rectifier are layers, later stages one each
            later = (f"layers.{7 + i}" for i in range(n))
            return {"stem": "layers.2", "head": "layers.16"} | _stages(later)
        case "mobilenet_v2" | "mobilenet_v3":  # blocks are numbered, not stages
            last = list(accumulate(row.num_layers for row in spec.stages))
            dense = {"hidden": "classifier.1"} if spec.hidden_features else {}
            ends = {"stem": "features.0", "head": f"features.{last[-1] + 1}"} | dense
            return ends | _stages(f"features.{number}" for number in last)
        case _:  # EfficientNet
            ends = {"stem": "features.0", "head": f"features.{n + 1}"}
            return ends | _stages(f"features.{i + 1}" for i in range(n))


def timm_ends(spec: ArchSpec) -> Ends:
    """Ends in timm's network of `spec`."""
    n = len(spec.stages)
    match spec.family:
        case "resnet":
            return {"stem": "act1", "pool": "maxpool"} | _stages(f"layer{i + 1}" for i in range(n))
        case "xception":
            flow = ("act2", "block1", "block2", "block3", "block11", "block12", "act3", "act4")
            return {"stem": "act1"} | _stages(flow)
        case "ghostnet":  # the rows of 80 and 112 channels, unstrided, are one stage there
            blocks = [*(f"blocks.{i}" for i in range(6)), "blocks.6.2", "blocks.6", "blocks.7", "blocks.8"]
            return {"stem": "act1", "head": "blocks.9", "hidden": "act2"} | _stages(blocks)
        case "mobilenet_v3":
            ends = {"stem": "bn1", "head": f"blocks.{n}", "hidden": "act2"}
            return ends | _stages(f"blocks.{i}" for i in range(n))
        case _:  # timm's EfficientNet class; its batch norms have the activation in them
            head = {"head": "bn2"} if spec.head else {}
            return {"stem": "bn1"} | head | _stages(f"blocks.{i}" for i in range(n))


def _stages(theirs: Iterable[str]) -> Ends:
    return {f"stages.{i}": name for i, name in enumerate(theirs)}


@torch.inference_mode()
def outputs_at(network: nn.Module, images: Tensor, modules: Iterable[str]) -> tuple[Tensor, dict[str, Tensor]]:
    """The logits of `network`, and what each of its `modules` put out on the way."""
    found: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        found[name] = output.clone()  # the next layer may work in place

    handles = [network.get_submodule(name).register_forward_hook(partial(keep, name)) for name in modules]
    try:
        return network(images), found
    finally:
        for handle in handles:
            handle.remove()
