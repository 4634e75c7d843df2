"""Near-duplicates across splits: a perceptual hash proposes pairs, the correlation of small thumbnails confirms them.

The hash is the difference hash (dHash): 64 bits, each saying whether a pixel of an 8x9 grey version is darker than its
right neighbour. It survives re-encoding, resizing and changes of brightness, but also joins pictures that are merely
laid out alike; those fail the correlation of 24x24 grey thumbnails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from foray.progress import SILENT, Progress

THUMBNAIL_SIDE = 24
MAX_HASH_DISTANCE = 10  # bits of 64
MIN_CORRELATION = 0.97
_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class NearDuplicate:
    """Positions of two images of different splits; `correlation` of their thumbnails, at most 1."""

    first: int
    second: int
    correlation: float


def thumbnail(grey: Image.Image) -> npt.NDArray[np.uint8]:
    """(24, 24) uint8 of a grey image."""
    return np.asarray(grey.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BILINEAR))


def difference_hash(grey: Image.Image) -> npt.NDArray[np.bool_]:
    """(64,) bool of a grey image."""
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BILINEAR)).astype(np.int16)
    return (small[:, 1:] > small[:, :-1]).ravel()


def near_duplicates(
    thumbnails: npt.NDArray[np.uint8],
    hashes: npt.NDArray[np.bool_],
    splits: npt.NDArray[np.int64],
    *,
    progress: Progress = SILENT,
) -> list[NearDuplicate]:
    """For each image, its most similar one in an earlier split, where that is a near-duplicate.

    `thumbnails` (N, 24, 24), `hashes` (N, 64), `splits` (N,): 0 train, 1 val, 2 test; `first` is of the later split.
    """
    bits = np.where(hashes, np.float32(1), np.float32(-1))  # Hamming distance = (64 - inner product) / 2
    vectors = _standardised(thumbnails)
    found: list[NearDuplicate] = []
    with progress.task("Comparing images across splits", int((splits > 0).sum())) as task:
        for split in (1, 2):
            later, earlier = np.flatnonzero(splits == split), np.flatnonzero(splits < split)
            if not earlier.size:
                continue
            for block in _blocks(later, earlier.size):
                near = bits[block] @ bits[earlier].T >= 64 - 2 * MAX_HASH_DISTANCE
                for row in np.flatnonzero(near.any(axis=1)):
                    candidates = earlier[near[row]]
                    correlations = vectors[candidates] @ vectors[block[row]]
                    best = int(correlations.argmax())
                    if correlations[best] > MIN_CORRELATION:
                        correlation = min(1.0, float(correlations[best]))
                        found.append(NearDuplicate(int(block[row]), int(candidates[best]), correlation))
                task.advance(len(block))
    return found


def _blocks(rows: npt.NDArray[np.int64], columns: int) -> Iterator[npt.NDArray[np.int64]]:
    """`rows` in pieces whose float32 products with `columns` columns fit in `_BLOCK_BYTES`."""
    size = max(1, _BLOCK_BYTES // (4 * columns))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _standardised(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(N, 576) float32 of mean 0 and length 1: inner products are correlations. Flat images become 0: like nothing."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.maximum(lengths, 1.0)
    flat[lengths[:, 0] <= 1.0] = 0.0
    return flat
