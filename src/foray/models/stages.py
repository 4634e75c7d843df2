"""From the row of a spec to the blocks of its stage."""

from __future__ import annotations

from torch import nn

from foray.models.blocks import DepthwiseSeparableBlock, FusedInvertedResidualBlock, InvertedResidualBlock
from foray.models.ghost_blocks import GhostBottleneckBlock
from foray.models.layers import LayerStyle
from foray.models.residual_blocks import basic_block, bottleneck_block
from foray.models.separable_blocks import SeparableConvBlock, SeparableResidualBlock
from foray.specs import (
    BasicResidual,
    Bneck,
    BottleneckResidual,
    DepthwiseSeparable,
    FusedInvertedResidual,
    GhostBottleneck,
    InvertedResidual,
    PlainConv,
    SeparableConv,
    SeparableResidual,
    Stage,
)


def build_block(row: Stage, layer: int, in_channels: int, style: LayerStyle, skip_probability: float) -> nn.Module:
    """Block `layer` of a stage. `skip_probability`: stochastic depth of this block, where it has a residual branch."""
    stride = row.stride if layer == 0 else 1
    match row:
        case DepthwiseSeparable():
            return DepthwiseSeparableBlock(row, in_channels, stride, style)
        case InvertedResidual():
            return InvertedResidualBlock.of_row(row, in_channels, stride, style, skip_probability)
        case FusedInvertedResidual():
            return FusedInvertedResidualBlock(row, in_channels, stride, style, skip_probability)
        case Bneck():
            return InvertedResidualBlock.of_bneck(row, layer, in_channels, stride, style, skip_probability)
        case GhostBottleneck():
            return GhostBottleneckBlock(row, layer, in_channels, stride, style, skip_probability)
        case BasicResidual():
            return basic_block(row, in_channels, stride, style, skip_probability)
        case BottleneckResidual():
            return bottleneck_block(row, in_channels, stride, style, skip_probability)
        case SeparableResidual():
            return SeparableResidualBlock(row, in_channels, stride, style, skip_probability)
        case SeparableConv():
            return SeparableConvBlock.of_row(row, in_channels, style)
        case PlainConv():
            return style.conv(in_channels, row.out_channels, row.kernel, stride=stride, valid=row.valid)
