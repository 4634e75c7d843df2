"""Batch norm and the activation after it as one operation, in training on a CPU.

The two are bound by memory, not arithmetic: a MobileNetV2 spends half of its training step in them. Fused, the
normalised map is neither written nor kept but computed again from the convolution's output in the backward pass (as in
in-place activated batch norm, Rota Bulo et al. 2018, arXiv:1712.02616, without its restriction to activations that can
be inverted). Frozen layers before the first that is trained need no backward pass: there it is one pass with the
running statistics.

The activation itself is computed again too, where the backward pass asks for it. A convolution keeps its input for the
gradient of its weights. Where that input is an activation, it follows from the output of the convolution before, which
is kept anyway: half of the memory of a training step is for what one pass over memory gives again, bit for bit (Chen et
al. 2016, arXiv:1604.06174, section 4.3).

Values and gradients equal those of PyTorch's operators to rounding; where the kernel does not fit, those run.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from foray.native.kernels import address, compiled_kernels, is_chosen, is_recorded, number_format

_ORIGIN = "foray_origin"  # the attribute of a map that can be computed again
# As in norm_activation.cpp. Names instead of types: foray.models.layers imports this module.
_ACTIVATIONS = {"Identity": 0, "ReLU": 1, "ReLU6": 2, "SiLU": 3, "HardSwish": 4}


def norm_activation(x: Tensor, norm: nn.Module, activation: nn.Module) -> Tensor:
    """`activation(norm(x))` for x (N, C, H, W), fused where it can be."""
    if not _is_fusible(x, norm, activation):
        normalized: Tensor = norm(x)
        activated: Tensor = _clip(normalized) if isinstance(activation, nn.ReLU6) else activation(normalized)
        return activated
    assert isinstance(norm, nn.BatchNorm2d)
    kind = _ACTIVATIONS[type(activation).__name__]
    if not norm.training:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        return _apply(x, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps, kind)
    y, mean, variance = _NormActivation.apply(x, norm.weight, norm.bias, norm.eps, kind)  # type: ignore[no-untyped-call]
    _keep_statistics(norm, mean, variance, x.numel() // x.shape[1])
    fused: Tensor = y
    if fused.requires_grad and is_chosen("recomputation"):
        weight, bias = norm.weight.detach(), norm.bias.detach()
        can_be_recomputed(fused, functools.partial(_apply, x.detach(), weight, bias, mean, variance, norm.eps, kind))
    return fused


def _apply(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, epsilon: float, activation: int
) -> Tensor:
    """The activation of x normalised by `mean` and (biased) `variance`."""
    y = torch.empty_like(x, memory_format=torch.channels_last)
    kernels = compiled_kernels()
    assert kernels is not None
    kernels.norm_activation_apply(
        number_format(x.dtype), activation, address(x), *_rows_and_channels(x), torch.get_num_threads(),
        address(weight), address(bias), ctypes.c_float(epsilon), address(mean), address(variance), address(y),
    )  # fmt: skip
    return y


def _keep_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, n: int) -> None:
    """Moves the running statistics as PyTorch does, with the unbiased variance of the `n` values of a channel."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * (n / (n - 1)), norm.momentum)


def _is_fusible(x: Tensor, norm: nn.Module, activation: nn.Module) -> bool:
    return (
        not is_recorded()
        and is_chosen("norm_activation")
        and isinstance(norm, nn.BatchNorm2d)
        and (norm.training or _is_frozen(x, norm))
        and x.device.type == "cpu"
        and number_format(x.dtype) is not None
        and x.dim() == 4
        and x.shape[0] * x.shape[2] * x.shape[3] > 1
        and x.is_contiguous(memory_format=torch.channels_last)
        and type(norm).__name__ == "PlainBatchNorm2d"
        and type(activation).__name__ in _ACTIVATIONS
        and norm.momentum is not None
        and not (norm._forward_hooks or norm._forward_pre_hooks or activation._forward_hooks)
        and compiled_kernels() is not None
    )


