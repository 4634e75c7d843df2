"""What every image looks like at a glance: size, mode, and what finds near-duplicates; seen once, kept by content.

    <cache>/looks/<key>.npz   the looks of one set of images; the key is a SHA-256 of their contents, not of names
    <cache>/pairs/<key>.npz   which of them are near-duplicates

Damaged files are made anew.
"""

from __future__ import annotations

import hashlib
import json
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image

from foray.data.dataset import ImageArray, Sample
from foray.data.images import ImageReadError, decoded, size_and_mode
from foray.data.perceptual_hash import (
    HASH_BITS,
    MAX_HASH_DISTANCE,
    MAX_PAIRS,
    MIN_CORRELATION,
    THUMBNAIL_SIDE,
    Fingerprints,
    all_pairs,
    difference_hash,
    thumbnail,
)
from foray.errors import RunError
from foray.progress import SILENT, Progress
from foray.records import atomic_writer, available_cores

MOST_IMAGES = 250_000  # up to which near-duplicates are looked for: every image is compared with every other
_DRAFT_SIDE = 64  # pixels that must be left of a JPEG's sides when decoding it small: enough for any thumbnail
_FORMAT_VERSION = 1
_USUAL_PIXEL_LIMIT = 1024 * 1024 * 1024 // 4 // 3  # Pillow's own: which images are too large is part of what is kept
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Appearances:
    """Of each content (SHA-256 of the file) one look. `sizes` (N, 2): width and height as stored, pixels; `modes`:
    Pillow's; `reasons`: why it cannot be read, empty where it can.

    Images that cannot be read, or are smaller than the thumbnail, have a flat one: so few pixels make different
    pictures alike, and only their exact copies can be told.
    """

    contents: tuple[str, ...]
    sizes: npt.NDArray[np.int64]
    modes: npt.NDArray[np.str_]
    reasons: npt.NDArray[np.str_]
    fingerprints: Fingerprints

    @cached_property
    def row(self) -> Mapping[str, int]:
        """Where each content stands."""
        return {content: i for i, content in enumerate(self.contents)}

    def fingerprints_of(self, samples: Sequence[Sample]) -> Fingerprints:
        """In the order of `samples`, all of which have been looked at."""
        return self.fingerprints.of(np.array([self.row[sample.content] for sample in samples], dtype=np.int64))


@dataclass(frozen=True, eq=False)
class NearPairs:
    """Images that are nearly the same: positions in `contents` (M,) each, and the correlation of their thumbnails."""

    contents: tuple[str, ...]
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    correlations: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


def appearances_of(samples: Sequence[Sample], *, cache_dir: Path, progress: Progress = SILENT) -> Appearances:
    """One look at each different content among `samples`, all of which have theirs; decoded in parallel."""
    different = {sample.content: sample for sample in samples}
    contents = tuple(sorted(different))
    limit = () if Image.MAX_IMAGE_PIXELS == _USUAL_PIXEL_LIMIT else (Image.MAX_IMAGE_PIXELS or 0,)
    path = cache_dir / "looks" / f"{_key(contents, *limit)}.npz"
    stored = _load(path, {"sizes": (2,), "modes": (), "reasons": (), "thumbnails": _THUMBNAIL, "hashes": _HASH})
    if stored is None or len(stored["sizes"]) != len(contents):
        stored = _seen([different[content] for content in contents], progress)
        _save(path, stored, progress)
    hashes = np.unpackbits(stored["hashes"].astype(np.uint8), axis=1).astype(np.bool_)
    return Appearances(
        contents,
        stored["sizes"].astype(np.int64),
        stored["modes"].astype(np.str_),
        stored["reasons"].astype(np.str_),
        Fingerprints(stored["thumbnails"].astype(np.uint8), hashes),
    )


