"""Small pictures on disk for tests, each different from all others unless the same number is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw(path: Path, number: int, side: int = 8) -> Path:
    """An image of random pixels, which are a function of `number` alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def draw_classes(root: Path, counts: dict[str, int], first: int = 0) -> Path:
    """`counts` images in each class folder below `root`; keys may be `split/class`."""
    number = first
    for folder, count in counts.items():
        for i in range(count):
            draw(root / folder / f"{i:03d}.png", number)
            number += 1
    return root
