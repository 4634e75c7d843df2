"""Encoded images into one open file, many at a time. Pillow only, no torch.

Threads, not processes: Pillow releases the interpreter lock while it decodes and resizes, so two threads keep two
cores busy, without start-up, without copies between processes, and with nothing to clean up after Ctrl-C. Every image
is written at its own offset with pwrite: memory holds one image a thread, and a full disk is an error instead of the
SIGBUS that a memory map would die of.
"""

from __future__ import annotations

import errno
import os
import warnings
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from foray.data.dataset import ImageArray, Sample
from foray.data.images import ImageReadError, decoded
from foray.data.network_input import prepare
from foray.errors import DiskFullError
from foray.limits import MOST_WORKERS, require_range
from foray.progress import Task
from foray.records import available_cores
from foray.specs.preprocessing import Preprocessing

_IMAGES_IN_FLIGHT = 256  # per thread, so that a million images do not make a million pending calls


@dataclass(frozen=True)
class StoredForm:
    """What every image becomes: the pixels of `preprocessing`; `draft`: JPEGs may be decoded at reduced size."""

    preprocessing: Preprocessing
    draft: bool

    @property
    def side(self) -> int:
        """Side of the stored square, pixels."""
        return self.preprocessing.resolution

    @property
    def image_bytes(self) -> int:
        """Bytes of one stored image."""
        return self.side * self.side * 3


def decode(sample: Sample, target: StoredForm) -> npt.NDArray[np.uint8]:
    """One sample as uint8 (side, side, 3). Raises ImageReadError."""
    if isinstance(sample.image, ImageArray):
        return prepare(Image.fromarray(sample.image.pixels), target.preprocessing)
    side = target.preprocessing.resize_side
    with decoded(sample.image.path, draft_side=side if target.draft else None, resize_side=side) as image:
        return prepare(image, target.preprocessing)


def decode_into(
    descriptor: int,
    samples: Sequence[Sample],
    target: StoredForm,
    *,
    workers: int | None,
    task: Task,
    digests: npt.NDArray[np.uint32] | None = None,
) -> dict[str, str]:
    """Writes sample i at byte i * image_bytes of the open file. Returns why samples are unreadable, by id.

    `workers`: threads, by default one per core. `digests`: (N,), filled with those of the images (`row_digest`). Raises
    DiskFullError, or the OSError of the write.
    """

    def store(position: int) -> str | None:
        try:
            pixels = decode(samples[position], target)
        except ImageReadError as error:
            return error.reason
        write_at(descriptor, pixels, position * target.image_bytes)
        if digests is not None:
            digests[position] = row_digest(pixels)
        return None

    reasons: dict[str, str] = {}
    workers = decoding_threads(workers)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="foray-decode")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
            for start in range(0, len(samples), workers * _IMAGES_IN_FLIGHT):
                positions = range(start, min(start + workers * _IMAGES_IN_FLIGHT, len(samples)))
                for position, reason in zip(positions, pool.map(store, positions), strict=True):
                    if reason is not None:
                        reasons[samples[position].id] = reason
                    task.advance()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return reasons


def row_digest(pixels: npt.NDArray[np.uint8]) -> int:
    """CRC-32 of one image as it is stored."""
    return zlib.crc32(pixels.data)


def reserve(descriptor: int, size_bytes: int) -> None:
    """Allocates the blocks of an open file now, so that a full disk is found at once. Raises DiskFullError."""
    if size_bytes == 0 or not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            return  # the file system cannot reserve; the writes will tell
        raise _room_error(error) from error


def decoding_threads(workers: int | None) -> int:
    """`workers`, by default one a core. Raises ForayError for a number that no machine has."""
    if workers is None:
        return available_cores()
    require_range("`workers`", workers, 1, MOST_WORKERS)
    return workers


def write_at(descriptor: int, pixels: npt.NDArray[np.uint8], offset: int) -> None:
    """Writes one image at byte `offset` of the open file. Raises DiskFullError, or the OSError of the write."""
    rest = pixels.data.cast("B")
    try:
        while rest:
            written = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[written:], offset + written
    except OSError as error:
        raise _room_error(error) from error


def _room_error(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            "The disk is full while caching decoded images. Free some space, or set FORAY_CACHE to a folder on "
            "another disk, and run the same command again."
        )
    if error.errno == errno.EFBIG:
        return DiskFullError(
            "The cache of decoded images exceeds the largest file size here (ulimit -f, or the file system's limit). "
            "Raise the limit, or set FORAY_CACHE to a folder on another disk."
        )
    return error
