"""EfficientNetV2 (Tan & Le 2021, arXiv:2104.00298).

B0 is the small network of the authors' release (`v2_base_block` in automl/efficientnetv2/effnetv2_configs.py) and of
Keras (`DEFAULT_BLOCKS_ARGS["efficientnetv2-b0"]`); the paper's tables begin with S. torchvision has no B0: the plain
name follows its EfficientNetV2 conventions (BN eps 1e-3, momentum 0.1).
"""

from __future__ import annotations

from foray.specs.preprocessing import Preprocessing
from foray.specs.spec import ArchSpec, Conv, FusedInvertedResidual, InvertedResidual, Published
from foray.specs.variants import tensorflow_variant

EFFICIENTNET_V2_B0 = ArchSpec(
    name="efficientnet_v2_b0",
    family="efficientnet_v2",
    resolution=224,
    stem=Conv(out_channels=32, kernel=3, stride=2),
    stages=(
        #                     t    c   n  s                   output, pixels
        FusedInvertedResidual(1, 16, 1, 1),  # 112
        FusedInvertedResidual(4, 32, 2, 2),  # 56
        FusedInvertedResidual(4, 48, 2, 2),  # 28
        InvertedResidual(4, 96, 3, 2, se_ratio=0.25),  # 14
        InvertedResidual(6, 112, 5, 1, se_ratio=0.25),  # 14
        InvertedResidual(6, 192, 8, 2, se_ratio=0.25),  # 7
    ),
    head=Conv(out_channels=1280, kernel=1),
    activation="silu",
    initialization="efficientnet",
    preprocessing=Preprocessing(),
    bn_eps=1e-3,
    dropout=0.2,
    stochastic_depth_prob=0.2,
    published=Published(
        params=7_139_704,
        macs=718_086_176,
        source="trainable parameters of keras.applications (params); torch.utils.flop_counter on timm's (MACs)",
    ),
)

TF_EFFICIENTNET_V2_B0 = tensorflow_variant(
    EFFICIENTNET_V2_B0,
    bn_decay=0.9,
    # Keras's B variants take ImageNet mean and std. timm lists the training side, 192 pixels; Keras and the authors
    # test at 224.
    preprocessing=Preprocessing(),
    published=Published(
        params=7_139_704,
        macs=720_000_000,
        top1=0.787,
        source="github.com/google/automl efficientnetv2 README (top-1, MACs rounded); keras.applications (params)",
    ),
)

SPECS: tuple[ArchSpec, ...] = (EFFICIENTNET_V2_B0, TF_EFFICIENTNET_V2_B0)
