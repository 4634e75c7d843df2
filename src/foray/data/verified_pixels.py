"""Decoded images in a file, each held against its digest when it is first read, and decoded again if it is damaged.

The digest is zlib's CRC-32: it misses one damaged image in four thousand million, and takes some hundredths of the time
of decoding one. Nobody is expected to forge a cache, so no more is asked of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from foray.data.decoding import row_digest, write_at
from foray.data.images import ImageReadError
from foray.errors import DataError
from foray.progress import Progress
from foray.records import available_cores

_PIXELS_A_THREAD = 8 << 20  # bytes below which a second thread costs more than it gains

UInt8Images = npt.NDArray[np.uint8]


class VerifiedPixels:
    """uint8 (N, side, side, 3), read like an array: `pixels[3]`, `pixels[10:20]`, `pixels[positions]`.

    `digests`: uint32 (N,); `decode_again`: the image at a position, from its source; `discard`: makes the next use
    of the cache build it anew. Raises DataError on reading an image that is damaged and cannot be had again.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int, int],
        digests: npt.NDArray[np.uint32],
        *,
        decode_again: Callable[[int], UInt8Images],
        discard: Callable[[], None],
        progress: Progress,
    ) -> None:
        self.shape = shape
        self._path, self._digests, self._progress = path, digests, progress
        self._decode_again, self._discard = decode_again, discard
        self._mapped: UInt8Images = np.memmap(path, dtype=np.uint8, mode="r", shape=shape).view(np.ndarray)
        self._is_verified = np.zeros(len(digests), dtype=np.bool_)
        self._has_told = False

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Size on disk and, once read, in the page cache."""
        return self._mapped.nbytes

    def __getitem__(self, key: Any) -> UInt8Images:
        """What an array gives; the first index says which images are read."""
        positions = np.atleast_1d(np.arange(len(self))[key[0] if isinstance(key, tuple) else key])
        if not self._is_verified[positions].all():
            self._verify(positions[~self._is_verified[positions]])
        read: UInt8Images = self._mapped[key]
        return read

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self[:], dtype=dtype, copy=copy)

    def _verify(self, positions: npt.NDArray[np.int64]) -> None:
        for position in positions[self._digests_of(positions) != self._digests[positions]]:
            self._mend(int(position))
        self._is_verified[positions] = True

    def _digests_of(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
        """Of the images as they are in the file; many at once by all cores."""

        def part(some: npt.NDArray[np.int64]) -> list[int]:
            return [row_digest(self._mapped[position]) for position in some]

        threads = min(available_cores(), 1 + len(positions) * self._mapped[0].nbytes // _PIXELS_A_THREAD)
        if threads == 1:
            return np.array(part(positions), dtype=np.uint32)
        with ThreadPoolExecutor(threads, thread_name_prefix="foray-verify") as pool:
            return np.concatenate(
                [np.array(found, dtype=np.uint32) for found in pool.map(part, np.array_split(positions, threads))]
            )

    def _mend(self, position: int) -> None:
        if not self._has_told:
            self._progress.note(f"Images cached in {self._path} are damaged: they are decoded again.")
            self._has_told = True
        try:
            pixels = self._decode_again(position)
        except ImageReadError:
            pixels = np.empty(0, dtype=np.uint8)
        if row_digest(pixels) != self._digests[position]:
            self._discard()
            raise DataError(
                f"The cache {self._path} is damaged, and image {position} of the data is not what was decoded into it. "
                "The cache is discarded: run the same command again."
            )
        try:
            descriptor = os.open(self._path, os.O_WRONLY)
            try:
                write_at(descriptor, pixels, position * pixels.nbytes)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DataError(
                f"The cache {self._path} is damaged and cannot be written ({error.strerror}). Name another folder with "
                "`cache_dir`."
            ) from error
