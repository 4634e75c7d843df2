"""digits: scikit-learn's built-in handwritten digits, the embedded default; no download."""

from __future__ import annotations

import numpy as np

from foray.data.dataset import Dataset, ImageArray, Sample
from foray.data.named.descriptor import Grouping, NamedDataset, Request


def _read(described: NamedDataset, request: Request) -> Dataset:
    """1,797 images of 8x8 pixels; grey levels 0..16 become 0..255, three equal channels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (N, 8, 8)
    rgb = np.repeat(grey[..., None], 3, axis=3)  # (N, 8, 8, 3)
    return Dataset(
        name=described.name,
        source="sklearn.datasets.load_digits",
        classes=tuple(str(digit) for digit in digits.target_names),
        samples=tuple(
            Sample(id=f"{i:04d}", image=ImageArray(pixels), label=int(label))
            for i, (pixels, label) in enumerate(zip(rgb, digits.target, strict=True))
        ),
        split_origin="",
        licence=described.licence,
    )


DIGITS = NamedDataset(
    name="digits",
    title="Handwritten digits, 1,797 images of 8x8 pixels, 10 classes (part of UCI's Optical Recognition set)",
    licence="CC BY 4.0",
    page="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    read=_read,
    groups=Grouping(
        "13 people wrote them, and nothing tells who wrote which",
        "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    ),
)
