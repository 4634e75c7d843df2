"""The layers all families are made of. Images and feature maps are (N, C, H, W), in any memory format."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foray.native.depthwise import depthwise_conv2d, fits_depthwise
from foray.native.norm_activation import norm_activation, recomputed_for_backward
from foray.specs import Activation, Padding, SqueezeExcitationStyle, same_padding, squeezed_channels


class PlainConv2d(nn.Conv2d):
    """nn.Conv2d that leaves its weights as they lie in memory (foray.models.initialization draws them once), and takes
    the faster backward pass where there is one.
    """

    def reset_parameters(self) -> None:
        """Nothing: PyTorch's default draw would be overwritten."""

    def forward(self, x: Tensor) -> Tensor:
        if not fits_depthwise(self, x):
            return super().forward(x)
        assert not isinstance(self.padding, str)
        vertical, horizontal = self.padding
        padding = (horizontal, horizontal, vertical, vertical)
        return depthwise_conv2d(x, self.weight, self.bias, self.stride[0], padding)


class PlainBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d that leaves its values as they lie in memory, as PlainConv2d, and trains on a single value.

    A last batch of one image whose map is 1 x 1 has one value per channel, and one value has no variance, where PyTorch
    raises ValueError. Such a batch is normalised with the running statistics, which it does not change.
    """

    def reset_parameters(self) -> None:
        """Nothing: a fifth of the time of building a network, for values that are set later."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == self.num_features:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class SamePaddingConv2d(PlainConv2d):
    """Strided convolution with TensorFlow's SAME padding, which depends on the input size.

    For size n, kernel k, stride s the padding is (k - s) + (-n mod s) rows, half of it, rounded down, before the first:
    224 pixels, k 3, s 2 are padded by 0 before and 1 after, where PyTorch's `padding=1` would pad 1 and 1. With odd
    sizes both agree, and no padded copy is made.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, bias: bool) -> None:
        if kernel < stride:
            raise ValueError(f"SAME padding needs a kernel of at least the stride, not {kernel} and {stride}")
        super().__init__(in_channels, out_channels, kernel, stride, padding=0, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom = self._padding(x, 0)
        left, right = self._padding(x, 1)
        if fits_depthwise(self, x):
            return depthwise_conv2d(x, self.weight, self.bias, self.stride[0], (left, right, top, bottom))
        # A trace records the sizes as values of the graph, on which Python cannot branch.
        if not _is_tracing() and top == bottom and left == right:
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups)
        return super().forward(F.pad(x, (left, right, top, bottom)))

    def _padding(self, x: Tensor, axis: int) -> tuple[int, int]:
        """Rows (axis 0) or columns (axis 1) to add before and after."""
        return same_padding(x.shape[2 + axis], self.kernel_size[axis], self.stride[axis])


def _is_tracing() -> bool:
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing


def conv2d(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
    padding: Padding = "symmetric",
    valid: bool = False,
) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1 and halves it (rounding up) at stride 2; odd kernels only.

    `valid`: no padding, so the size shrinks by kernel - 1 before it is halved.

    At stride 1, and for 1 x 1 kernels, SAME padding is symmetric at every size: only strided convolutions differ.
    """
    if kernel % 2 == 0:
        raise ValueError(f"Kernel sizes must be odd, not {kernel}")
    if valid:
        return PlainConv2d(in_channels, out_channels, kernel, stride, padding=0, groups=groups, bias=bias)
    if padding == "same" and stride > 1 and kernel > 1:
        return SamePaddingConv2d(in_channels, out_channels, kernel, stride, groups, bias)
    return PlainConv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=bias)


class SamePaddingMaxPool2d(nn.Module):
    """3 x 3 max pooling of stride 2 with TensorFlow's SAME padding."""

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (same_padding(x.shape[axis], 3, 2) for axis in (2, 3))
        return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=-math.inf), 3, 2)


def max_pool(padding: Padding) -> nn.Module:
    """3 x 3 max pooling that halves the size, rounding up."""
    return SamePaddingMaxPool2d() if padding == "same" else nn.MaxPool2d(3, 2, padding=1)


