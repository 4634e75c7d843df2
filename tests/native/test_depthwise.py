"""The backward pass of depthwise convolutions against PyTorch's, in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from foray.models.layers import conv2d
from foray.native.depthwise import depthwise_conv2d, fits_depthwise
from foray.native.kernels import compiled_kernels

needs_kernels = pytest.mark.skipif(compiled_kernels() is None, reason="no C++ compiler on this machine")


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@given(
    n=st.integers(1, 5), groups_of_8=st.integers(1, 6), height=st.integers(1, 12), width=st.integers(1, 20),
    kernel=st.sampled_from([3, 5]), stride=st.sampled_from([1, 2]), same=st.booleans(), biased=st.booleans(),
    seed=st.integers(0, 2**31),
)  # fmt: skip
@settings(max_examples=60)
def test_gradients_are_those_of_float64(
    dtype: torch.dtype,
    n: int,
    groups_of_8: int,
    height: int,
    width: int,
    kernel: int,
    stride: int,
    same: bool,
    biased: bool,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    channels = 8 * groups_of_8
    conv = conv2d(
        channels, channels, kernel, stride=stride, groups=channels, padding="same" if same else "symmetric"
    )  # fmt: skip
    with torch.no_grad():
        conv.weight.normal_(generator=generator)
    bias = torch.randn(channels, generator=generator)
    conv.bias = torch.nn.Parameter(bias.clone()) if biased else None
    x = torch.randn(n, channels, height, width, generator=generator).to(dtype)
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    assert fits_depthwise(conv, x)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        y = conv(x)
    assert type(y.grad_fn).__name__ == "_DepthwiseBackward"
    dy = torch.randn(y.shape, generator=generator).to(dtype)
    y.backward(dy)

    exact = x.detach().double().requires_grad_()
    weight = conv.weight.detach().double().requires_grad_()
    plain = conv.double()
    with torch.no_grad():
        reference = plain(exact.detach())  # float64 has no kernel: the layer itself is PyTorch's
    before = (kernel // 2,) * 2
    padded = exact
    if same and stride > 1:
        sizes = [(-(-size // stride) - 1) * stride + kernel - size for size in (height, width)]
        (top, bottom), (left, right) = ((max(t, 0) // 2, max(t, 0) - max(t, 0) // 2) for t in sizes)
        padded, before = F.pad(exact, (left, right, top, bottom)), (0, 0)
    bias = bias.double().requires_grad_()
    expected = F.conv2d(padded, weight, bias if biased else None, stride, before, 1, channels)
    torch.testing.assert_close(expected.detach(), reference)
    expected.backward(dy.double())

    rounding = 1e-5 if dtype == torch.float32 else 2e-2
    pairs = [(y, expected), (x.grad, exact.grad), (conv.weight.grad, weight.grad)]
    for ours, theirs in [*pairs, (conv.bias.grad, bias.grad)] if biased else pairs:
        scale = float(theirs.detach().abs().max()) + 1e-6
        assert float((ours.detach().double() - theirs.detach()).abs().max()) < rounding * scale


@needs_kernels
def test_equal_threads_give_equal_bits_and_a_frozen_input_costs_no_gradient() -> None:
    def once() -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(16, 1, 3, 3, generator=generator, requires_grad=True)
        x = torch.randn(6, 16, 9, 7, generator=generator).to(memory_format=torch.channels_last)
        depthwise_conv2d(x, weight, None, 2, (1, 1, 1, 1)).square().sum().backward()
        assert x.grad is None
        return weight.grad

    assert torch.equal(once(), once())


@needs_kernels
@pytest.mark.parametrize("stride", [1, 2])
def test_a_map_that_no_cache_holds_has_the_gradients_of_its_images(stride: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(24, 1, 3, 3, generator=generator, requires_grad=True)
    images = torch.randn(10, 24, 151, 139, generator=generator)  # 20 MB: written past the caches; an image is not

    def gradient(x: torch.Tensor) -> torch.Tensor:
        x = x.to(memory_format=torch.channels_last).requires_grad_()
        depthwise_conv2d(x, weight, None, stride, (1, 1, 1, 1)).square().sum().backward()
        assert x.grad is not None
        return x.grad

    assert torch.equal(gradient(images), torch.cat([gradient(image[None].clone()) for image in images]))


@pytest.mark.parametrize(
    ("channels", "kernel", "groups"), [(12, 3, 12), (16, 7, 16), (16, 3, 1), (16, 1, 16)],
    ids=["channels", "kernel", "not depthwise", "pointwise"],
)  # fmt: skip
def test_other_convolutions_are_pytorchs(channels: int, kernel: int, groups: int) -> None:
    conv = conv2d(channels, channels, kernel, groups=groups)
    x = torch.zeros(1, channels, 8, 8).to(memory_format=torch.channels_last)
    assert not fits_depthwise(conv, x)
