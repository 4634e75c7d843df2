"""The one builder: a table in, a network out. Weights are a matter of their own and never change the graph."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from foray.errors import require_known
from foray.models.blocks import (
    DepthwiseSeparableBlock,
    FusedInvertedResidualBlock,
    GhostBottleneckBlock,
    InvertedResidualBlock,
    SeparableConvBlock,
    SeparableResidualBlock,
    basic_block,
    bottleneck_block,
)
from foray.models.initialization import initialize
from foray.models.layers import Dense, LayerStyle, max_pool
from foray.specs import (
    ArchSpec,
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

SmallImage = Literal["none", "stride1_stem", "upsampled"]


class Network(nn.Module):
    """A classifier built from `spec`.

    `num_features`: length of the pooled feature vector; `num_classes`: of the logits; `small_image`: what was done for
    small images ("stride1_stem": the stem keeps the resolution; "upsampled" leaves the graph as it is). `skipped`:
    while it is not 0, stem and so many blocks are not run, and the input is what they would give
    (foray.training.frozen_start). The children are `stem`, `pool`, `stages` (one nn.Sequential a row of the spec),
    `head`, `hidden`, `dropout`, `classifier`, run in that order, with the mean over all pixels between `head` and
    `hidden`.
    """

    def __init__(
        self,
        spec: ArchSpec,
        num_classes: int,
        *,
        dropout: float,
        stochastic_depth_prob: float,
        small_image: SmallImage,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.num_features = spec.num_features
        self.num_classes = num_classes
        self.small_image: SmallImage = small_image
        self.skipped = 0
        style = LayerStyle(spec.activation, spec.padding, spec.bn_eps, spec.bn_momentum, spec.squeeze_excitation)
        channels = spec.stem.out_channels
        stem_stride = 1 if small_image == "stride1_stem" else spec.stem.stride
        self.stem = style.conv(3, channels, spec.stem.kernel, stride=stem_stride, valid=spec.stem.valid)
        self.pool = max_pool(spec.padding) if spec.stem_pool else nn.Identity()
        self.stages = nn.Sequential()
        num_blocks, built = sum(row.num_layers for row in spec.stages), 0
        for row in spec.stages:
            stage = nn.Sequential()
            for layer in range(row.num_layers):
                stage.append(build_block(row, layer, channels, style, stochastic_depth_prob * built / num_blocks))
                channels, built = row.out_channels, built + 1
            self.stages.append(stage)
        self.head = style.conv(channels, spec.head.out_channels, spec.head.kernel) if spec.head else nn.Identity()
        self.hidden: nn.Module = nn.Identity()
        if spec.hidden_features:
            in_features = spec.head.out_channels if spec.head else channels
            self.hidden = Dense(in_features, spec.hidden_features, spec.activation)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.num_features, num_classes)

    @property
    def blocks(self) -> list[nn.Module]:
        """Those of all stages, in the order they run."""
        return [block for stage in self.stages.children() for block in stage.children()]

    def forward_features(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W), or maps in their place (`skipped`), to pooled features (N, num_features)."""
        if self.skipped:
            for block in self.blocks[self.skipped :]:
                x = block(x)
            maps: Tensor = self.head(x)
        else:
            maps = self.head(self.stages(self.pool(self.stem(x))))
        features: Tensor = self.hidden(maps.mean((2, 3)))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) to logits (N, num_classes)."""
        logits: Tensor = self.classifier(self.dropout(self.forward_features(x)))
        return logits


def build_model(
    spec: ArchSpec,
    *,
    num_classes: int = 1000,
    dropout: float | None = None,
    stochastic_depth_prob: float | None = None,
    small_image: SmallImage = "none",
    seed: int | None = None,
    large_classifier: bool = False,
) -> Network:
    """The network of `spec` with fresh weights, drawn by its family's rule (foray.models.initialization).

    `dropout` (before the classifier) and `stochastic_depth_prob`: None takes the spec's. `small_image="stride1_stem"`
    keeps the stem from halving the image. `seed`: the same seed gives the same weights on every device and leaves
    torch's global generator alone; None draws from that generator. `large_classifier` is for runs of earlier versions.
    The network is made on torch's default device; under `torch.device("meta")` it has shapes and no memory.

    Raises ValueError for fewer than one class or a probability outside [0, 1), UnknownNameError for `small_image`.
    """
    require_known("handling of small images", small_image, get_args(SmallImage))
    if num_classes < 1:
        raise ValueError(f"A network needs at least one class, not {num_classes}")
    device = torch.get_default_device()
    with torch.device("meta"):  # no memory is touched before the one draw of `initialize`
        network = Network(
            spec,
            num_classes,
            dropout=spec.dropout if dropout is None else dropout,
            stochastic_depth_prob=spec.stochastic_depth_prob
            if stochastic_depth_prob is None
            else stochastic_depth_prob,
            small_image=small_image,
        )
    if device.type == "meta":
        return network
    network.to_empty(device="cpu")
    with torch.device("cpu"):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        initialize(network, spec.initialization, generator, large_classifier=large_classifier)
    return network.to(device)


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
