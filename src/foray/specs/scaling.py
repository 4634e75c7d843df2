"""How a published table becomes a wider, narrower or deeper network.

The channel rule is that of the MobileNet and EfficientNet authors (`make_divisible` in TensorFlow models'
slim/nets/mobilenet/conv_blocks.py, `round_filters` in tpu/models/official/efficientnet/efficientnet_model.py).
"""

from __future__ import annotations

import math
from dataclasses import replace

from foray.specs.spec import ArchSpec, Conv, ScalableStage, Stage


def round_channels(channels: float, divisor: int = 8, *, at_least: float = 0.9) -> int:
    """The multiple of `divisor` nearest to `channels` (halves round up), but never below `at_least` of it.

    At least `divisor`. Worked example: MobileNetV2 at width 0.35 has a stem of 32 * 0.35 = 11.2 channels; the nearest
    multiple of 8 is 8, which is 71 % of 11.2, so one step is added: 16. At width 0.75, 24 * 0.75 = 18 becomes 16 (89 %,
    below 90 %) and hence 24. EfficientNetV2 has no such floor (`at_least` 0): at width 1.2 its 16 channels stay 16.

    Raises ValueError when `channels` or `divisor` is not positive.
    """
    if channels <= 0 or divisor < 1:
        raise ValueError(f"channels and divisor must be positive, not {channels} and {divisor}")
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= at_least * channels else rounded + divisor


def round_repeats(num_layers: int, depth_mult: float) -> int:
    """Layers of a stage after depth scaling: always rounded up (`round_repeats` in efficientnet_model.py).

    Worked example: EfficientNet-B1 has depth_mult 1.1, so a stage of 2 layers becomes ceil(2.2) = 3.
    """
    return math.ceil(num_layers * depth_mult)


def scale(
    base: ArchSpec,
    name: str,
    *,
    width_mult: float = 1.0,
    depth_mult: float = 1.0,
    shrink_head: bool = True,
    at_least: float = 0.9,
) -> ArchSpec:
    """`base` with every channel count times `width_mult` and every stage's layers times `depth_mult`, under `name`.

    `shrink_head=False` keeps the last convolution from getting narrower than in `base` (MobileNetV2, arXiv:1801.04381,
    section 6.1: "we apply width multiplier to all layers except the very last convolutional layer" for multipliers
    below one). `at_least`: see `round_channels`. Published numbers belong to the base alone and are dropped.
    """

    def widened(conv: Conv, mult: float) -> Conv:
        return replace(conv, out_channels=round_channels(conv.out_channels * mult, at_least=at_least))

    def scaled(stage: Stage) -> Stage:
        if not isinstance(stage, ScalableStage):
            raise TypeError(
                f"{base.name} has stages of {type(stage).__name__}, whose layers are not scaled by one number"
            )
        channels = round_channels(stage.out_channels * width_mult, at_least=at_least)
        return replace(stage, out_channels=channels, num_layers=round_repeats(stage.num_layers, depth_mult))

    head_mult = width_mult if shrink_head else max(1.0, width_mult)
    return replace(
        base,
        name=name,
        stem=widened(base.stem, width_mult),
        stages=tuple(scaled(stage) for stage in base.stages),
        head=widened(base.head, head_mult) if base.head else None,
        width_mult=width_mult,
        depth_mult=depth_mult,
        published=None,
    )
