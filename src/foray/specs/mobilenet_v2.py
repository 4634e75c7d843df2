"""MobileNetV2: inverted residuals and linear bottlenecks (Sandler et al. 2018, arXiv:1801.04381, Table 2).

The plain name is torchvision's `mobilenet_v2` (symmetric padding, PyTorch's batch-norm constants, evaluation transform
of IMAGENET1K_V1), `tf_mobilenet_v2` the authors' release (TensorFlow-Slim and Keras, SAME padding).
"""

from __future__ import annotations

from dataclasses import replace

from foray.specs.preprocessing import HALF, Preprocessing
from foray.specs.scaling import ScalingRule, scale
from foray.specs.spec import ArchSpec, Conv, InvertedResidual, Published
from foray.specs.tensorflow import tensorflow_variant

NAME = "mobilenet_v2"
LISTED_WIDTHS = (1.4, 1.0, 0.75, 0.5, 0.35, 0.25)

# Section 6.1: "we apply width multiplier to all layers except the very last convolutional layer" below one.
RULE = ScalingRule(head="never_narrower")

_BASE = ArchSpec(
    name=NAME,
    family="mobilenet_v2",
    resolution=224,
    stem=Conv(out_channels=32, kernel=3, stride=2),
    stages=(
        #                t    c   n  s     output, pixels
        InvertedResidual(1, 16, 1, 1),  # 112
        InvertedResidual(6, 24, 2, 2),  # 56
        InvertedResidual(6, 32, 3, 2),  # 28
        InvertedResidual(6, 64, 4, 2),  # 14
        InvertedResidual(6, 96, 3, 1),  # 14
        InvertedResidual(6, 160, 3, 2),  # 7
        InvertedResidual(6, 320, 1, 1),  # 7
    ),
    head=Conv(out_channels=1280, kernel=1),
    activation="relu6",
    initialization="mobilenet",
    preprocessing=Preprocessing(interpolation="bilinear"),
    dropout=0.2,
)

_TF_PREPROCESSING = Preprocessing(interpolation="bilinear", mean=HALF, std=HALF)

_TORCHVISION = "torchvision mobilenet_v2 at this width (params); torch.utils.flop_counter on it (MACs)"
_SLIM = (
    "TensorFlow-Slim nets/mobilenet README (top-1, MACs rounded); trainable parameters of keras.applications (params)"
)
_PUBLISHED: dict[float, tuple[Published, Published]] = {
    # width: (torchvision, TensorFlow)
    1.4: (
        Published(params=6_108_776, macs=582_195_824, source=_TORCHVISION),
        Published(params=6_108_776, macs=582_000_000, top1=0.750, source=_SLIM),
    ),
    1.0: (
        Published(
            params=3_504_872,
            macs=300_774_272,
            top1=0.71878,
            source="torchvision IMAGENET1K_V1 (params, top-1); torch.utils.flop_counter on it (MACs)",
        ),
        Published(params=3_504_872, macs=300_000_000, top1=0.718, source=_SLIM),
    ),
    0.75: (
        Published(params=2_636_424, macs=209_069_792, source=_TORCHVISION),
        Published(params=2_636_424, macs=209_000_000, top1=0.698, source=_SLIM),
    ),
    0.5: (
        Published(params=1_968_680, macs=97_131_840, source=_TORCHVISION),
        Published(params=1_968_680, macs=97_000_000, top1=0.654, source=_SLIM),
    ),
    0.35: (
        Published(params=1_677_128, macs=59_285_808, source=_TORCHVISION),
        Published(params=1_677_128, macs=59_000_000, top1=0.603, source=_SLIM),
    ),
    0.25: (
        Published(params=1_519_112, macs=37_201_312, source=_TORCHVISION),
        # The authors released nothing this narrow; same table, so the same count.
        Published(params=1_519_112, source=_TORCHVISION),
    ),
}


def mobilenet_v2(name: str, width_mult: float) -> ArchSpec:
    """MobileNetV2 under `name` at any width, symmetric padding; the last convolution never below 1280 channels."""
    published, _ = _PUBLISHED.get(width_mult, (None, None))
    return replace(scale(_BASE, name, RULE, width_mult=width_mult), published=published)


def tf_mobilenet_v2(name: str, width_mult: float) -> ArchSpec:
    """The TensorFlow variant of `mobilenet_v2(name, width_mult)`; Keras's batch-norm decay is 0.999."""
    _, published = _PUBLISHED.get(width_mult, (None, None))
    return tensorflow_variant(
        mobilenet_v2(name, width_mult), bn_decay=0.999, preprocessing=_TF_PREPROCESSING, published=published
    )
