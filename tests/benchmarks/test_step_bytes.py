"""The bytes of a training step: closed formulas of small networks, and what grows with what."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks._step_bytes import ACTIVATION_PASSES, WEIGHT_PASSES, step_bytes
from benchmarks.gpu_train import bound_rate, copy_bandwidth
from foray.models import build_model
from foray.specs import get_spec


def test_one_convolution_and_one_dense_layer() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),  # 216 weights, 8 x 16 x 16 outputs
        nn.BatchNorm2d(8),  # 16 weights
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),  # 45 weights, 5 outputs
    )
    outputs, weights, pixels = 8 * 16 * 16 + 5, 216 + 16 + 45, 3 * 32 * 32
    for batch_size in (1, 7):
        for activation_bytes in (2, 4):
            expected = (
                batch_size * (ACTIVATION_PASSES * activation_bytes * outputs + pixels) + WEIGHT_PASSES * 4 * weights
            )
            assert step_bytes(network, 32, batch_size, activation_bytes) == expected


def test_mobilenet_v2_at_224_pixels() -> None:
    """Outputs of convolutions by the rows of Sandler et al. 2018 (arXiv:1801.04381), Table 2, and 1000 logits."""
    with torch.device("meta"):
        network = build_model(get_spec("mobilenet_v2"))
    # (side of the block's input, side of its output, expanded channels, output channels), one entry a block
    blocks, side, channels = [], 112, 32
    for expand, out, repeats, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for layer in range(repeats):
            after = side // (stride if layer == 0 else 1)
            blocks.append((side, after, expand * channels, out, expand))
            side, channels = after, out
    outputs = 32 * 112**2 + 1280 * 7**2 + 1000
    for before, after, expanded, out, expand in blocks:
        outputs += (expanded * before**2 if expand > 1 else 0) + (expanded + out) * after**2
    one, two = (step_bytes(network, 224, n, 2) for n in (1, 2))
    assert two - one == ACTIVATION_PASSES * 2 * outputs + 3 * 224**2
    assert 2 * one - two == WEIGHT_PASSES * 4 * 3_504_872


def test_the_bound_follows_bandwidth() -> None:
    assert copy_bandwidth(torch.device("cpu"), 2**16, repeats=3) > 0
    slow, fast = (bound_rate("mobilenet_v1_x0.25", 32, 8, bandwidth) for bandwidth in (1e9, 3e9))
    assert fast == 3 * slow
