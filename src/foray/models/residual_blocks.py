"""ResNet's blocks (He et al. 2016, arXiv:1512.03385, Fig. 5). The rectifier follows the sum."""

from __future__ import annotations

from torch import Tensor, nn

from foray.models.layers import LayerStyle, StochasticDepth, activation_layer
from foray.specs import BasicResidual, BottleneckResidual


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
