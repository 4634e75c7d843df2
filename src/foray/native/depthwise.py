"""Depthwise convolution with a backward pass of its own, in training on a CPU.

PyTorch's backward pass takes several times the time of its memory traffic, most of all for strided convolutions.
The forward pass is PyTorch's. Gradients equal PyTorch's to rounding; where the kernel does not fit, its own runs.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from foray.native.kernels import address, compiled_kernels, is_chosen, is_recorded, number_format

_KERNELS = (3, 5)
_CHANNELS = 8  # the kernel works on groups of so many

Padding4 = tuple[int, int, int, int]  # left, right, top, bottom, as torch.nn.functional.pad has them


def fits_depthwise(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether `depthwise_conv2d` can take the place of `conv` for x (N, C, H, W)."""
    return (
        not is_recorded()  # first: a trace records the sizes as values, on which Python cannot branch
        and is_chosen("depthwise")
        and conv.groups == conv.in_channels == conv.out_channels
        and conv.in_channels % _CHANNELS == 0
        and conv.kernel_size[0] == conv.kernel_size[1] in _KERNELS
        and conv.stride[0] == conv.stride[1]
        and conv.dilation == (1, 1)
        and torch.is_grad_enabled()
        and conv.weight.requires_grad
        and x.device.type == "cpu"
        and x.numel() > 0
        and number_format(x.dtype) is not None
        and x.is_contiguous(memory_format=torch.channels_last)
        and compiled_kernels() is not None
    )


def depthwise_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: Padding4) -> Tensor:
    """x (N, C, H, W), weight (C, 1, K, K), bias (C,): (N, C, H', W'). Under autocast, in its format."""
    if torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    out: Tensor = _Depthwise.apply(x, weight, bias, stride, padding)  # type: ignore[no-untyped-call]
    return out


class _Depthwise(torch.autograd.Function):
    """Keeps the input as it is, without its padding."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: Padding4) -> Tensor:
        left, right, top, bottom = padding
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.top, ctx.left = stride, top, left
        if (left, top) != (right, bottom):
            x, left, top = F.pad(x, padding), 0, 0
        offsets = None if bias is None else bias.to(x.dtype)
        return F.conv2d(x, weight.to(x.dtype), offsets, stride, (top, left), 1, x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        n, channels, height, width = x.shape
        size = weight.shape[-1]
        dy = dy.to(x.dtype).contiguous(memory_format=torch.channels_last)
        dx = torch.empty_like(x, memory_format=torch.channels_last) if ctx.needs_input_grad[0] else None
        filters = weight.detach().float().squeeze(1).permute(1, 2, 0).contiguous()  # (K, K, C)
        dfilters = torch.empty_like(filters)
        kernels = compiled_kernels()
        assert kernels is not None
        lengths = (n, channels, height, width, dy.shape[2], dy.shape[3])
        kernels.depthwise_backward(
            number_format(x.dtype), *map(ctypes.c_int64, lengths), size, ctx.stride, ctx.top, ctx.left,
            torch.get_num_threads(), address(x), address(dy), address(filters), address(dx), address(dfilters),
        )  # fmt: skip
        dbias = dy.sum((0, 2, 3), dtype=weight.dtype) if ctx.needs_input_grad[2] else None
        return dx, dfilters.permute(2, 0, 1).unsqueeze(1).to(weight.dtype), dbias, None, None
