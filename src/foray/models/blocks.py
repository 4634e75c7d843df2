"""The blocks of all families, one class a kind of row: inverted residuals; those of GhostNet, ResNet and Xception."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from foray.models.layers import LayerStyle, StochasticDepth, activation_layer, conv2d, max_pool
from foray.specs import (
    BasicResidual,
    Bneck,
    BottleneckResidual,
    DepthwiseSeparable,
    FusedInvertedResidual,
    GhostBottleneck,
    InvertedResidual,
    SeparableConv,
    SeparableResidual,
)


class DepthwiseSeparableBlock(nn.Module):
    """MobileNetV1 (arXiv:1704.04861, Fig. 3 right). No skip connection."""

    def __init__(self, row: DepthwiseSeparable, in_channels: int, stride: int, style: LayerStyle) -> None:
        super().__init__()
        self.depthwise = style.depthwise(in_channels, row.kernel, stride=stride)
        self.pointwise = style.conv(in_channels, row.out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class InvertedResidualBlock(nn.Module):
    """MobileNetV2 (arXiv:1801.04381, Fig. 4d), with squeeze-excitation the MBConv of EfficientNet and MobileNetV3.

    The input is added to the output where stride and channels allow it.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        kernel: int,
        stride: int,
        style: LayerStyle,
        *,
        se_ratio: float = 0.0,
        skip_probability: float = 0.0,
    ) -> None:
        super().__init__()
        self.expand = style.conv(in_channels, hidden, 1) if hidden != in_channels else nn.Identity()
        self.depthwise = style.depthwise(hidden, kernel, stride=stride)
        self.squeeze_excitation = style.squeeze_excitation(in_channels, hidden, se_ratio) if se_ratio else nn.Identity()
        self.project = style.conv(hidden, out_channels, 1, activate=False)
        self.is_residual = stride == 1 and in_channels == out_channels
        self.stochastic_depth = StochasticDepth(skip_probability if self.is_residual else 0.0)

    @classmethod
    def of_row(
        cls, row: InvertedResidual, in_channels: int, stride: int, style: LayerStyle, skip_probability: float
    ) -> InvertedResidualBlock:
        """A block of a MobileNetV2 or EfficientNet stage."""
        return cls(
            in_channels,
            in_channels * row.expand_ratio,
            row.out_channels,
            row.kernel,
            stride,
            style,
            se_ratio=row.se_ratio,
            skip_probability=skip_probability,
        )

    @classmethod
    def of_bneck(
        cls, row: Bneck, layer: int, in_channels: int, stride: int, style: LayerStyle, skip_probability: float
    ) -> InvertedResidualBlock:
        """Block `layer` of a MobileNetV3 stage, which has an activation of its own."""
        return cls(
            in_channels,
            row.exp_sizes[layer],
            row.out_channels,
            row.kernel,
            stride,
            replace(style, activation=row.activation),
            se_ratio=0.25 if row.squeeze else 0.0,
            skip_probability=skip_probability,
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.project(self.squeeze_excitation(self.depthwise(self.expand(x))))
        # In place: the projection is linear, so no gradient needs what is overwritten.
        return self.stochastic_depth(out).add_(x) if self.is_residual else out


class FusedInvertedResidualBlock(nn.Module):
    """Fused-MBConv of EfficientNetV2 (arXiv:2104.00298, Fig. 2): a full convolution expands, a linear 1 x 1 projects.

    With ratio 1 the k x k convolution, with its activation, is the whole block and there is nothing to project.
    """

    def __init__(
        self, row: FusedInvertedResidual, in_channels: int, stride: int, style: LayerStyle, skip_probability: float
    ) -> None:
        super().__init__()
        fused = row.expand_ratio != 1
        hidden = in_channels * row.expand_ratio if fused else row.out_channels
        self.expand = style.conv(in_channels, hidden, row.kernel, stride=stride)
        self.project = style.conv(hidden, row.out_channels, 1, activate=False) if fused else nn.Identity()
        self.is_residual = stride == 1 and in_channels == row.out_channels
        self.stochastic_depth = StochasticDepth(skip_probability if self.is_residual else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.project(self.expand(x))
        return self.stochastic_depth(out) + x if self.is_residual else out


class GhostModule(nn.Module):
    """Half of the channels by a 1 x 1 convolution, the other half from these by a cheap 3 x 3 depthwise one (Fig. 1).

    `out_channels` must be even.
    """

    def __init__(self, in_channels: int, out_channels: int, style: LayerStyle, *, activate: bool) -> None:
        super().__init__()
        half = out_channels // 2
        self.primary = style.conv(in_channels, half, 1, activate=activate)
        self.cheap = style.depthwise(half, 3, activate=activate)

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)], dim=1)


