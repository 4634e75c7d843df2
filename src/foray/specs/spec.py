"""The vocabulary architectures are written in: frozen rows, one a stage, held against the paper's table.

A spec is data: it imports nothing but the standard library and is never changed; scaling and variants make new specs.
All channel counts in a spec are final (already scaled and rounded).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from foray.specs.preprocessing import Preprocessing

Activation = Literal["relu", "relu6", "silu", "hard_swish"]
Padding = Literal["symmetric", "same"]
Initialization = Literal["efficientnet", "mobilenet"]


@dataclass(frozen=True)
class Conv:
    """Convolution, batch norm, activation."""

    out_channels: int
    kernel: int
    stride: int = 1


@dataclass(frozen=True)
class DepthwiseSeparable:
    """MobileNetV1 block: depthwise k x k, BN, activation; pointwise 1 x 1, BN, activation (arXiv:1704.04861, Table 1).

    No skip connection. Blocks whose pointwise convolution is linear (the first stages of MobileNetV2 and EfficientNet)
    are `InvertedResidual` with ratio 1.
    """

    out_channels: int
    num_layers: int
    stride: int
    kernel: int = 3


@dataclass(frozen=True)
class InvertedResidual:
    """MobileNetV2 / MBConv stage: 1 x 1 expansion, k x k depthwise, squeeze-excitation, linear 1 x 1 projection.

    `stride` belongs to the first of the `num_layers` blocks. `se_ratio` is relative to the block's input channels
    (EfficientNet's convention); 0 means no squeeze-excitation. No expansion layer when `expand_ratio` is 1.
    """

    expand_ratio: int
    out_channels: int
    num_layers: int
    stride: int
    kernel: int = 3
    se_ratio: float = 0.0


@dataclass(frozen=True)
class FusedInvertedResidual:
    """Fused-MBConv stage of EfficientNetV2: k x k expansion convolution, linear 1 x 1 projection (arXiv:2104.00298).

    With `expand_ratio` 1 the block is a single k x k convolution with BN and activation.
    """

    expand_ratio: int
    out_channels: int
    num_layers: int
    stride: int
    kernel: int = 3


Stage = DepthwiseSeparable | InvertedResidual | FusedInvertedResidual


@dataclass(frozen=True)
class Published:
    """Numbers others printed, with where they stand. `params` and `macs` are for 1000 classes at native resolution.

    `params` is exact (trainable ones). `macs` is as exact as its source: papers print two or three figures.
    """

    params: int
    source: str
    macs: int | None = None
    top1: float | None = None  # in [0, 1]


@dataclass(frozen=True)
class ArchSpec:
    """One network, as a table.

    `head`: the last convolution before pooling (None: pooling follows the last stage, as in MobileNetV1).
    `bn_momentum` in PyTorch's convention (1 - the framework's decay). `dropout`: before the classifier.
    `stochastic_depth_prob` p: block b of N (from 0) is skipped with probability p * b / N (`drop_connect_rate` of the
    EfficientNet authors). `initialization`: whose rule for fresh weights, see foray.models.initialization.
    """

    name: str
    family: str
    resolution: int
    stem: Conv
    stages: tuple[Stage, ...]
    head: Conv | None
    activation: Activation
    initialization: Initialization
    preprocessing: Preprocessing
    padding: Padding = "symmetric"
    bn_eps: float = 1e-5
    bn_momentum: float = 0.1
    dropout: float = 0.0
    stochastic_depth_prob: float = 0.0
    width_mult: float = 1.0
    depth_mult: float = 1.0
    published: Published | None = None

    @property
    def num_features(self) -> int:
        """Channels after global pooling, the classifier's input width."""
        return self.head.out_channels if self.head else self.stages[-1].out_channels
