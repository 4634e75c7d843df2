"""The vocabulary architectures are written in: frozen rows, one a stage, held against the paper's table.

A spec is data: it imports nothing but the standard library and is never changed; scaling and variants make new specs.
All channel counts in a spec are final (already scaled and rounded).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from foray.specs.preprocessing import Preprocessing

Activation = Literal["relu", "relu6", "silu", "hard_swish"]
Padding = Literal["symmetric", "same"]
Initialization = Literal["efficientnet", "mobilenet"]


@dataclass(frozen=True)
class Conv:
    """Convolution, batch norm, activation. `valid`: no padding at all (Xception's stem)."""

    out_channels: int
    kernel: int
    stride: int = 1
    valid: bool = False


@dataclass(frozen=True)
class SqueezeExcitationStyle:
    """How all squeeze-excitation of one network is done (Hu et al. 2018, arXiv:1709.01507).

    The squeezed width is a share of the channels `of` the block's input or its hidden layer, rounded to a multiple of
    `divisor`. `activation` None: the network's.
    """

    of: Literal["input", "hidden"] = "input"
    divisor: int = 1
    activation: Activation | None = None
    gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid"


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


@dataclass(frozen=True)
class Bneck:
    """MobileNetV3 stage of inverted residuals (arXiv:1905.02244, Tables 1 and 2: `bneck`), one layer an `exp_sizes`.

    `squeeze`: squeeze-excitation at a quarter of the expansion. No expansion layer where it would not expand.
    """

    exp_sizes: tuple[int, ...]
    out_channels: int
    stride: int
    kernel: int
    squeeze: bool
    activation: Activation

    @property
    def num_layers(self) -> int:
        """Blocks in the stage."""
        return len(self.exp_sizes)


@dataclass(frozen=True)
class GhostBottleneck:
    """GhostNet stage (arXiv:1911.11907, Fig. 3 and Table 1), one layer an `exp_sizes`; `squeeze`: SE, by layer."""

    exp_sizes: tuple[int, ...]
    out_channels: int
    stride: int
    kernel: int
    squeeze: tuple[bool, ...]

    @property
    def num_layers(self) -> int:
        """Blocks in the stage."""
        return len(self.exp_sizes)


@dataclass(frozen=True)
class BasicResidual:
    """ResNet stage of two 3 x 3 convolutions a block (arXiv:1512.03385, Fig. 5 left)."""

    out_channels: int
    num_layers: int
    stride: int


@dataclass(frozen=True)
class BottleneckResidual:
    """ResNet stage of 1 x 1, 3 x 3, 1 x 1 convolutions a block, the inner two a quarter as wide (Fig. 5 right).

    The stride is in the 3 x 3 convolution ("ResNet v1.5", as torchvision has it), not in the first 1 x 1.
    """

    out_channels: int
    num_layers: int
    stride: int


@dataclass(frozen=True)
class SeparableResidual:
    """Xception block (arXiv:1610.02357, Fig. 5): `num_convs` separable convolutions, max pooling where it strides.

    `widen_last`: the last convolution changes the number of channels, not the first. `relu_first`: a ReLU before the
    first convolution (every block but the first of the network).
    """

    out_channels: int
    num_layers: int
    stride: int
    num_convs: int = 2
    widen_last: bool = False
    relu_first: bool = True


@dataclass(frozen=True)
class SeparableConv:
    """Depthwise 3 x 3 and pointwise convolution with nothing between, batch norm, activation (arXiv:1610.02357)."""

    out_channels: int
    num_layers: int = 1
    stride: int = 1


@dataclass(frozen=True)
class PlainConv:
    """Convolutions, each with batch norm and activation, as a stage (Xception's second layer)."""

    out_channels: int
    num_layers: int = 1
    stride: int = 1
    kernel: int = 3
    valid: bool = False


ScalableStage = DepthwiseSeparable | InvertedResidual | FusedInvertedResidual
Stage = (
    ScalableStage
    | Bneck
    | GhostBottleneck
    | BasicResidual
    | BottleneckResidual
    | SeparableResidual
    | SeparableConv
    | PlainConv
)


@dataclass(frozen=True)
class Published:
    """Numbers others printed, with where they stand. `params` and `macs` are for 1000 classes at native resolution.

    `params` is exact (trainable ones). `macs` is as exact as its source: papers print two or three figures.
    `paper_macs`: the paper's figure, where `macs` is counted on a peer and no TensorFlow variant states it.
    """

    params: int
    source: str
    macs: int | None = None
    top1: float | None = None  # in [0, 1]
    paper_macs: int | None = None

    @property
    def macs_are_counted(self) -> bool:
        """Whether `macs` was counted on a named peer, operation by operation, and is exact."""
        return self.macs is not None and "flop_counter" in self.source


@dataclass(frozen=True)
class ArchSpec:
    """One network, as a table.

    `stem_pool`: 3 x 3 max pooling of stride 2 after the stem. `head`: the last convolution before pooling (None:
    pooling follows the last stage, as in MobileNetV1). `hidden_features`: width of a dense layer with activation
    between pooling and classifier (MobileNetV3, GhostNet).
    `bn_momentum` in PyTorch's convention (1 - the framework's decay). `dropout`: before the classifier.
    `stochastic_depth_prob` p: block b of N (from 0) is skipped with probability p * b / N (`drop_connect_rate` of the
    EfficientNet authors). `initialization`: whose rule for fresh weights, see foray.models.initialization.
    `fixed_resolution`: the resolution is part of the name (`efficientnet@d1.2,w1.1,r240`) and not the user's to change.
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
    stem_pool: bool = False
    hidden_features: int | None = None
    squeeze_excitation: SqueezeExcitationStyle = SqueezeExcitationStyle()
    padding: Padding = "symmetric"
    bn_eps: float = 1e-5
    bn_momentum: float = 0.1
    dropout: float = 0.0
    stochastic_depth_prob: float = 0.0
    width_mult: float = 1.0
    depth_mult: float = 1.0
    fixed_resolution: bool = False
    published: Published | None = None

    @property
    def num_features(self) -> int:
        """The classifier's input width."""
        if self.hidden_features:
            return self.hidden_features
        return self.head.out_channels if self.head else self.stages[-1].out_channels

    @property
    def stride(self) -> int:
        """Pixels of the image a side for each position of the last feature map; smaller images leave nothing to see."""
        return self.stem.stride * (2 if self.stem_pool else 1) * math.prod(row.stride for row in self.stages)
