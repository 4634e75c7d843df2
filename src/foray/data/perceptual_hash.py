"""Near-duplicates: a perceptual hash proposes pairs, the correlation of small thumbnails confirms them.

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
HASH_BITS = 64
MAX_HASH_DISTANCE = 10  # bits of 64
MIN_CORRELATION = 0.97
MAX_PAIRS = 4_000_000  # of frames that are all alike there are as many pairs as squares of frames: the closest are kept
_BLOCK_BYTES = 64 << 20
_DENSE = 0.02  # share of pairs with like hashes from which on one matrix product is cheaper than picking them out

Positions = npt.NDArray[np.int64]
Correlations = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """What images look like: `thumbnails` uint8 (N, 24, 24), flat ones like nothing; `hashes` bool (N, 64)."""

    thumbnails: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.thumbnails)

    def of(self, positions: Positions) -> Fingerprints:
        """Those at `positions`."""
        return Fingerprints(self.thumbnails[positions], self.hashes[positions])


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
    splits: Positions,
    *,
    progress: Progress = SILENT,
) -> list[NearDuplicate]:
    """For each image, its most similar one in an earlier split, where that is a near-duplicate.

    `thumbnails` (N, 24, 24), `hashes` (N, 64), `splits` (N,): 0 train, 1 val, 2 test; `first` is of the later split.
    """
    known = Fingerprints(thumbnails, hashes)
    found: list[NearDuplicate] = []
    with progress.task("Comparing images across splits", int((splits > 0).sum())) as task:
        for split in (1, 2):
            later, earlier = np.flatnonzero(splits == split), np.flatnonzero(splits < split)
            best = nearest(known.of(later), known.of(earlier))
            found += [
                NearDuplicate(int(later[row]), int(earlier[column]), correlation)
                for row, (column, correlation) in sorted(best.items())
            ]
            task.advance(len(later))
    return found


def nearest(images: Fingerprints, others: Fingerprints) -> dict[int, tuple[int, float]]:
    """By position in `images`, for those that have one: the most similar near-duplicate in `others`, and how similar.

    Of equals the first. The correlation is at most 1.
    """
    best: dict[int, tuple[int, float]] = {}
    for rows, columns, correlations in _matches(images, others):
        order = np.lexsort((columns, -correlations, rows))
        first = order[np.unique(rows[order], return_index=True)[1]]
        for row, column, correlation in zip(rows[first], columns[first], correlations[first], strict=True):
            best[int(row)] = (int(column), min(1.0, float(correlation)))
    return best


def all_pairs(images: Fingerprints, *, progress: Progress = SILENT) -> tuple[Positions, Positions, Correlations]:
    """Every pair of near-duplicates: positions first < second, and the correlation, (M,) each.

    Of more than `MAX_PAIRS` only the closest are kept.
    """
    found: list[tuple[Positions, Positions, Correlations]] = []
    held = 0
    with progress.task("Comparing images", len(images)) as task:
        for rows, columns, correlations in _matches(images, images, upper=True):
            found.append((rows, columns, correlations))
            held += len(rows)
            if held > 2 * MAX_PAIRS:
                found = [_closest(found)]
                held = len(found[0][0])
        task.advance(len(images))
    return _closest(found)


def _closest(
    found: list[tuple[Positions, Positions, Correlations]],
) -> tuple[Positions, Positions, Correlations]:
    if not found:
        none = np.zeros(0, np.int64)
        return none, none, np.zeros(0, np.float32)
    first, second, correlations = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if len(first) > MAX_PAIRS:
        kept = np.sort(np.argsort(-correlations, kind="stable")[:MAX_PAIRS])
        first, second, correlations = first[kept], second[kept], correlations[kept]
    return first, second, correlations


def _matches(
    images: Fingerprints, others: Fingerprints, *, upper: bool = False
) -> Iterator[tuple[Positions, Positions, Correlations]]:
    """Near-duplicates between `images` (rows) and `others` (columns), a block of rows at a time.

    `upper`: both are the same images; each pair comes once, the smaller position as the row.
    """
    if not len(images) or not len(others):
        return
    row_bits, column_bits = _signs(images.hashes), _signs(others.hashes)
    row_vectors, column_vectors = _standardised(images.thumbnails), _standardised(others.thumbnails)
    for block in _blocks(len(images), len(others)):
        start = block.start if upper else 0
        near = row_bits[block] @ column_bits[start:].T >= HASH_BITS - 2 * MAX_HASH_DISTANCE
        if upper:
            near &= np.arange(start, len(others))[None] > np.arange(block.start, block.stop)[:, None]
        if near.mean() > _DENSE:
            correlations = row_vectors[block] @ column_vectors[start:].T
            rows, columns = np.nonzero(near & (correlations > MIN_CORRELATION))
            if len(rows):
                yield rows + block.start, columns + start, correlations[rows, columns]
            continue
        for row in np.flatnonzero(near.any(axis=1)):
            candidates = np.flatnonzero(near[row]) + start
            alike = column_vectors[candidates] @ row_vectors[block.start + row]
            close = alike > MIN_CORRELATION
            if close.any():
                yield np.full(int(close.sum()), block.start + row), candidates[close], alike[close]


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    """The rows in pieces whose float32 products with `columns` columns fit in `_BLOCK_BYTES`."""
    size = max(1, _BLOCK_BYTES // (4 * columns))
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def _signs(hashes: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """(N, 64) float32 of 1 and -1: the Hamming distance is (64 - inner product) / 2."""
    return np.where(hashes, np.float32(1), np.float32(-1))


def _standardised(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(N, 576) float32 of mean 0 and length 1: inner products are correlations. Flat images become 0: like nothing."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.maximum(lengths, 1.0)
    flat[lengths[:, 0] <= 1.0] = 0.0
    return flat
