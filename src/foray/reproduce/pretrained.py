"""Pretrained weights and images as an experiment evaluates them, and random weights in the place of pretrained ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save

from foray.data import Dataset
from foray.data.dataset import ImageFile
from foray.data.encoded_images import EncodedImage, encoded_files
from foray.data.named.imagenet import ValidationImages
from foray.models import build_model
from foray.records import write_bytes, write_text
from foray.specs import get_spec
from foray.weights import PretrainedWeights
from foray.weights.key_map import timm_keys
from foray.weights.timm_layout import CONFIG_FILE, WEIGHTS_FILE


def at_resolution(found: PretrainedWeights, resolution: int | None) -> PretrainedWeights:
    """`found`, scored at `resolution` pixels; None: as they are."""
    if resolution is None:
        return found
    return replace(found, preprocessing=replace(found.preprocessing, resolution=resolution))


def test_images(dataset: Dataset, folder: Path) -> ValidationImages:
    """The test split as files; arrays (digits, in place of ImageNet at mini) are written to `folder`."""
    chosen = [dataset.samples[i] for i in dataset.indices("test")]
    images: list[EncodedImage] = []
    for i, sample in enumerate(chosen):
        if isinstance(sample.image, ImageFile):
            path = sample.image.path
        else:
            path = folder / f"{i:05d}.png"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sample.image.pixels).save(path)
        images += encoded_files(path.parent, [path])
    labels = np.array([sample.label for sample in chosen], dtype=np.int64)
    return ValidationImages(tuple(images), labels, dataset.classes, missing=0, notes=dataset.notes)


_CLASSES = 1000
_TIMM_NAMES = {"mobilenet_v2": "mobilenetv2_100", "efficientnet_v2_b0": "efficientnetv2_b0"}


def write_random_weights(folder: Path, model: str) -> Path:
    """A folder in timm's layout with `model` as seed 0 initialises it, for 1000 classes; written once."""
    target = folder / f"{model}.random"
    if not (target / CONFIG_FILE).is_file():
        network = build_model(get_spec(model), num_classes=_CLASSES, seed=0)
        names = timm_keys(network.spec)
        tensors = {names[key]: tensor.contiguous() for key, tensor in network.state_dict().items()}
        config = {
            "architecture": _TIMM_NAMES.get(model, model),
            "num_classes": _CLASSES,
            "model_args": {"bn_eps": network.spec.bn_eps},
            "pretrained_cfg": {"notes": "random weights: not trained"},
        }
        write_bytes(target / WEIGHTS_FILE, save(tensors))
        write_text(
            target / CONFIG_FILE, json.dumps(config, indent=1)
        )  # last: its presence marks the weights as complete
    return target
