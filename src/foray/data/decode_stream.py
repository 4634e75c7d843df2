"""Encoded images to batches of pixels, decoded by threads while whoever takes the batches computes. Nothing is cached.

Pillow releases the interpreter lock while it decodes and resizes. A batch is one thread's work, so threads do not wait
for each other, and only a few batches are ahead of the one that is taken: memory does not grow with the data set.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import numpy.typing as npt

from foray.data.decoding import decoding_threads
from foray.data.encoded import EncodedImage
from foray.data.images import ImageReadError, decoded
from foray.data.preprocessing import prepare
from foray.specs.preprocessing import Preprocessing

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
    """The `batches` of positions in `images`, in that order. `workers`: threads, by default one a core."""
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