class SiLU(nn.Module):
    """x * sigmoid(x). In place in evaluation; in training autograd needs the input, so a new tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x, inplace=not self.training)


class HardSwish(nn.Module):
    """x * relu6(x + 3) / 6 (arXiv:1905.02244, section 5.2). In place in evaluation, as SiLU."""

    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(x, inplace=not self.training)


def activation_layer(activation: Activation) -> nn.Module:
    """The activation called so. The rectifiers work in place: their gradient needs the output only."""
    match activation:
        case "relu":
            return nn.ReLU(inplace=True)
        case "relu6":
            return nn.ReLU6(inplace=True)
        case "silu":
            return SiLU()
        case "hard_swish":
            return HardSwish()


class ConvNormActivation(nn.Module):
    """Convolution without bias, batch norm, activation (or none)."""

    def __init__(self, conv: nn.Conv2d, norm: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        with recomputed_for_backward(x):
            out: Tensor = self.conv(x)
        return norm_activation(out, self.norm, self.activation)


class SqueezeExcitation(nn.Module):
    """Channel attention: global mean, 1 x 1 to `squeezed` channels, activation, 1 x 1 back, gate, product.

    Hu et al. 2018 (arXiv:1709.01507, Fig. 3), with convolutions for the two dense layers as in EfficientNet.
    `hard`: the gate is relu6(x + 3) / 6 (MobileNetV3), not the sigmoid.
    """

    def __init__(self, channels: int, squeezed: int, activation: Activation, *, hard: bool = False) -> None:
        super().__init__()
        self.hard = hard
        self.reduce = conv2d(channels, squeezed, 1, bias=True)
        self.activation = activation_layer(activation)
        self.expand = conv2d(squeezed, channels, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.expand(self.activation(self.reduce(x.mean((2, 3), keepdim=True))))
        with recomputed_for_backward(x):
            return x * (F.hardsigmoid(gate) if self.hard else gate.sigmoid())


class Dense(nn.Module):
    """Dense layer with bias and activation, on features (N, F)."""

    def __init__(self, in_features: int, out_features: int, activation: Activation) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)
        self.activation = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.linear(x))
        return out


class StochasticDepth(nn.Module):
    """Drops a residual branch, per sample, with `probability` while training (Huang et al. 2016, arXiv:1603.09382).

    Survivors are divided by their probability of surviving, so that evaluation needs no correction.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0.0 <= probability < 1.0:
            raise ValueError(f"The probability of skipping a block must be in [0, 1), not {probability}")
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0.0:
            return x
        survival = 1.0 - self.probability
        return x * x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(survival).div_(survival)

    def extra_repr(self) -> str:
        return f"probability={self.probability:.4g}"


@dataclass(frozen=True)
class LayerStyle:
    """What all layers of one network share."""

    activation: Activation
    padding: Padding
    bn_eps: float
    bn_momentum: float
    squeeze: SqueezeExcitationStyle

    def conv(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        activate: bool = True,
        valid: bool = False,
    ) -> ConvNormActivation:
        """Full convolution, batch norm, and the activation unless `activate` is False (a linear bottleneck)."""
        conv = conv2d(in_channels, out_channels, kernel, stride=stride, padding=self.padding, valid=valid)
        return self._with_norm(conv, activate)

    def depthwise(
        self, channels: int, kernel: int, *, stride: int = 1, activate: bool = True, multiplier: int = 1
    ) -> ConvNormActivation:
        """`multiplier` kernels per channel, batch norm, and the activation unless `activate` is False."""
        conv = conv2d(channels, channels * multiplier, kernel, stride=stride, groups=channels, padding=self.padding)
        return self._with_norm(conv, activate)

    def squeeze_excitation(self, in_channels: int, hidden: int, ratio: float) -> SqueezeExcitation:
        """For a block with `in_channels` whose hidden layer, the one that is gated, has `hidden`."""
        rule = self.squeeze
        squeezed = squeezed_channels(rule, in_channels, hidden, ratio)
        return SqueezeExcitation(hidden, squeezed, rule.activation or self.activation, hard=rule.gate == "hard_sigmoid")

    def _with_norm(self, conv: nn.Conv2d, activate: bool) -> ConvNormActivation:
        norm = PlainBatchNorm2d(conv.out_channels, eps=self.bn_eps, momentum=self.bn_momentum)
        return ConvNormActivation(conv, norm, activation_layer(self.activation) if activate else nn.Identity())
