"""The bytes that a training step cannot avoid moving between memory and processor, from the shapes of its layers."""

from __future__ import annotations

import math

from torch import nn

from foray.costs import count_params, layer_costs

# Of the output of a convolution or dense layer: forward writes it and the next layer reads it; backward reads it again
# for the weight gradient, and its gradient is written and read. Norms, activations and gates can be computed on the way
# in or out and count nothing, though batch norm's statistics and squeeze-excitation's means often cost a pass more.
ACTIVATION_PASSES = 5
# Of a float32 weight: read by forward, backward and update, and written; its gradient written and read; its momentum
# read and written.
WEIGHT_PASSES = 8
_FLOAT32_BYTES = 4
_IMAGE_CHANNELS = 3  # of uint8, read once


def step_bytes(network: nn.Module, resolution: int, batch_size: int, activation_bytes: int) -> int:
    """Least bytes of one step of momentum SGD on `batch_size` uint8 images of `resolution` x `resolution` pixels.

    `activation_bytes`: of a number in the format activations have (2 in bfloat16). A bound from below: a cache that
    keeps a layer's output until it is used could move less, for images far smaller than those of a batch.
    """
    outputs = sum(math.prod(layer.out_shape) for layer in layer_costs(network, resolution))
    activations = ACTIVATION_PASSES * activation_bytes * outputs * batch_size
    weights = WEIGHT_PASSES * _FLOAT32_BYTES * count_params(network)
    return activations + weights + _IMAGE_CHANNELS * resolution**2 * batch_size