class GhostBottleneckBlock(nn.Module):
    """Two ghost modules, a depthwise convolution between them where it strides, and a shortcut (Fig. 3).

    Where stride or channels differ the shortcut is a depthwise and a 1 x 1 convolution, both linear.
    """

    def __init__(
        self,
        row: GhostBottleneck,
        layer: int,
        in_channels: int,
        stride: int,
        style: LayerStyle,
        skip_probability: float,
    ) -> None:
        super().__init__()
        hidden = row.exp_sizes[layer]
        self.expand = GhostModule(in_channels, hidden, style, activate=True)
        self.depthwise = (
            style.depthwise(hidden, row.kernel, stride=stride, activate=False) if stride > 1 else nn.Identity()
        )
        self.squeeze_excitation = (
            style.squeeze_excitation(in_channels, hidden, 0.25) if row.squeeze[layer] else nn.Identity()
        )
        self.project = GhostModule(hidden, row.out_channels, style, activate=False)
        self.is_residual = stride == 1 and in_channels == row.out_channels
        self.shortcut: nn.Module = nn.Identity()
        if not self.is_residual:
            self.shortcut = nn.Sequential(
                style.depthwise(in_channels, row.kernel, stride=stride, activate=False),
                style.conv(in_channels, row.out_channels, 1, activate=False),
            )
        self.stochastic_depth = StochasticDepth(skip_probability if self.is_residual else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.project(self.squeeze_excitation(self.depthwise(self.expand(x))))
        out: Tensor = self.stochastic_depth(branch) + self.shortcut(x)
        return out


class ResidualBlock(nn.Module):
    """`convs`, the last of them linear, plus the input; where the shape changes, a linear 1 x 1 convolution of it."""

    def __init__(
        self,
        convs: nn.Sequential,
        in_channels: int,
        out_channels: int,
        stride: int,
        style: LayerStyle,
        skip_probability: float,
    ) -> None:
        super().__init__()
        self.convs = convs
        self.is_residual = stride == 1 and in_channels == out_channels
        self.shortcut = (
            nn.Identity()
            if self.is_residual
            else style.conv(in_channels, out_channels, 1, stride=stride, activate=False)
        )
        self.stochastic_depth = StochasticDepth(skip_probability if self.is_residual else 0.0)
        self.activation = activation_layer(style.activation)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.stochastic_depth(self.convs(x)) + self.shortcut(x))
        return out


def basic_block(
    row: BasicResidual, in_channels: int, stride: int, style: LayerStyle, skip_probability: float
) -> ResidualBlock:
    """Two 3 x 3 convolutions."""
    convs = nn.Sequential(
        style.conv(in_channels, row.out_channels, 3, stride=stride),
        style.conv(row.out_channels, row.out_channels, 3, activate=False),
    )
    return ResidualBlock(convs, in_channels, row.out_channels, stride, style, skip_probability)


def bottleneck_block(
    row: BottleneckResidual, in_channels: int, stride: int, style: LayerStyle, skip_probability: float
) -> ResidualBlock:
    """1 x 1, 3 x 3 (with the stride), 1 x 1."""
    width = row.out_channels // 4
    convs = nn.Sequential(
        style.conv(in_channels, width, 1),
        style.conv(width, width, 3, stride=stride),
        style.conv(width, row.out_channels, 1, activate=False),
    )
    return ResidualBlock(convs, in_channels, row.out_channels, stride, style, skip_probability)


class SeparableConvBlock(nn.Module):
    """Depthwise 3 x 3, pointwise, batch norm, activation (or none): nothing between the two convolutions."""

    def __init__(self, in_channels: int, out_channels: int, style: LayerStyle, *, activate: bool) -> None:
        super().__init__()
        self.depthwise = conv2d(in_channels, in_channels, 3, groups=in_channels, padding=style.padding)
        self.pointwise = style.conv(in_channels, out_channels, 1, activate=activate)

    @classmethod
    def of_row(cls, row: SeparableConv, in_channels: int, style: LayerStyle) -> SeparableConvBlock:
        """A layer of the exit flow."""
        return cls(in_channels, row.out_channels, style, activate=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


class SeparableResidualBlock(nn.Module):
    """Rectifier and separable convolution, two or three times, max pooling where it strides, and a shortcut."""

    def __init__(
        self, row: SeparableResidual, in_channels: int, stride: int, style: LayerStyle, skip_probability: float
    ) -> None:
        super().__init__()
        self.convs = nn.Sequential()
        channels = in_channels
        for i in range(row.num_convs):
            widens = i == (row.num_convs - 1 if row.widen_last else 0)
            out_channels = row.out_channels if widens else channels
            if i or row.relu_first:
                # The first one reads the block's input, which the shortcut needs as it was: not in place.
                self.convs.append(activation_layer(style.activation) if i else nn.ReLU())
            self.convs.append(SeparableConvBlock(channels, out_channels, style, activate=False))
            channels = out_channels
        if stride > 1:
            self.convs.append(max_pool(style.padding))
        self.is_residual = stride == 1 and in_channels == row.out_channels
        self.shortcut = (
            nn.Identity()
            if self.is_residual
            else style.conv(in_channels, row.out_channels, 1, stride=stride, activate=False)
        )
        self.stochastic_depth = StochasticDepth(skip_probability if self.is_residual else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.stochastic_depth(self.convs(x)) + self.shortcut(x)
        return out
