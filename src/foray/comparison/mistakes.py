"""The test images misclassified with the highest probability, as thumbnails for the report."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from foray.data import Dataset, load_image
from foray.data.dataset import ImageArray, Sample
from foray.records import Mistake, RunFolder, write_bytes
from foray.runs.saved_predictions import read_predictions

_PICTURE_SIDE = 160  # pixels, the longer side


def worst_mistakes(dataset: Dataset, run: RunFolder, comparison: Path, model: str, *, most: int = 12) -> list[Mistake]:
    """Up to `most` wrong test predictions of one run, most confident first; writes their thumbnails into
    `comparison`."""
    predictions = read_predictions(run, "test")
    predicted = predictions.probabilities.argmax(axis=1)
    confidence = predictions.probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != predictions.labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    samples = {sample.id: sample for sample in dataset.samples}
    mistakes = []
    for rank, i in enumerate(worst):
        image_id = str(predictions.image_ids[i])
        picture = f"mistakes/{model}/{rank:02d}.jpg"
        write_bytes(comparison / picture, _thumbnail(samples[image_id]))
        mistakes.append(
            Mistake(
                image_id=image_id,
                label=dataset.classes[predictions.labels[i]],
                predicted=dataset.classes[predicted[i]],
                probability=float(confidence[i]),
                picture=picture,
            )
        )
    return mistakes


def _thumbnail(sample: Sample) -> bytes:
    image = (
        Image.fromarray(sample.image.pixels) if isinstance(sample.image, ImageArray) else load_image(sample.image.path)
    )
    scale = _PICTURE_SIDE / max(image.size)
    # Tiny images (digits are 8 px) are enlarged without smoothing, so that the pixels the network saw stay visible.
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    stream = io.BytesIO()
    image.resize(size, method).save(stream, "JPEG", quality=88)
    return stream.getvalue()
