"""Costs of a scaled network by closed formulas over its table: a thousand candidates per second, without torch.

The same figures as foray.costs computes from the executed graph; tests compare the two. Formulas exist for
the three kinds of rows that scaled families are made of.
"""

from __future__ import annotations

from dataclasses import dataclass

from foray.records import CostProfile
from foray.specs import (
    ArchSpec,
    DepthwiseSeparable,
    FusedInvertedResidual,
    InvertedResidual,
    ScalableStage,
    same_padding,
    squeezed_channels,
)

_FLOAT_BYTES = 4
_COUNTER_BYTES = 8  # of each batch norm's number of batches, int64
_IMAGE_CHANNELS = 3


@dataclass(frozen=True)
class _Maps:
    """Feature maps of one image: `channels` x `side` x `side` numbers."""

    channels: int
    side: int

    @property
    def numbers(self) -> int:
        return self.channels * self.side**2


class _Walk:
    """Accumulates costs layer by layer.

    `held`: values that stay alive during the current layer, because a caller still refers to them. `peak`: the largest
    number alive at once. For each layer are alive: its input (unless held), a padded copy of it where padding is
    asymmetric, its output; then that output and its batch norm's. Activations work in place.
    """

    def __init__(self, spec: ArchSpec) -> None:
        self.spec = spec
        self.params = self.macs = self.norms = self.norm_channels = self.held = self.peak = 0

    def conv(self, x: _Maps, out_channels: int, kernel: int, stride: int = 1, *, groups: int = 1, held: bool) -> _Maps:
        """A convolution with its batch norm and activation; `held`: whether its input is counted in `held`."""
        out = _Maps(out_channels, -(-x.side // stride))
        weights = x.channels // groups * out_channels * kernel**2
        self.params += weights + 2 * out_channels
        self.macs += weights * out.side**2
        self.norms += 1
        self.norm_channels += out_channels
        own_input = 0 if held else x.numbers
        self._alive(own_input + max(self._padded(x, kernel, stride) + out.numbers, 2 * out.numbers))
        return out

    def squeeze_excitation(self, x: _Maps, in_channels: int, ratio: float) -> None:
        """On `x`, in a block of `in_channels`."""
        squeezed = squeezed_channels(self.spec.squeeze_excitation, in_channels, x.channels, ratio)
        self.params += 2 * x.channels * squeezed + squeezed + x.channels
        self.macs += 2 * x.channels * squeezed
        self._alive(2 * x.numbers + 2 * x.channels)  # input and product, the gate before and after its sigmoid

    def dense(self, in_features: int, out_features: int) -> None:
        self.params += in_features * out_features + out_features
        self.macs += in_features * out_features
        self._alive(in_features + out_features)

    def _alive(self, numbers: int) -> None:
        self.peak = max(self.peak, self.held + numbers)

    def _padded(self, x: _Maps, kernel: int, stride: int) -> int:
        if self.spec.padding == "symmetric" or stride == 1:
            return 0
        before, after = same_padding(x.side, kernel, stride)
        return 0 if before == after else x.channels * (x.side + before + after) ** 2

    def block(self, row: ScalableStage, x: _Maps, stride: int) -> _Maps:
        """One block, whose input is held."""
        match row:
            case DepthwiseSeparable():
                out = self.conv(x, x.channels, row.kernel, stride, groups=x.channels, held=True)
                return self.conv(out, row.out_channels, 1, held=False)
            case FusedInvertedResidual():
                fused = row.expand_ratio != 1
                hidden = x.channels * row.expand_ratio if fused else row.out_channels
                out = self.conv(x, hidden, row.kernel, stride, held=True)
                return self.conv(out, row.out_channels, 1, held=False) if fused else out
            case InvertedResidual():
                expands = row.expand_ratio != 1
                wide = self.conv(x, x.channels * row.expand_ratio, 1, held=True) if expands else x
                out = self.conv(wide, wide.channels, row.kernel, stride, groups=wide.channels, held=not expands)
                if row.se_ratio:
                    self.squeeze_excitation(out, x.channels, row.se_ratio)
                return self.conv(out, row.out_channels, 1, held=False)


def scaled_cost(spec: ArchSpec, num_classes: int = 1000) -> CostProfile:
    """Parameters, MACs and peak memory (as foray.costs has them) of `spec` at its own resolution, one image.

    Raises TypeError for a table with other rows than scaled families have.
    """
    walk = _Walk(spec)
    image = _Maps(_IMAGE_CHANNELS, spec.resolution)
    walk.held = image.numbers
    stem = walk.conv(image, spec.stem.out_channels, spec.stem.kernel, spec.stem.stride, held=True)
    x = stem
    for row in spec.stages:
        if not isinstance(row, ScalableStage):
            raise TypeError(f"no formula for {type(row).__name__} in {spec.name}")
        entering = x
        for layer in range(row.num_layers):
            # Python keeps the arguments of all enclosing calls alive: the stem's output, the stage's input.
            walk.held = image.numbers + sum(maps.numbers for maps in {id(m): m for m in (stem, entering, x)}.values())
            x = walk.block(row, x, row.stride if layer == 0 else 1)
    walk.held = image.numbers
    if spec.head:
        x = walk.conv(x, spec.head.out_channels, spec.head.kernel, held=False)
    walk.dense(x.channels, num_classes)
    weights = _FLOAT_BYTES * (walk.params + 2 * walk.norm_channels) + _COUNTER_BYTES * walk.norms
    return CostProfile(
        model=spec.name,
        resolution=spec.resolution,
        params=walk.params,
        macs=walk.macs,
        peak_memory_bytes=weights + _FLOAT_BYTES * walk.peak,
    )
