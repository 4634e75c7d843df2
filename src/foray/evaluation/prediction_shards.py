"""Predictions of many images on disk, in shards, so that what was computed before an interruption is kept.

A shard is named after what its images are (names, sizes, times): one that was kept is one that still holds, and an
image that was replaced is predicted again with its neighbours, not with everybody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.data.encoded_images import EncodedImage
from foray.evaluation.arrays import DamagedArraysError, read_arrays
from foray.records import atomic_writer

SHARD_IMAGES = 1024  # a multiple of every batch size, so that going on makes the batches that one run makes
TOP = 5


@dataclass(frozen=True, eq=False)
class TopPredictions:
    """`classes`: int16 (N, 5), the most probable first; `probabilities`: float32 (N, 5); `reasons`: (N,), "" if read.

    The rows of unreadable images are zero.
    """

    classes: npt.NDArray[np.int16]
    probabilities: npt.NDArray[np.float32]
    reasons: npt.NDArray[np.str_]

    @classmethod
    def joined(cls, parts: Sequence[TopPredictions]) -> TopPredictions:
        """All rows, one part after the other."""
        return cls(
            np.concatenate([part.classes for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate([part.reasons for part in parts]),
        )


def top_predictions(logits: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Classes (N, 5) and their probabilities of logits (N, C); of equal logits the smaller index comes first."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return order.astype(np.int16), np.take_along_axis(probabilities, order, axis=1)


def shards_of(n: int) -> list[range]:
    """Positions of every shard of `n` images."""
    return [range(start, min(start + SHARD_IMAGES, n)) for start in range(0, n, SHARD_IMAGES)]


def shard_path(folder: Path, shard: range, images: Sequence[EncodedImage]) -> Path:
    """Where the predictions of `shard` are or will be."""
    identities = json.dumps([images[i].identity for i in shard])
    return folder / f"{shard.start:06d}-{hashlib.sha256(identities.encode()).hexdigest()[:16]}.npz"


def write_shard(path: Path, predictions: TopPredictions) -> None:
    """Writes a whole shard, atomically. Raises DiskFullError and RunError."""
    with atomic_writer(path) as stream:
        np.savez(
            stream,
            classes=predictions.classes,
            probabilities=predictions.probabilities,
            reasons=predictions.reasons,
        )


def read_shard(path: Path, n: int) -> TopPredictions | None:
    """The predictions of `n` images; None where the file is absent or damaged: then they are computed again.

    Each array of a .npz file has a CRC-32, which is checked on reading.
    """
    try:
        arrays = read_arrays(path.read_bytes(), ("classes", "probabilities", "reasons"))
    except (OSError, DamagedArraysError):
        return None
    found = TopPredictions(**arrays)
    whole = found.classes.shape == found.probabilities.shape == (n, TOP) and found.reasons.shape == (n,)
    kinds = "".join(array.dtype.char for array in arrays.values())
    return found if whole and kinds == "hfU" else None
