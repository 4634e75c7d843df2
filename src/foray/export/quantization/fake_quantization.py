"""int8 simulated in PyTorch: what quantisation does to a network before any file is written, and while it is tuned.

Weights are rounded to 255 symmetric levels with one scale an output channel, activations to 256 levels with one scale
a tensor (Jacob et al. 2018, arXiv:1712.05877; Krishnamoorthi 2018, arXiv:1806.08342, section 3). Rounding passes its
gradient straight through. Quantised are the tensors that the layers with weights read, and those that they write
where no rectifier follows, with which every runtime fuses them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from foray.data.network_input import normalize
from foray.export.quantization.settings import Granularity
from foray.export.quantization.train_images import UInt8Images
from foray.models import Network
from foray.models.layers import ConvNormActivation
from foray.specs import Preprocessing

_BATCH = 16
_SMALLEST_SCALE = 2.0**-24  # of a tensor or channel that is all zeros

Weighted = nn.Conv2d | nn.Linear


@dataclass
class Range:
    """Smallest and largest value of a tensor; zero lies within, since padding must be exact."""

    low: float = 0.0
    high: float = 0.0

    def widen(self, x: Tensor) -> None:
        """Takes in the values of `x`."""
        low, high = torch.aminmax(x.detach())
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))


@dataclass
class LayerRanges:
    """Of what a layer reads and writes; `writes` is used where no rectifier follows."""

    reads: Range = field(default_factory=Range)
    writes: Range = field(default_factory=Range)


def fake_quantize_weight(weight: Tensor, granularity: Granularity = "channel") -> Tensor:
    """`weight` (C_out, ...) rounded to multiples of max |w| / 127, of each channel or of all."""
    largest = weight.detach().abs().flatten(1).amax(1)
    if granularity == "tensor":
        largest = largest.max().expand_as(largest)
    scale = (largest / 127).clamp(min=_SMALLEST_SCALE)
    zero_point = torch.zeros_like(scale, dtype=torch.int32)
    rounded: Tensor = torch.fake_quantize_per_channel_affine(weight, scale, zero_point, 0, -127, 127)
    return rounded


def fake_quantize_activation(x: Tensor, values: Range) -> Tensor:
    """`x` rounded to 256 levels between the ends of `values`, and clipped to them."""
    scale = max((values.high - values.low) / 255, _SMALLEST_SCALE)
    rounded: Tensor = torch.fake_quantize_per_tensor_affine(x, scale, round(-values.low / scale), 0, 255)
    return rounded


def channel_sums(x: Tensor) -> Tensor:
    """Sum over all axes but the channels', axis 1, in float64: (C,)."""
    return x.sum([0, *range(2, x.dim())], dtype=torch.float64)


def named_layers(network: Network) -> dict[str, Weighted]:
    """Convolutions and dense layers by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, Weighted)}


def activations_after(network: Network) -> dict[str, nn.Module]:
    """The activation that follows each convolution; a layer that is not listed has none of its own."""
    return {
        f"{name}.conv": module.activation
        for name, module in network.named_modules()
        if isinstance(module, ConvNormActivation)
    }


def is_rectified(name: str, activations: Mapping[str, nn.Module]) -> bool:
    """Whether a ReLU or ReLU6 follows the layer `name`, so that its own output is never stored."""
    return isinstance(activations.get(name), nn.ReLU | nn.ReLU6)


def batches(images: UInt8Images, preprocessing: Preprocessing) -> Iterator[Tensor]:
    """Normalised float32 (N, 3, R, R) of uint8 (N, R, R, 3), a few at a time."""
    for start in range(0, len(images), _BATCH):
        yield normalize(torch.from_numpy(images[start : start + _BATCH]).permute(0, 3, 1, 2), preprocessing)


def observe_ranges(network: Network, images: UInt8Images, preprocessing: Preprocessing) -> dict[str, LayerRanges]:
    """The widest ranges that the layers of `network` (batch norm folded) read and write on `images`."""
    ranges = {name: LayerRanges() for name in named_layers(network)}

    def watch(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, inputs: Any, output: Tensor) -> None:
            ranges[name].reads.widen(inputs[0])
            ranges[name].writes.widen(output)

        return hook

    with ExitStack() as stack, torch.no_grad():
        for name, layer in named_layers(network).items():
            stack.callback(layer.register_forward_hook(watch(name)).remove)
        for batch in batches(images, preprocessing):
            network(batch)
    return ranges


class _FakeQuantizedWeight(nn.Module):
    def __init__(self, granularity: Granularity) -> None:
        super().__init__()
        self.granularity = granularity

    def forward(self, weight: Tensor) -> Tensor:
        return fake_quantize_weight(weight, self.granularity)


@contextmanager
def in_int8(
    network: Network,
    ranges: Mapping[str, LayerRanges],
    names: Collection[str],
    granularity: Granularity = "channel",
) -> Iterator[None]:
    """Inside the block the layers called `names` compute as if in int8; the weights beneath stay float32 and can be
    trained.
    """
    activations = activations_after(network)
    layers = named_layers(network)
    with ExitStack() as stack:
        for name in names:
            layer, of_layer = layers[name], ranges[name]
            parametrize.register_parametrization(layer, "weight", _FakeQuantizedWeight(granularity))
            stack.callback(parametrize.remove_parametrizations, layer, "weight", leave_parametrized=False)
            stack.callback(layer.register_forward_pre_hook(_rounding_reads(of_layer.reads)).remove)
            if not is_rectified(name, activations):
                stack.callback(layer.register_forward_hook(_rounding_writes(of_layer.writes)).remove)
        yield


def _rounding_reads(values: Range) -> Callable[[nn.Module, Any], tuple[Tensor]]:
    return lambda _, inputs: (fake_quantize_activation(inputs[0], values),)


def _rounding_writes(values: Range) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    return lambda _, __, output: fake_quantize_activation(output, values)
