"""The layers that carry weights, in the order in which they run: the names all runtimes' operators are matched with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from foray.errors import ForayError
from foray.models import Network

_SIDE = 64  # pixels; the order does not depend on it

Operator = TypeVar("Operator")


@dataclass(frozen=True)
class WeightedLayer:
    """A convolution or dense layer. `name`: as in `Network.named_modules`; `weights`: how many, bias not counted."""

    name: str
    weights: int


def weighted_layers(network: Network) -> list[WeightedLayer]:
    """Convolutions and dense layers of `network` in the order of one forward pass."""
    order: list[WeightedLayer] = []

    def note(name: str) -> Callable[[nn.Module, object], None]:
        def hook(module: nn.Module, _: object) -> None:
            assert isinstance(module.weight, torch.Tensor)
            order.append(WeightedLayer(name, module.weight.numel()))

        return hook

    hooks = [
        module.register_forward_pre_hook(note(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    was_training = network.training
    try:
        with torch.inference_mode():
            parameter = next(network.parameters())
            network.eval()(parameter.new_zeros(1, 3, _SIDE, _SIDE))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return order


def operators_by_layer(
    layers: Sequence[WeightedLayer], operators: Sequence[Operator], weights: Callable[[Operator], int]
) -> dict[str, Operator]:
    """Which of `operators`, those of an exported graph that carry weights, in graph order, is which layer.

    Exporters keep the order of execution. Operators before the first layer belong to the preprocessing. Raises
    ForayError when the numbers of weights (`weights(operator)`) differ: then the graph is not this network's.
    """
    last = list(operators)[-len(layers) :]
    if [weights(operator) for operator in last] != [layer.weights for layer in layers]:
        raise ForayError(
            f"The exported graph has {len(operators)} layers with weights that do not match the network's "
            f"{len(layers)}: it cannot be quantised layer by layer."
        )
    return {layer.name: operator for layer, operator in zip(layers, last, strict=True)}
