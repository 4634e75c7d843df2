"""The inverted residuals of the MobileNet and EfficientNet families, one class a kind of row."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from foray.models.layers import LayerStyle, StochasticDepth
from foray.specs import Bneck, DepthwiseSeparable, FusedInvertedResidual, InvertedResidual


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
