"""MobileNetV1: depthwise separable convolutions (Howard et al. 2017, arXiv:1704.04861, Table 1).

torchvision has no MobileNetV1: the plain name is timm's `mobilenetv1_100` (symmetric padding, PyTorch's batch-norm
constants), `tf_mobilenet_v1` the authors' release (TensorFlow-Slim, SAME padding). Activations are ReLU6 as in that
release; the paper writes ReLU.
"""

from __future__ import annotations

from dataclasses import replace

from foray.specs.preprocessing import HALF, Preprocessing
from foray.specs.scaling import ScalingRule, scale
from foray.specs.spec import ArchSpec, Conv, DepthwiseSeparable, Published
from foray.specs.tensorflow import tensorflow_variant

NAME = "mobilenet_v1"
LISTED_WIDTHS = (1.0, 0.75, 0.5, 0.25)  # Table 6

RULE = ScalingRule()

_BASE = ArchSpec(
    name=NAME,
    family="mobilenet_v1",
    resolution=224,
    stem=Conv(out_channels=32, kernel=3, stride=2),
    stages=(
        #                   c    n  s     output, pixels
        DepthwiseSeparable(64, 1, 1),  # 112
        DepthwiseSeparable(128, 2, 2),  # 56
        DepthwiseSeparable(256, 2, 2),  # 28
        DepthwiseSeparable(512, 6, 2),  # 14
        DepthwiseSeparable(1024, 2, 2),  # 7
    ),
    head=None,
    activation="relu6",
    initialization="mobilenet",
    preprocessing=Preprocessing(interpolation="bicubic", mean=HALF, std=HALF),
    dropout=0.001,  # TensorFlow-Slim and Keras keep 99.9 %
)

_TF_PREPROCESSING = Preprocessing(interpolation="bilinear", mean=HALF, std=HALF)

_TIMM = "timm 1.0.31 mobilenetv1_100 at this width (params); torch.utils.flop_counter on it (MACs)"
_SLIM = "TensorFlow-Slim mobilenet_v1.md (top-1, MACs rounded); trainable parameters of keras.applications (params)"
_PUBLISHED: dict[float, tuple[Published, Published]] = {
    # width: (symmetric, TensorFlow)
    1.0: (
        Published(params=4_231_976, macs=568_740_352, source=_TIMM),
        Published(params=4_231_976, macs=569_000_000, top1=0.709, source=_SLIM),
    ),
    0.75: (
        Published(params=2_585_560, macs=325_400_448, source=_TIMM),
        Published(params=2_585_560, macs=317_000_000, top1=0.684, source=_SLIM),
    ),
    0.5: (
        Published(params=1_331_592, macs=149_497_088, source=_TIMM),
        Published(params=1_331_592, macs=150_000_000, top1=0.633, source=_SLIM),
    ),
    0.25: (
        Published(params=470_072, macs=41_030_272, source=_TIMM),
        Published(params=470_072, macs=41_000_000, top1=0.498, source=_SLIM),
    ),
}


def mobilenet_v1(name: str, width_mult: float) -> ArchSpec:
    """MobileNetV1 under `name` at any width, symmetric padding.

    Channels follow `round_channels`; at the paper's widths (Table 6) this equals its plain product.
    """
    published, _ = _PUBLISHED.get(width_mult, (None, None))
    return replace(scale(_BASE, name, RULE, width_mult=width_mult), published=published)


def tf_mobilenet_v1(name: str, width_mult: float) -> ArchSpec:
    """The TensorFlow variant of `mobilenet_v1(name, width_mult)`; Keras's batch-norm decay is 0.99."""
    _, published = _PUBLISHED.get(width_mult, (None, None))
    return tensorflow_variant(
        mobilenet_v1(name, width_mult), bn_decay=0.99, preprocessing=_TF_PREPROCESSING, published=published
    )
