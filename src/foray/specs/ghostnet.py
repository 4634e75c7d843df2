"""GhostNet (Han et al. 2020, arXiv:1911.11907, Table 1) at widths 0.5, 1.0 and 1.3.

Constants are those of the authors' release (github.com/huawei-noah/Efficient-AI-Backbones, ghostnet_pytorch).
"""

from __future__ import annotations

from dataclasses import replace

from foray.specs.preprocessing import Preprocessing
from foray.specs.scaling import round_channels
from foray.specs.spec import ArchSpec, Conv, GhostBottleneck, Published, SqueezeExcitationStyle

NAME = "ghostnet"

_PLAIN, _SQUEEZED = (False,), (True,)

_BASE = ArchSpec(
    name=NAME,
    family="ghostnet",
    resolution=224,
    stem=Conv(out_channels=16, kernel=3, stride=2),
    stages=(
        #               #exp of each layer  c   s  k  SE                          output, pixels
        GhostBottleneck((16,), 16, 1, 3, _PLAIN),  # 112
        GhostBottleneck((48,), 24, 2, 3, _PLAIN),  # 56
        GhostBottleneck((72,), 24, 1, 3, _PLAIN),  # 56
        GhostBottleneck((72,), 40, 2, 5, _SQUEEZED),  # 28
        GhostBottleneck((120,), 40, 1, 5, _SQUEEZED),  # 28
        GhostBottleneck((240,), 80, 2, 3, _PLAIN),  # 14
        GhostBottleneck((200, 184, 184), 80, 1, 3, (False, False, False)),  # 14
        GhostBottleneck((480, 672), 112, 1, 3, (True, True)),  # 14
        GhostBottleneck((672,), 160, 2, 5, _SQUEEZED),  # 7
        GhostBottleneck((960, 960, 960, 960), 160, 1, 5, (False, True, False, True)),  # 7
    ),
    head=Conv(out_channels=960, kernel=1),
    hidden_features=1280,
    activation="relu",
    squeeze_excitation=SqueezeExcitationStyle(of="hidden", divisor=4, activation="relu", gate="hard_sigmoid"),
    initialization="mobilenet",
    preprocessing=Preprocessing(interpolation="bilinear"),
    dropout=0.2,
)

_PAPER = "arXiv:1911.11907 Table 7 (top-1, MACs rounded); trainable parameters of timm's (params)"
_PUBLISHED = {
    0.5: Published(2_587_292, _PAPER, macs=42_000_000, top1=0.662),
    1.0: Published(5_182_508, _PAPER, macs=141_000_000, top1=0.739),
    1.3: Published(7_358_820, _PAPER, macs=226_000_000, top1=0.757),
}


def ghostnet(name: str, width_mult: float) -> ArchSpec:
    """GhostNet under `name` at any width; the dense layer keeps its 1280 features."""

    def wide(channels: int) -> int:
        return round_channels(channels * width_mult, 4)

    stages = [
        replace(row, exp_sizes=tuple(map(wide, row.exp_sizes)), out_channels=wide(row.out_channels))
        for row in _BASE.stages
        if isinstance(row, GhostBottleneck)
    ]
    return replace(
        _BASE,
        name=name,
        stem=replace(_BASE.stem, out_channels=wide(_BASE.stem.out_channels)),
        stages=tuple(stages),
        head=Conv(out_channels=wide(960), kernel=1),
        width_mult=width_mult,
        published=_PUBLISHED.get(width_mult),
    )


SPECS: tuple[ArchSpec, ...] = (
    ghostnet("ghostnet_x0.5", 0.5),
    ghostnet(NAME, 1.0),
    ghostnet("ghostnet_x1.3", 1.3),
)
