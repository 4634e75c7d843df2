"""GhostNet's blocks (Han et al. 2020, arXiv:1911.11907)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foray.models.layers import LayerStyle, StochasticDepth
from foray.specs import GhostBottleneck


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
