"""Xception's blocks (Chollet 2017, arXiv:1610.02357, Fig. 5)."""

from __future__ import annotations

from torch import Tensor, nn

from foray.models.layers import LayerStyle, StochasticDepth, activation_layer, conv2d, max_pool
from foray.specs import SeparableConv, SeparableResidual


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
