"""SAME padding against TensorFlow's definition, activations against theirs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from foray.models.layers import SqueezeExcitation, activation_layer, conv2d


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(3, 40), width=st.integers(3, 40), kernel=st.sampled_from([1, 3, 5, 7]), stride=st.integers(1, 3)
)
def test_same_padding_is_tensorflows(height: int, width: int, kernel: int, stride: int) -> None:
    """tf.nn's rule: ceil(n / s) outputs, max((outputs - 1) s + k - n, 0) rows of padding, the odd one at the end."""

    def padding(size: int) -> tuple[int, int]:
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2

    generator = torch.Generator().manual_seed(height * 1000 + width)
    layer = conv2d(2, 3, kernel, stride=stride, padding="same")
    layer.weight.data.normal_(generator=generator)
    images = torch.randn(1, 2, height, width, generator=generator)
    expected = F.conv2d(F.pad(images, (*padding(width), *padding(height))), layer.weight, stride=stride)
    assert expected.shape[2:] == (math.ceil(height / stride), math.ceil(width / stride))
    torch.testing.assert_close(layer(images), expected, rtol=1e-4, atol=1e-5)


def test_even_kernels_are_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        conv2d(3, 8, 4)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("relu", lambda x: x.clamp(min=0)),
        ("relu6", lambda x: x.clamp(0, 6)),
        ("silu", lambda x: x * torch.sigmoid(x)),
        ("hard_swish", lambda x: x * (x + 3).clamp(0, 6) / 6),
    ],
)
def test_activations_and_their_gradients(name: str, formula, training: bool) -> None:
    x = torch.linspace(-9, 9, 104, dtype=torch.float64).requires_grad_()
    layer = activation_layer(name).train(training)
    (ours,) = torch.autograd.grad(layer(x * 1.0).pow(2).sum(), x)
    (expected,) = torch.autograd.grad(formula(x).pow(2).sum(), x)
    torch.testing.assert_close(layer(x.detach().clone()), formula(x.detach()))
    torch.testing.assert_close(ours, expected)


def test_squeeze_excitation_scales_each_channel_by_its_gate() -> None:
    layer = SqueezeExcitation(4, 2, "silu").eval()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    x = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    pooled = x.mean((2, 3))
    hidden = F.silu(pooled @ layer.reduce.weight[:, :, 0, 0].T + layer.reduce.bias)
    gate = torch.sigmoid(hidden @ layer.expand.weight[:, :, 0, 0].T + layer.expand.bias)
    torch.testing.assert_close(layer(x), x * gate[:, :, None, None])