def _is_frozen(x: Tensor, norm: nn.BatchNorm2d) -> bool:
    """Whether this is a layer of training without a backward pass. Plain inference stays PyTorch's."""
    return torch.is_grad_enabled() and not (x.requires_grad or norm.weight.requires_grad or norm.bias.requires_grad)


class _NormActivation(torch.autograd.Function):
    """y, batch mean and (biased) variance; the statistics carry no gradient.

    No operator of torch.library: `custom_op` takes about 0.5 ms more a layer, forward and backward together (a step of
    MobileNetV2 at 32 px, batch 4, one thread: 127 ms instead of 96), and an operator defined around this function 2 %
    of that step. Neither would gain anything: what is exported or compiled takes PyTorch's operators, so that files
    and graphs need none of ours.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, activation: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = torch.empty(2, x.shape[1]).unbind()
        kernels = compiled_kernels()
        assert kernels is not None
        kernels.norm_activation_moments(
            number_format(x.dtype), address(x), *_rows_and_channels(x), torch.get_num_threads(), address(mean),
            address(variance),
        )  # fmt: skip
        ctx.save_for_backward(x, weight, bias, mean, variance)
        ctx.epsilon, ctx.activation = epsilon, activation
        ctx.mark_non_differentiable(mean, variance)
        return _apply(x, weight, bias, mean, variance, epsilon, activation), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, variance = ctx.saved_tensors
        dy = dy.to(x.dtype).contiguous(memory_format=torch.channels_last)
        dx = torch.empty_like(x, memory_format=torch.channels_last)
        dweight, dbias = torch.empty(2, x.shape[1]).unbind()
        kernels = compiled_kernels()
        assert kernels is not None
        kernels.norm_activation_backward(
            number_format(x.dtype), ctx.activation, address(x), address(dy), *_rows_and_channels(x),
            torch.get_num_threads(), address(weight), address(bias), ctypes.c_float(ctx.epsilon), address(mean),
            address(variance), address(dx), address(dweight), address(dbias),
        )  # fmt: skip
        return dx, dweight, dbias, None, None


def _rows_and_channels(x: Tensor) -> tuple[ctypes.c_int64, ctypes.c_int64]:
    return ctypes.c_int64(x.numel() // x.shape[1]), ctypes.c_int64(x.shape[1])


class _ReLU6(torch.autograd.Function):
    """Clips in place and keeps the result alone. PyTorch's `hardtanh_` copies its input for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        x.clamp_(0.0, 6.0)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        gradient: Tensor = torch.ops.aten.hardtanh_backward(dy, y, 0.0, 6.0)
        return gradient


def _clip(x: Tensor) -> Tensor:
    if x.requires_grad and not is_recorded():
        clipped: Tensor = _ReLU6.apply(x)  # type: ignore[no-untyped-call]
        return clipped
    return F.relu6(x, inplace=True)


@dataclass(frozen=True)
class _Origin:
    """How to compute a map again. `version`: the map's, which counts what is written into it in place."""

    compute: Callable[[], Tensor]
    version: int


def can_be_recomputed(y: Tensor, compute: Callable[[], Tensor]) -> None:
    """Says that `compute()` gives the numbers of y in a new tensor of the same layout."""
    setattr(y, _ORIGIN, _Origin(compute, y._version))


def recomputed_for_backward(x: Tensor) -> AbstractContextManager[object]:
    """While it is open, operators that would keep x for their backward pass keep how to compute it, where that is known
    and x was not changed since.
    """
    origin: _Origin | None = getattr(x, _ORIGIN, None)
    if origin is None or x._version != origin.version:
        return nullcontext()
    pointer, shape = x.data_ptr(), x.shape

    def pack(kept: Tensor) -> Tensor | _Origin:
        return origin if kept.data_ptr() == pointer and kept.shape == shape else kept

    return torch.autograd.graph.saved_tensors_hooks(pack, _unpack)


def _unpack(kept: Tensor | _Origin) -> Tensor:
    return kept.compute() if isinstance(kept, _Origin) else kept
