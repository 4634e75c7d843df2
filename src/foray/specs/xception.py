"""Xception (Chollet 2017, arXiv:1610.02357, Fig. 5).

torchvision has no Xception: the plain name is timm's `legacy_xception` (symmetric padding), `tf_xception` Keras's.
"""

from __future__ import annotations

from foray.specs.preprocessing import HALF, Preprocessing
from foray.specs.spec import ArchSpec, Conv, PlainConv, Published, SeparableConv, SeparableResidual
from foray.specs.tensorflow import tensorflow_variant

XCEPTION = ArchSpec(
    name="xception",
    family="xception",
    resolution=299,
    stem=Conv(out_channels=32, kernel=3, stride=2, valid=True),
    stages=(
        PlainConv(64, valid=True),  # 147 pixels
        SeparableResidual(128, 1, 2, relu_first=False),  # 74
        SeparableResidual(256, 1, 2),  # 37
        SeparableResidual(728, 1, 2),  # 19
        SeparableResidual(728, 8, 1, num_convs=3),  # 19, middle flow
        SeparableResidual(1024, 1, 2, widen_last=True),  # 10, exit flow
        SeparableConv(1536),  # 10
        SeparableConv(2048),  # 10
    ),
    head=None,
    activation="relu",
    initialization="mobilenet",
    # The paper's resize is not stated; 299 of 333 pixels (crop 0.8975) is what timm and Keras's users evaluate with.
    preprocessing=Preprocessing(299, 0.8975, "bicubic", mean=HALF, std=HALF),
    dropout=0.5,  # section 4.2
    published=Published(
        22_855_952, "timm's legacy_xception (params); torch.utils.flop_counter on it (MACs)", macs=8_357_403_496
    ),
)

TF_XCEPTION = tensorflow_variant(
    XCEPTION,
    bn_decay=0.99,
    preprocessing=XCEPTION.preprocessing,
    published=Published(
        22_855_952, "arXiv:1610.02357 Table 1 (top-1); trainable parameters of keras.applications (params)", top1=0.790
    ),
)

SPECS: tuple[ArchSpec, ...] = (XCEPTION, TF_XCEPTION)