def near_pairs(appearances: Appearances, *, cache_dir: Path, progress: Progress = SILENT) -> NearPairs:
    """The near-duplicates among all images of `appearances`; none of more than `MOST_IMAGES`."""
    if len(appearances.contents) > MOST_IMAGES:
        progress.note(f"More than {MOST_IMAGES:,} images: only exact duplicates are looked for, not near-duplicates.")
        return NearPairs((), *(np.zeros(0, np.int64),) * 2, np.zeros(0, np.float32))
    path = cache_dir / "pairs" / f"{_key(appearances.contents, MIN_CORRELATION, MAX_HASH_DISTANCE, MAX_PAIRS)}.npz"
    stored = _load(path, {"first": (), "second": (), "correlations": ()})
    if stored is None:
        first, second, correlations = all_pairs(appearances.fingerprints, progress=progress)
        stored = {"first": first.astype(np.int32), "second": second.astype(np.int32), "correlations": correlations}
        _save(path, stored, progress)
    return NearPairs(
        appearances.contents,
        stored["first"].astype(np.int64),
        stored["second"].astype(np.int64),
        stored["correlations"].astype(np.float32),
    )


_THUMBNAIL = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
_HASH = (HASH_BITS // 8,)


@dataclass(frozen=True)
class _Look:
    size: tuple[int, int] = (0, 0)
    mode: str = ""
    reason: str = ""
    thumbnail: npt.NDArray[np.uint8] | None = None
    hash: npt.NDArray[np.bool_] | None = None


def _seen(samples: Sequence[Sample], progress: Progress) -> Arrays:
    n = len(samples)
    sizes, thumbnails = np.zeros((n, 2), np.int32), np.zeros((n, *_THUMBNAIL), np.uint8)
    hashes = np.zeros((n, HASH_BITS), np.bool_)
    modes, reasons = [], []
    pool = ThreadPoolExecutor(available_cores(), thread_name_prefix="foray-look")
    try:
        with progress.task("Looking at images", n) as task, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
            for i, look in enumerate(pool.map(_look, samples)):
                sizes[i] = look.size
                modes.append(look.mode)
                reasons.append(look.reason)
                if look.thumbnail is not None:
                    thumbnails[i], hashes[i] = look.thumbnail, look.hash
                task.advance()
    finally:
        pool.shutdown(cancel_futures=True)
    return {
        "sizes": sizes, "modes": np.array(modes, np.str_), "reasons": np.array(reasons, np.str_),
        "thumbnails": thumbnails, "hashes": np.packbits(hashes, axis=1),
    }  # fmt: skip


def why_unreadable(sample: Sample) -> str:
    """The reason why a sample cannot be read; empty where it can."""
    return _look(sample).reason


def _look(sample: Sample) -> _Look:
    try:
        if isinstance(sample.image, ImageArray):
            image = Image.fromarray(sample.image.pixels)
            size, mode, grey = image.size, image.mode, image.convert("L")
        else:
            with decoded(sample.image.path, draft_side=_DRAFT_SIDE) as image:
                grey = image.convert("L")
            size, mode = size_and_mode(sample.image.path)
    except ImageReadError as error:
        return _Look(reason=error.reason)
    if min(size) < THUMBNAIL_SIDE:
        return _Look(size, mode)
    return _Look(size, mode, "", thumbnail(grey), difference_hash(grey))


def _key(contents: Sequence[str], *about: float) -> str:
    digest = hashlib.sha256(json.dumps([_FORMAT_VERSION, PIL.__version__, *about]).encode())
    for content in contents:
        digest.update(f"\n{content}".encode())
    return digest.hexdigest()[:20]


def _load(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Arrays | None:
    """Arrays of equal length, each row of the shape named; None where the file is absent or damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in shapes}
    except _DAMAGED:
        return None
    lengths = {len(array) if array.ndim else -1 for array in arrays.values()}
    fits = all(array.shape[1:] == shapes[name] for name, array in arrays.items())
    return arrays if fits and len(lengths) == 1 else None


def _save(path: Path, arrays: Arrays, progress: Progress) -> None:
    try:
        with atomic_writer(path) as stream:
            np.savez(stream, allow_pickle=False, **arrays)
    except RunError as error:  # a cache that cannot be written: it is only a memory
        progress.note(f"The thumbnails could not be cached and are computed again next time. {error}")
