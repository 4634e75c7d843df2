"""Biases that make up for the mean error of rounded weights.

Rounding shifts the mean of what a layer writes, most where a channel has few weights, as in depthwise layers; the shift
is the same for every image and adds up over layers. Subtracting it from the bias costs nothing at run time (Nagel et
al. 2019, arXiv:1906.04721, section 4.2, with the mean measured on images). NNCF does it itself; for the other tools
the float32 network is corrected before they get it, since all round weights alike: symmetric, largest magnitude 127.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from foray.export.quantization.fake_quantization import (
    LayerRanges,
    Weighted,
    batches,
    channel_sums,
    fake_quantize_activation,
    fake_quantize_weight,
    named_layers,
    observe_ranges,
)
from foray.export.quantization.settings import Granularity
from foray.export.quantization.train_images import UInt8Images
from foray.models import Network, fold_batch_norm
from foray.specs import Preprocessing


def correct_biases(
    network: Network,
    images: UInt8Images,
    preprocessing: Preprocessing,
    *,
    granularity: Granularity = "channel",
    float_layers: Collection[str] = (),
) -> Network:
    """A copy of `network`, batch norm folded, whose biases are right in the mean once it is int8 but for the layers
    called `float_layers`; in float32 it is no longer quite right.

    `images`: uint8 (N, R, R, 3) train images, of which two passes are made; some dozens are enough.
    """
    folded = fold_batch_norm(network).float().cpu().requires_grad_(False)
    ranges = observe_ranges(folded, images, preprocessing)
    shifts = mean_shifts(folded, ranges, images, preprocessing, granularity)
    for name, layer in named_layers(folded).items():
        if name in float_layers:
            continue
        bias = torch.zeros_like(shifts[name]) if layer.bias is None else layer.bias.double()
        layer.bias = nn.Parameter((bias - shifts[name]).float(), requires_grad=False)
    return folded


def mean_shifts(
    network: Network,
    ranges: Mapping[str, LayerRanges],
    images: UInt8Images,
    preprocessing: Preprocessing,
    granularity: Granularity,
) -> dict[str, Tensor]:
    """By how much each output channel of each layer is too high in the mean, float64 (C_out,), when the layer's weights
    and what it reads are rounded and what precedes it is not.
    """
    layers = named_layers(network)
    totals = {name: torch.zeros(layer.weight.shape[0], dtype=torch.float64) for name, layer in layers.items()}
    counts = dict.fromkeys(layers, 0)

    def watch(name: str, rounded: Weighted) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, inputs: Any, output: Tensor) -> None:
            shift = rounded.forward(fake_quantize_activation(inputs[0], ranges[name].reads)) - output
            totals[name] += channel_sums(shift)
            counts[name] += shift.numel() // shift.shape[1]

        return hook

    with ExitStack() as stack, torch.no_grad():
        for name, layer in layers.items():
            rounded = copy.deepcopy(layer)
            rounded.weight.copy_(fake_quantize_weight(layer.weight, granularity))
            stack.callback(layer.register_forward_hook(watch(name, rounded)).remove)
        for batch in batches(images, preprocessing):
            network(batch)
    return {name: total / counts[name] for name, total in totals.items()}
