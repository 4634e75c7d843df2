"""Encoded images where they lie, and batches of pixels decoded from them by threads. Nothing is cached.

Images are files, or members of an uncompressed tar, which need not be unpacked to be read. Pillow releases the
interpreter lock while it decodes and resizes. A batch is one thread's work, so threads do not wait for each other, and
only a few batches are ahead of the one that is taken: memory does not grow with the data set.
"""

from __future__ import annotations

import tarfile
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from foray.data.archive import DAMAGE
from foray.data.class_folders import is_image
from foray.data.decoding import decoding_threads
from foray.data.images import ImageReadError, decoded
from foray.data.network_input import prepare
from foray.deploy.predict import is_visible
from foray.errors import DataError
from foray.regular_files import open_regular
from foray.specs.preprocessing import Preprocessing


@dataclass(frozen=True)
class EncodedImage:
    """`size_bytes` of `path` from byte `offset` on. `name`: path within the folder or archive; `changed_ns`: mtime."""

    name: PurePosixPath
    path: Path
    offset: int
    size_bytes: int
    changed_ns: int

    def read(self) -> bytes:
        """The encoded bytes. Raises OSError."""
        with open_regular(self.path) as stream:
            stream.seek(self.offset)
            return stream.read(self.size_bytes)

    @property
    def identity(self) -> tuple[str, int, int]:
        """What changes when the image does, without reading it; the same wherever the file is moved to."""
        return self.name.name, self.size_bytes, self.changed_ns


def encoded_files(root: Path, paths: Iterable[Path]) -> list[EncodedImage]:
    """Files below `root`. Raises OSError for one that is gone."""
    found = []
    for path in paths:
        status = path.stat()
        name = PurePosixPath(path.relative_to(root).as_posix())
        found.append(EncodedImage(name, path, 0, status.st_size, status.st_mtime_ns))
    return found


def images_in_tar(archive: Path) -> list[EncodedImage]:
    """The images of an uncompressed tar, found by its headers alone. Raises DataError when it is damaged or cut."""
    size_bytes = archive.stat().st_size
    found = []
    try:
        with open_regular(archive) as raw, tarfile.open(fileobj=raw, mode="r:") as packed:
            for member in packed:
                name = PurePosixPath(member.name.removeprefix("./"))
                if not member.isreg() or not is_image(Path(name)) or not all(map(is_visible, name.parts)):
                    continue
                if member.offset_data + member.size > size_bytes:
                    raise tarfile.ReadError(f"it ends within {name}")
                found.append(EncodedImage(name, archive, member.offset_data, member.size, int(member.mtime) * 10**9))
            # A whole archive ends with blocks of zeros; iterating ends silently within a header that is cut as well.
            raw.seek(packed.offset)
            if raw.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("no end-of-archive block")
    except DAMAGE as error:
        raise DataError(f"{archive} is damaged or cut short ({error}). Copy or download it again.") from error
    return found


_BATCHES_AHEAD = 2  # of those being decoded


@dataclass(frozen=True)
class DecodedBatch:
    """`pixels`: uint8 (N, R, R, 3) of `positions`; black where `reasons` says, by position, why there are none."""

    positions: range
    pixels: npt.NDArray[np.uint8]
    reasons: dict[int, str] = field(default_factory=dict)


def decoded_batches(
    images: Sequence[EncodedImage], batches: Iterable[range], preprocessing: Preprocessing, *, workers: int | None
) -> Iterator[DecodedBatch]:
    """The `batches` of positions in `images`, in that order. `workers`: threads, by default one per core."""
    workers = decoding_threads(workers)
    todo = iter(batches)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="foray-decode")

    def begin(positions: range) -> Future[DecodedBatch]:
        return pool.submit(_decode, images, positions, preprocessing)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
            ahead = deque(map(begin, islice(todo, workers + _BATCHES_AHEAD)))
            while ahead:
                batch = ahead.popleft().result()
                ahead.extend(map(begin, islice(todo, 1)))
                yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _decode(images: Sequence[EncodedImage], positions: range, preprocessing: Preprocessing) -> DecodedBatch:
    side = preprocessing.resolution
    batch = DecodedBatch(positions, np.zeros((len(positions), side, side, 3), dtype=np.uint8))
    for row, position in enumerate(positions):
        try:
            with decoded(images[position].read(), resize_side=preprocessing.resize_side) as image:
                batch.pixels[row] = prepare(image, preprocessing)
        except ImageReadError as error:
            batch.reasons[position] = error.reason
        except OSError as error:
            batch.reasons[position] = error.strerror or str(error)
    return batch
