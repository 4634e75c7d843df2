"""Batch norm and activation as one operation: values and gradients of PyTorch's own, in float64."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from foray.models import build_model
from foray.models.layers import PlainBatchNorm2d, activation_layer
from foray.native.kernels import compiled_kernels
from foray.native.norm_activation import norm_activation
from foray.specs import get_spec

ACTIVATIONS = {
    "relu": F.relu, "relu6": F.relu6, "silu": F.silu, "hard_swish": F.hardswish, "none": lambda z: z,
}  # fmt: skip
needs_kernels = pytest.mark.skipif(compiled_kernels() is None, reason="no C++ compiler on this machine")


def norm_of(channels: int, generator: torch.Generator) -> PlainBatchNorm2d:
    norm = PlainBatchNorm2d(channels, eps=1e-3, momentum=0.1)
    norm.reset_running_stats()
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2.0, generator=generator)
        norm.bias.normal_(generator=generator)
    return norm


def activation_of(name: str) -> nn.Module:
    return nn.Identity() if name == "none" else activation_layer(name)


def channels_last(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=generator).to(dtype).to(memory_format=torch.channels_last)


def largest_error(ours: Tensor, exact: Tensor) -> float:
    return float((ours.detach().double() - exact.detach()).abs().max() / exact.detach().abs().max().clamp(min=1e-3))


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", ACTIVATIONS)
@given(
    n=st.integers(1, 9), channels=st.integers(1, 70), height=st.integers(2, 13), width=st.integers(4, 13),
    mean=st.sampled_from([0.0, 5.0]), seed=st.integers(0, 2**31),
)  # fmt: skip
@settings(max_examples=25)
def test_values_and_gradients_are_those_of_float64(
    name: str, dtype: torch.dtype, n: int, channels: int, height: int, width: int, mean: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    norm = norm_of(channels, generator)
    x = (channels_last((n, channels, height, width), generator, dtype) + mean).requires_grad_()
    dy = channels_last(tuple(x.shape), generator, dtype)
    y = norm_activation(x, norm, activation_of(name))
    assert type(y.grad_fn).__name__ == "_NormActivationBackward"
    y.backward(dy)

    exact = x.detach().double().requires_grad_()
    weight, bias = (value.detach().double().requires_grad_() for value in (norm.weight, norm.bias))
    mean64, var64 = torch.zeros(channels).double(), torch.ones(channels).double()
    z = F.batch_norm(exact, mean64, var64, weight, bias, training=True, momentum=0.1, eps=1e-3)
    z.retain_grad()
    ACTIVATIONS[name](z).backward(dy.double())
    normalized = F.batch_norm(exact.detach(), None, None, training=True, eps=1e-3)

    rounding = 1e-5 if dtype == torch.float32 else 1e-2
    kinks = torch.tensor([0.0, 6.0, -3.0, 3.0], dtype=torch.float64)
    near_a_kink = ((z.unsqueeze(-1) - kinks).abs() < 1e-4).any(dim=-1)  # where rounding may fall on the other side
    assert largest_error(y, ACTIVATIONS[name](z)) < rounding
    if not bool(near_a_kink.any()):
        assert largest_error(x.grad, exact.grad) < 5 * rounding
        # Sums that may cancel: the error is that of their terms, whatever is left of them.
        for ours, theirs, terms in (
            (norm.weight.grad, weight.grad, z.grad * normalized),
            (norm.bias.grad, bias.grad, z.grad),
        ):
            assert bool(((ours.double() - theirs).abs() <= 1e-5 * terms.abs().sum((0, 2, 3)) + 1e-12).all())
    assert norm.running_mean is not None
    # A mean may be next to nothing; what it is computed from is about 1 + |mean|.
    assert float((norm.running_mean.double() - mean64).abs().max()) < 1e-6 * (1 + abs(mean))
    assert largest_error(norm.running_var, var64) < 1e-5
    assert int(norm.num_batches_tracked) == 1


@needs_kernels
@pytest.mark.parametrize("name", ["mobilenet_v2_x0.25", "efficientnet_lite0", "mobilenet_v3_small"])
def test_a_network_trains_the_same_with_and_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_model(get_spec(name), num_classes=5, dropout=0.0, stochastic_depth_prob=0.0, seed=0).train()
    plain = copy.deepcopy(network)
    images = torch.randn(8, 3, 96, 96, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    with monkeypatch.context() as patched:
        patched.setattr("foray.native.norm_activation.compiled_kernels", lambda: None)
        expected = plain(images)
        assert not fused(expected)
    logits = network(images)
    assert fused(logits)
    torch.testing.assert_close(logits, expected, rtol=0, atol=2e-3 * float(expected.detach().abs().max()))


def fused(logits: Tensor) -> bool:
    seen, todo = set(), [logits.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        todo += [parent for parent, _ in node.next_functions]
    return any(type(node).__name__ == "_NormActivationBackward" for node in seen)


@needs_kernels
def test_a_number_that_is_none_stays_none() -> None:
    generator = torch.Generator().manual_seed(0)
    for name in ACTIVATIONS:
        x = channels_last((2, 8, 4, 4), generator, torch.float32)
        x[1, 3, 2, 2] = np.nan
        y = norm_activation(x, norm_of(8, generator), activation_of(name))
        assert y[:, 3].isnan().all()
        assert not y[:, :3].isnan().any()


@needs_kernels
@pytest.mark.parametrize("channels", [24, 33])
@pytest.mark.parametrize("name", ["relu6", "silu"])
def test_a_map_that_no_cache_holds_is_that_of_float64(name: str, channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    norm = norm_of(channels, generator)
    x = channels_last((10, channels, 151, 139), generator, torch.float32).requires_grad_()
    assert x.numel() * 4 > 16 * 2**20  # written past the caches where channels fill whole vectors
    dy = channels_last(tuple(x.shape), generator, torch.float32)
    y = norm_activation(x, norm, activation_of(name))
    y.backward(dy)

    exact = x.detach().double().requires_grad_()
    weight, bias = norm.weight.detach().double(), norm.bias.detach().double()
    z = F.batch_norm(exact, None, None, weight, bias, training=True, eps=1e-3)
    ACTIVATIONS[name](z).backward(dy.double())
    assert largest_error(y, ACTIVATIONS[name](z)) < 1e-5
    near_a_kink = torch.minimum(z.abs(), (z - 6).abs()) < 1e-4
    assert largest_error(x.grad[~near_a_kink], exact.grad[~near_a_kink]) < 1e-5


@needs_kernels
def test_equal_threads_give_equal_bits() -> None:
    def once() -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        norm = norm_of(33, generator)
        x = channels_last((7, 33, 11, 5), generator, torch.float32).requires_grad_()
        norm_activation(x, norm, activation_of("silu")).square().sum().backward()
        return [x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]

    assert all(torch.equal(a, b) for a, b in zip(once(), once(), strict=True))


def test_the_rectifier_alone_keeps_its_output_and_has_pytorchs_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foray.native.norm_activation.compiled_kernels", lambda: None)
    generator = torch.Generator().manual_seed(0)
    norm = norm_of(4, generator)
    x = (4 * channels_last((2, 4, 5, 5), generator, torch.float32)).requires_grad_()
    norm_activation(x, norm, nn.ReLU6(inplace=True)).sum().backward()
    ours, x.grad = x.grad, None
    F.relu6(norm(x)).sum().backward()
    assert torch.equal(ours, x.grad)


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", ACTIVATIONS)
@given(
    n=st.integers(1, 5), channels=st.integers(1, 70), side=st.integers(2, 13), seed=st.integers(0, 2**31),
)  # fmt: skip
@settings(max_examples=10)
def test_a_frozen_layer_is_that_of_float64(
    name: str, dtype: torch.dtype, n: int, channels: int, side: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    norm = frozen_norm_of(channels, generator)
    before = [norm.running_mean.clone(), norm.running_var.clone(), norm.num_batches_tracked.clone()]
    x = channels_last((n, channels, side, side), generator, dtype)
    given_x, exact = x.clone(), norm_in_float64(x, norm)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(F, "batch_norm", None)  # which PyTorch's operator would call
        y = norm_activation(x, norm, activation_of(name))
    assert torch.equal(x, given_x)  # whoever looks at the convolution's output finds it
    assert largest_error(y, ACTIVATIONS[name](exact)) < (1e-5 if dtype == torch.float32 else 1e-2)
    assert all(torch.equal(*pair) for pair in zip(before, norm.buffers(), strict=True))


@needs_kernels
def test_a_large_map_of_a_frozen_layer_is_that_of_float64() -> None:
    generator = torch.Generator().manual_seed(0)
    norm = frozen_norm_of(24, generator)
    x = channels_last((10, 24, 151, 139), generator, torch.float32)
    assert x.numel() * 4 > 16 * 2**20  # written past the caches
    exact = norm_in_float64(x, norm)
    assert largest_error(norm_activation(x, norm, activation_of("silu")), F.silu(exact)) < 1e-5


def frozen_norm_of(channels: int, generator: torch.Generator) -> PlainBatchNorm2d:
    norm = norm_of(channels, generator).eval().requires_grad_(False)
    norm.running_mean.normal_(generator=generator)
    norm.running_var.uniform_(0.5, 2.0, generator=generator)
    return norm


def norm_in_float64(x: Tensor, norm: PlainBatchNorm2d) -> Tensor:
    return copy.deepcopy(norm).double()(x.double())


@pytest.mark.parametrize("part", ["input", "scale", "shift"])
def test_inference_mode_with_something_to_train_has_pytorchs_gradients(part: str) -> None:
    generator = torch.Generator().manual_seed(0)
    norm = frozen_norm_of(4, generator)
    x = channels_last((2, 4, 5, 5), generator, torch.float32)
    trained = {"input": x, "scale": norm.weight, "shift": norm.bias}[part].requires_grad_()
    norm_activation(x.clone(), norm, nn.ReLU6(inplace=True)).sum().backward()
    ours, trained.grad = trained.grad, None
    F.relu6(norm(x)).sum().backward()
    assert torch.equal(ours, trained.grad)


def test_inference_uses_pytorchs_operators() -> None:
    norm = norm_of(4, torch.Generator().manual_seed(0)).eval()
    x = channels_last((2, 4, 5, 5), torch.Generator().manual_seed(1), torch.float32)
    with torch.no_grad():
        assert torch.equal(norm_activation(x, norm, nn.Identity()), norm(x))
