"""How a published table becomes a wider, narrower or deeper network.

The channel rule is that of the MobileNet and EfficientNet authors (`make_divisible` in TensorFlow models'
slim/nets/mobilenet/conv_blocks.py, `round_filters` in tpu/models/official/efficientnet/efficientnet_model.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from foray.specs.spec import ArchSpec, Conv, ScalableStage, SqueezeExcitationStyle, Stage


@dataclass(frozen=True)
class ScalingRule:
    """What the authors of a family leave alone when they scale it.

    `at_least`: see `round_channels`. `head`: the last convolution is "scaled" like all others, "never_narrower" than
    the base's, or "fixed". `fixed_ends`: the stem keeps its channels and the first and last stages their layers.
    """

    at_least: float = 0.9
    head: Literal["scaled", "never_narrower", "fixed"] = "scaled"
    fixed_ends: bool = False


def round_channels(channels: float, divisor: int = 8, *, at_least: float = 0.9) -> int:
    """The multiple of the divisor nearest to a channel count, but never below a share of it.

    MobileNetV2 at width 0.35 has a stem of 32 * 0.35 = 11.2 channels; the nearest multiple of 8 is 8, which is 71 % of
    11.2, so one step is added. EfficientNetV2 has no such floor: at width 1.2 its 16 channels stay 16.

    Args:
        channels: the count wanted, not yet whole.
        divisor: of the result, which is at least this; halves round up.
        at_least: share of `channels` that the result must keep; 0: no floor.

    Returns:
        Channels.

    Raises:
        ValueError: when `channels` or `divisor` is not positive.

    >>> round_channels(32 * 0.35), round_channels(24 * 0.75), round_channels(16 * 1.2, at_least=0.0)
    (16, 24, 16)
    """
    if channels <= 0 or divisor < 1:
        raise ValueError(f"channels and divisor must be positive, not {channels} and {divisor}")
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= at_least * channels else rounded + divisor


def squeezed_channels(style: SqueezeExcitationStyle, in_channels: int, hidden: int, ratio: float) -> int:
    """Inner width of a squeeze-excitation, for a block of `in_channels` whose gated layer has `hidden` channels."""
    share = ratio * (in_channels if style.of == "input" else hidden)
    return round_channels(share, style.divisor) if style.divisor > 1 else max(1, int(share))


def round_repeats(num_layers: int, depth_mult: float) -> int:
    """Layers of a stage after depth scaling: always rounded up (`round_repeats` in efficientnet_model.py).

    EfficientNet-B1 has depth_mult 1.1, so a stage of 2 layers becomes ceil(2.2) = 3.

    >>> round_repeats(2, 1.1)
    3
    """
    return math.ceil(num_layers * depth_mult)


def scale(
    base: ArchSpec, name: str, rule: ScalingRule, *, width_mult: float = 1.0, depth_mult: float = 1.0
) -> ArchSpec:
    """A network with scaled channel counts and layers.

    Args:
        base: the network that is scaled; its published numbers are dropped.
        name: of the result.
        rule: what the authors of the family leave alone.
        width_mult: factor on every channel count.
        depth_mult: factor on the layers of every stage.

    Raises:
        TypeError: for a table whose rows are not scaled by one number (see `ScalableStage`).

    >>> from foray.specs.registry import get_spec
    >>> wider = scale(get_spec("efficientnet_b0"), "wider", ScalingRule(), width_mult=1.1)
    >>> wider.num_features
    1408
    """

    def widened(conv: Conv, mult: float) -> Conv:
        return replace(conv, out_channels=round_channels(conv.out_channels * mult, at_least=rule.at_least))

    def scaled(stage: Stage, depth: float) -> Stage:
        if not isinstance(stage, ScalableStage):
            raise TypeError(
                f"{base.name} has stages of {type(stage).__name__}, whose layers are not scaled by one number"
            )
        channels = round_channels(stage.out_channels * width_mult, at_least=rule.at_least)
        return replace(stage, out_channels=channels, num_layers=round_repeats(stage.num_layers, depth))

    depths = [depth_mult] * len(base.stages)
    if rule.fixed_ends:
        depths[0] = depths[-1] = 1.0
    head_mult = {"scaled": width_mult, "never_narrower": max(1.0, width_mult), "fixed": 1.0}[rule.head]
    return replace(
        base,
        name=name,
        stem=base.stem if rule.fixed_ends else widened(base.stem, width_mult),
        stages=tuple(scaled(stage, depth) for stage, depth in zip(base.stages, depths, strict=True)),
        head=widened(base.head, head_mult) if base.head else None,
        width_mult=width_mult,
        depth_mult=depth_mult,
        published=None,
    )
