"""ResNet 18, 34, 50 and 101 (He et al. 2016, arXiv:1512.03385, Table 1): the baseline. torchvision's networks."""

from __future__ import annotations

from foray.specs.preprocessing import Preprocessing
from foray.specs.spec import ArchSpec, BasicResidual, BottleneckResidual, Conv, Published

_SOURCE = "torchvision IMAGENET1K_V1 (params, top-1); torch.utils.flop_counter on it (MACs)"


def _resnet(
    name: str,
    row: type[BasicResidual] | type[BottleneckResidual],
    num_layers: tuple[int, ...],
    params: int,
    macs: int,
    top1: float,
    paper_macs: int,
) -> ArchSpec:
    """`num_layers`: blocks of conv2_x to conv5_x. `paper_macs`: Table 1, whose bottlenecks stride one layer earlier."""
    channels = (64, 128, 256, 512) if row is BasicResidual else (256, 512, 1024, 2048)
    stages = [
        row(c, n, stride) for c, n, stride in zip(channels, num_layers, (1, 2, 2, 2), strict=True)
    ]  # 56, 28, 14, 7 pixels
    return ArchSpec(
        name=name,
        family="resnet",
        resolution=224,
        stem=Conv(out_channels=64, kernel=7, stride=2),
        stem_pool=True,
        stages=tuple(stages),
        head=None,
        activation="relu",
        initialization="mobilenet",  # He et al. 2015 (arXiv:1502.01852), fan-out, as torchvision
        preprocessing=Preprocessing(interpolation="bilinear"),
        published=Published(params, _SOURCE, macs, top1, paper_macs),
    )


SPECS: tuple[ArchSpec, ...] = (
    _resnet("resnet18", BasicResidual, (2, 2, 2, 2), 11_689_512, 1_814_073_344, 0.69758, 1_800_000_000),
    _resnet("resnet34", BasicResidual, (3, 4, 6, 3), 21_797_672, 3_663_761_408, 0.73314, 3_600_000_000),
    _resnet("resnet50", BottleneckResidual, (3, 4, 6, 3), 25_557_032, 4_089_184_256, 0.76130, 3_800_000_000),
    _resnet("resnet101", BottleneckResidual, (3, 4, 23, 3), 44_549_160, 7_801_405_440, 0.77374, 7_600_000_000),
)
