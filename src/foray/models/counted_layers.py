"""The layers of a network as Keras counts them, so that "the last 34 layers" has a meaning.

In Keras a layer is whatever `model.layers` lists: besides convolutions and batch norms every activation, every padding
of its own, every global pooling, reshaping, product, dropout and sum. `model.layers[-34:]` of keras.applications'
MobileNetV2 without top (154 layers) hence starts in the middle of a block, at `block_13_depthwise`. Here the same
layers are listed, in the same order, for the families Keras has: EfficientNet, EfficientNetV2, MobileNetV1, V2 and V3,
Xception. For the others the convention is theirs without paddings: a convolution, a batch norm, an activation, a
squeeze, a gate's product, a concatenation, a pooling and a sum is one layer each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from foray.models.blocks import SeparableConvBlock, SeparableResidualBlock
from foray.models.build import Network
from foray.models.layers import HardSwish, SamePaddingMaxPool2d, SiLU, SqueezeExcitation

_ACTIVATIONS = (nn.ReLU, nn.ReLU6, SiLU, HardSwish)
_POOLS = (nn.MaxPool2d, SamePaddingMaxPool2d)

_PADDED = ("efficientnet", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3")  # Keras pads before strided depthwise
_EFFICIENTNETS = ("efficientnet", "efficientnet_v2")


@dataclass(frozen=True)
class CountedLayer:
    """One layer. `modules`: paths in the network of what it holds; empty for layers without weights."""

    name: str
    modules: tuple[str, ...] = ()


def counted_layers(network: Network) -> list[CountedLayer]:
    """All layers up to the last activation before pooling (Keras: `include_top=False`), in Keras' order."""
    family = network.spec.family
    inputs = ["input", "rescaling", "normalization", "stem.pad"] if family == "efficientnet" else ["input"]
    layers = [CountedLayer(name) for name in inputs]
    layers += _leaves(network, "stem")
    if network.spec.stem_pool:
        layers.append(CountedLayer("pool"))
    built = 0
    for i, stage in enumerate(network.stages):
        assert isinstance(stage, nn.Sequential)
        for j, _ in enumerate(stage):
            layers += _block(network, f"stages.{i}.{j}", is_first=built == 0)
            built += 1
    return [*layers, *_leaves(network, "head")]


def _block(network: Network, path: str, *, is_first: bool) -> Iterator[CountedLayer]:
    block, family = network.get_submodule(path), network.spec.family
    projects = not isinstance(getattr(block, "shortcut", nn.Identity()), nn.Identity)
    adds = projects or getattr(block, "is_residual", False)
    activates_sum = isinstance(getattr(block, "activation", None), _ACTIVATIONS) and hasattr(block, "shortcut")
    layers = [layer for layer in _leaves(network, path) if not (activates_sum and layer.name == f"{path}.activation")]
    if isinstance(block, SeparableResidualBlock) and not block.is_residual:
        pool, conv, norm = layers[-3:]
        layers[-3:] = [conv, pool, norm]  # Keras lists the pooling of the one branch amid the other
    yield from layers
    if adds:
        if family in _EFFICIENTNETS and not is_first:  # of stochastic depth, which the first block never has
            yield CountedLayer(f"{path}.drop")
        yield CountedLayer(f"{path}.add")
    if activates_sum:
        yield CountedLayer(f"{path}.activation")


def _leaves(network: Network, path: str) -> Iterator[CountedLayer]:
    """The layers of one part, in the order they are registered, which is that in which they run."""
    module = network.get_submodule(path)
    match module:
        case SqueezeExcitation():
            yield from _squeeze_excitation(network, path)
        case SeparableConvBlock():  # one layer of Keras
            yield CountedLayer(f"{path}.sepconv", (f"{path}.depthwise", f"{path}.pointwise.conv"))
            yield from _leaves(network, f"{path}.pointwise.norm")
            yield from _leaves(network, f"{path}.pointwise.activation")
        case nn.Conv2d():
            strided_depthwise = module.groups == module.in_channels > 1 and module.stride[0] > 1
            if strided_depthwise and network.spec.family in _PADDED:
                yield CountedLayer(f"{path}.pad")
            yield CountedLayer(path, (path,))
        case nn.BatchNorm2d():
            yield CountedLayer(path, (path,))
        case _ if isinstance(module, (*_ACTIVATIONS, *_POOLS)):
            yield CountedLayer(path)
        case _:
            for name, _ in module.named_children():
                yield from _leaves(network, f"{path}.{name}")


def _squeeze_excitation(network: Network, path: str) -> Iterator[CountedLayer]:
    """Keras' EfficientNets reshape and have the activations inside the convolutions; MobileNetV3 has them as layers."""
    as_layers = network.spec.family not in _EFFICIENTNETS
    yield CountedLayer(f"{path}.squeeze")
    if not as_layers:
        yield CountedLayer(f"{path}.reshape")
    yield CountedLayer(f"{path}.reduce", (f"{path}.reduce",))
    if as_layers:
        yield CountedLayer(f"{path}.activation")
    yield CountedLayer(f"{path}.expand", (f"{path}.expand",))
    if as_layers:
        yield CountedLayer(f"{path}.gate")
    yield CountedLayer(f"{path}.multiply")
