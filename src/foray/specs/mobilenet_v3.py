"""MobileNetV3 (Howard et al. 2019, arXiv:1905.02244): Large (Table 1), Small (Table 2), and their minimalistic kin.

The plain names are torchvision's networks, the `tf_` names the authors' and Keras's. Minimalistic (TensorFlow models,
slim/nets/mobilenet README; Keras `minimalistic=True`): no squeeze-excitation, no hard-swish, no 5 x 5 kernels.
"""

from __future__ import annotations

from dataclasses import replace

from foray.specs.preprocessing import HALF, Preprocessing
from foray.specs.spec import ArchSpec, Bneck, Conv, Published, SqueezeExcitationStyle
from foray.specs.tensorflow import tensorflow_variant

_LARGE = ArchSpec(
    name="mobilenet_v3_large",
    family="mobilenet_v3",
    resolution=224,
    stem=Conv(out_channels=16, kernel=3, stride=2),
    stages=(
        #     exp size of each layer   c   s  k  SE     NL                     output, pixels
        Bneck((16,), 16, 1, 3, squeeze=False, activation="relu"),  # 112
        Bneck((64, 72), 24, 2, 3, squeeze=False, activation="relu"),  # 56
        Bneck((72, 120, 120), 40, 2, 5, squeeze=True, activation="relu"),  # 28
        Bneck((240, 200, 184, 184), 80, 2, 3, squeeze=False, activation="hard_swish"),  # 14
        Bneck((480, 672), 112, 1, 3, squeeze=True, activation="hard_swish"),  # 14
        Bneck((672, 960, 960), 160, 2, 5, squeeze=True, activation="hard_swish"),  # 7
    ),
    head=Conv(out_channels=960, kernel=1),
    hidden_features=1280,
    activation="hard_swish",
    # Section 5.3: a quarter of the expansion, hard sigmoid.
    squeeze_excitation=SqueezeExcitationStyle(of="hidden", divisor=8, activation="relu", gate="hard_sigmoid"),
    initialization="mobilenet",
    preprocessing=Preprocessing(interpolation="bilinear"),
    bn_eps=1e-3,
    bn_momentum=0.01,
    dropout=0.2,
    published=Published(
        5_483_032,
        "torchvision IMAGENET1K_V1 (params, top-1); torch.utils.flop_counter on it (MACs)",
        216_589_760,
        0.74042,
    ),
)

_SMALL = replace(
    _LARGE,
    name="mobilenet_v3_small",
    stages=(
        Bneck((16,), 16, 2, 3, squeeze=True, activation="relu"),  # 56
        Bneck((72, 88), 24, 2, 3, squeeze=False, activation="relu"),  # 28
        Bneck((96, 240, 240), 40, 2, 5, squeeze=True, activation="hard_swish"),  # 14
        Bneck((120, 144), 48, 1, 5, squeeze=True, activation="hard_swish"),  # 14
        Bneck((288, 576, 576), 96, 2, 5, squeeze=True, activation="hard_swish"),  # 7
    ),
    head=Conv(out_channels=576, kernel=1),
    hidden_features=1024,
    published=Published(
        2_542_856,
        "torchvision IMAGENET1K_V1 (params, top-1); torch.utils.flop_counter on it (MACs)",
        56_510_400,
        0.67668,
    ),
)


def _minimalistic(spec: ArchSpec, published: Published) -> ArchSpec:
    plain = tuple(
        replace(stage, kernel=3, squeeze=False, activation="relu") for stage in spec.stages if isinstance(stage, Bneck)
    )
    return replace(spec, name=f"{spec.name}_minimalistic", stages=plain, activation="relu", published=published)


_KERAS = "trainable parameters of keras.applications minimalistic=True (params)"
_TIMM = "trainable parameters of timm's (params); torch.utils.flop_counter on it (MACs)"
_PLAIN = (
    _LARGE,
    _SMALL,
    _minimalistic(_LARGE, Published(3_924_288, _TIMM, macs=209_136_704)),
    _minimalistic(_SMALL, Published(2_044_736, _TIMM, macs=52_288_448)),
)

# Top-1 and MACs: arXiv:1905.02244 Table 3; minimalistic: TensorFlow models, slim/nets/mobilenet README.
_PAPER = "arXiv:1905.02244 Table 3 (top-1, MACs rounded); trainable parameters of keras.applications (params)"
_README = f"TensorFlow-Slim nets/mobilenet README (top-1, MACs rounded); {_KERAS}"
_RELEASED = {
    "mobilenet_v3_large": (_PAPER, 219_000_000, 0.752),
    "mobilenet_v3_small": (_PAPER, 56_000_000, 0.674),
    "mobilenet_v3_large_minimalistic": (_README, 209_000_000, 0.723),
    "mobilenet_v3_small_minimalistic": (_README, 65_000_000, 0.619),
}


def _tensorflow(plain: ArchSpec) -> ArchSpec:
    source, macs, top1 = _RELEASED[plain.name]
    params = plain.published.params if plain.published else 0
    preprocessing = Preprocessing(interpolation="bilinear", mean=HALF, std=HALF)
    return tensorflow_variant(
        plain, bn_decay=0.999, preprocessing=preprocessing, published=Published(params, source, macs, top1)
    )


SPECS: tuple[ArchSpec, ...] = tuple(spec for plain in _PLAIN for spec in (plain, _tensorflow(plain)))
