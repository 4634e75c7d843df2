"""The networks of keras.applications on its torch backend, with weights of their own: foray reads their files."""

from __future__ import annotations

import importlib.util
import os
import re
import warnings
from itertools import accumulate
from string import ascii_lowercase
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foray.specs import ArchSpec
from tools.peers import NUM_CLASSES

Images = npt.NDArray[np.float32]

# ours -> (Keras's, its options); the options leave out the preprocessing layers where Keras lets them be left out
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "mobilenet_v1_x0.5": ("MobileNet", {"alpha": 0.5}),
    "mobilenet_v2": ("MobileNetV2", {}),
    "mobilenet_v2_x0.35": ("MobileNetV2", {"alpha": 0.35}),
    "mobilenet_v3_small": ("MobileNetV3Small", {"include_preprocessing": False}),
    "mobilenet_v3_large_minimalistic": ("MobileNetV3Large", {"include_preprocessing": False, "minimalistic": True}),
    "mobilenet_v3_small_minimalistic": ("MobileNetV3Small", {"include_preprocessing": False, "minimalistic": True}),
    "efficientnet_b0": ("EfficientNetB0", {}),
    "efficientnet_v2_b0": ("EfficientNetV2B0", {"include_preprocessing": False}),
    "efficientnet_v2_s": ("EfficientNetV2S", {"include_preprocessing": False}),
    "xception": ("Xception", {}),
}


def import_keras() -> ModuleType | None:
    """Keras on torch; None where it or h5py is not installed."""
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("h5py") is None:
        return None
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    return keras


def uniform_pixels(batch: int, side: int) -> Images:
    """Images (N, side, side, 3) in [0, 1], the same at every call."""
    return np.random.default_rng(3).random((batch, side, side, 3), dtype=np.float32)


def keras_peer(keras: ModuleType, name: str, images: Images, num_classes: int = NUM_CLASSES) -> Any:
    """Keras's network, which takes what `keras_input` gives, with the batch-norm statistics of `images`.

    `name`: ours without `tf_`.
    """
    theirs, options = NETWORKS[name]
    keras.utils.set_random_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = getattr(keras.applications, theirs)(
            weights=None, classes=num_classes, classifier_activation=None, input_shape=images.shape[1:], **options
        )
    random = np.random.default_rng(2)
    norms = [layer for layer in peer.layers if type(layer).__name__ == "BatchNormalization"]
    for norm in norms:
        n = norm.gamma.shape[0]
        norm.set_weights([random.uniform(0.5, 1.5, n), random.normal(0, 0.2, n), np.zeros(n), np.ones(n)])
        norm.momentum = 0.0  # one pass in training mode leaves the statistics of its batch
    for layer in peer.layers:
        if type(layer).__name__ == "Dropout":  # stochastic depth too
            layer.rate = 0.0
    with torch.no_grad():
        peer(keras_input(name, images), training=True)
    return peer


def keras_input(name: str, images: Images) -> Images:
    """Images in [0, 1] as Keras's network takes them: dividing by 255 is part of its EfficientNet."""
    return images * np.float32(255.0 if name.startswith("efficientnet_b") else 1.0)


def outputs_in(keras: ModuleType, peer: Any, spec: ArchSpec, images: Images) -> tuple[Tensor, dict[str, Tensor]]:
    """The logits of `peer` on its input `images`, and its feature maps (N, C, H, W) where our stages end."""
    ends = _ends(peer, spec)
    with torch.no_grad():
        logits, *maps = keras.Model(peer.input, [peer.output, *ends.values()])(images, training=False)
    return logits.cpu(), {part: found.cpu().permute(0, 3, 1, 2) for part, found in zip(ends, maps, strict=True)}


def _ends(peer: Any, spec: ArchSpec) -> dict[str, Any]:
    """Our parts, and where they end in Keras's graph; left out are those whose last layer Keras leaves unnamed."""
    if spec.family == "xception":
        sums = ("block3_sepconv1_act", "block4_sepconv1_act", "block5_sepconv1_act", "block13_sepconv1_act")
        rectified = {
            "stem": "block1_conv1_act",
            "stages.0": "block1_conv2_act",
            "stages.6": "block14_sepconv1_act",
            "stages.7": "block14_sepconv2_act",
        }
        before = {f"stages.{i}": name for i, name in enumerate((*sums, "block14_sepconv1"), start=1)}
        outputs = {part: peer.get_layer(name).output for part, name in rectified.items()}
        return outputs | {part: peer.get_layer(name).input for part, name in before.items()}
    last = accumulate(row.num_layers for row in spec.stages)
    blocks = [_block_name(spec, stage, number - 1) for stage, number in enumerate(last)]
    return {f"stages.{i}": _block_end(peer, name) for i, name in enumerate(blocks)}


def _block_name(spec: ArchSpec, stage: int, number: int) -> str:
    """Keras's name of the last block of a stage. `number`: of the block in the network, from 0."""
    match spec.family:
        case "mobilenet_v1":
            return f"conv_pw_{number + 1}"
        case "mobilenet_v2":
            return f"block_{number}" if number else "expanded_conv"
        case "mobilenet_v3":
            return f"expanded_conv_{number}" if number else "expanded_conv"
        case _:  # EfficientNet
            return f"block{stage + 1}{ascii_lowercase[spec.stages[stage].num_layers - 1]}"


def _block_end(peer: Any, block: str) -> Any:
    """The output of the last layer of a block: its sum, or where it has none its last batch norm or activation."""
    endings = re.compile(rf"{block}_(project_bn|project_BN|project_activation|relu|add)")
    return [layer for layer in peer.layers if endings.fullmatch(layer.name)][-1].output
