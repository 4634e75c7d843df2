"""What `foray.evaluation.imagenet` takes, from an experiment: the one experiment without training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from foray.data import Dataset
from foray.data.dataset import ImageFile
from foray.data.encoded import EncodedImage, encoded_files
from foray.data.named.imagenet import ValidationImages
from foray.weights import PretrainedWeights


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
