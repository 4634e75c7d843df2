"""The blocks of each row of a spec: what `DepthwiseSeparable`, `InvertedResidual`, `FusedInvertedResidual` build."""

from __future__ import annotations

from torch import Tensor, nn

from foray.models.layers import LayerStyle, SqueezeExcitation, StochasticDepth
from foray.specs import DepthwiseSeparable, FusedInvertedResidual, InvertedResidual, Stage


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
    """MobileNetV2 (arXiv:1801.04381, Fig. 4d) and, with squeeze-excitation, the MBConv of EfficientNet.

    The input is added to the output where stride and channels allow it.
    """

    def __init__(
        self, row: InvertedResidual, in_channels: int, stride: int, style: LayerStyle, skip_probability: float
    ) -> None:
        super().__init__()
        hidden = in_channels * row.expand_ratio
        self.expand = style.conv(in_channels, hidden, 1) if row.expand_ratio != 1 else nn.Identity()
        self.depthwise = style.depthwise(hidden, row.kernel, stride=stride)
        self.squeeze_excitation = (
            SqueezeExcitation(hidden, max(1, int(in_channels * row.se_ratio)), style.activation)
            if row.se_ratio
            else nn.Identity()
        )
        self.project = style.conv(hidden, row.out_channels, 1, activate=False)
        self.is_residual = stride == 1 and in_channels == row.out_channels
        self.stochastic_depth = StochasticDepth(skip_probability if self.is_residual else 0.0)

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


def build_block(row: Stage, in_channels: int, stride: int, style: LayerStyle, skip_probability: float) -> nn.Module:
    """One block of a stage. `skip_probability`: stochastic depth of this block, where it has a residual branch."""
    match row:
        case DepthwiseSeparable():
            return DepthwiseSeparableBlock(row, in_channels, stride, style)
        case InvertedResidual():
            return InvertedResidualBlock(row, in_channels, stride, style, skip_probability)
        case FusedInvertedResidual():
            return FusedInvertedResidualBlock(row, in_channels, stride, style, skip_probability)
