"""The decode cache: every image is decoded and resized once, into a memory-mapped uint8 file.

    <cache>/decoded/<purpose>-<side>px-<key>/pixels.u8    (N, side, side, 3) uint8, in the order of dataset.samples
                                             index.json   what they are, and a digest of each; neither file counts
                                                          without the other

The key is a SHA-256 over the content hashes of the samples in order, what is done to their pixels, and the versions of
Pillow, of the reader and of this format; labels, splits, mean and deviation are not part of it, so folds and networks
share a store. One process builds a store at a time, a second waits and then uses it. An image is compared with its
digest when it is first read (`verified_pixels`); a store of an earlier version, without digests, is built anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL
from pydantic import Field

from foray.cache_folder import cache_directory
from foray.data.dataset import Dataset, ImageArray, Sample
from foray.data.decoding import StoredForm, decode, decode_into, reserve
from foray.data.images import UnreadableImagesError
from foray.data.storage import cache_lock, require_free_space
from foray.data.verified_pixels import VerifiedPixels
from foray.deploy.predict import READER_VERSION
from foray.errors import DataError, FolderBusyError, RunError
from foray.progress import SILENT, Progress
from foray.records.files import atomic_writer
from foray.records.record import Record
from foray.regular_files import open_regular
from foray.specs.preprocessing import Preprocessing

FORMAT_VERSION = 2
_KEY_VERSION = 1  # of what the key is made of: a store of an earlier format keeps its folder, and is replaced there
_PIXELS = "pixels.u8"
_INDEX = "index.json"
_FOREVER = -1.0


Pixels = npt.NDArray[np.uint8] | VerifiedPixels  # (N, side, side, 3), both indexed alike


@dataclass(frozen=True, eq=False)
class ImageStore:
    """Decoded images in dataset order: `pixels` uint8 (N, side, side, 3), read-only and verified; `labels` (N,).

    `path`: of the file with the pixels.
    """

    pixels: Pixels
    labels: npt.NDArray[np.int64]
    path: Path

    def __len__(self) -> int:
        return len(self.labels)


class StoreIndex(Record):
    """index.json: what lies beside it. `digests`: of the images in order, 8 hexadecimal digits each."""

    format_version: int
    key: str
    shape: tuple[int, int, int, int]
    pillow: str
    digests: str = Field(default="", pattern=r"^[0-9a-f]*$")


def store_bytes(n_images: int, side: int) -> int:
    """Bytes that `n_images` squares of `side` pixels take on disk."""
    return n_images * side * side * 3


def decode_for_evaluation(
    dataset: Dataset,
    preprocessing: Preprocessing,
    *,
    cache_dir: Path | None = None,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> ImageStore:
    """All images as the network sees them in evaluation: (N, R, R, 3), `prepare` of a full decode.

    `cache_dir`: in place of `cache_directory()`; `workers`: threads, by default one per core. Raises
    UnreadableImagesError naming what cannot be read, and DiskFullError; neither leaves a file behind.
    """
    return _store(dataset, "evaluation", StoredForm(preprocessing, draft=False), cache_dir, workers, progress)


def decode_for_training(
    dataset: Dataset,
    preprocessing: Preprocessing,
    *,
    margin: float = 1.0,
    cache_dir: Path | None = None,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> ImageStore:
    """All images with the margin that random crops need: (N, M, M, 3), M = max(resize_side, round(margin x R)).

    By default the store holds the whole short side at the scale that evaluation crops from (224 px of 256 at
    crop_pct 0.875), so the centre crop of a stored image is the evaluation image, but for large JPEGs, which are
    decoded at reduced size here (`read_image`). Of the long side the middle M pixels are kept. Arguments and errors
    as for `decode_for_evaluation`.
    """
    side = training_side(preprocessing, margin)
    square = replace(preprocessing, resolution=side, crop_pct=1.0)
    return _store(dataset, "training", StoredForm(square, draft=True), cache_dir, workers, progress)


def training_side(preprocessing: Preprocessing, margin: float = 1.0) -> int:
    """Side M of the squares `decode_for_training` stores, pixels."""
    return max(preprocessing.resize_side, round(margin * preprocessing.resolution))


def _store(
    dataset: Dataset, purpose: str, target: StoredForm, cache_dir: Path | None, workers: int | None, progress: Progress
) -> ImageStore:
    if not dataset.samples:
        raise DataError(f"{dataset.name} holds no images.")
    key = _key(dataset, target)
    folder = (cache_dir or cache_directory()) / "decoded" / f"{purpose}-{target.side}px-{key[:20]}"
    index = StoreIndex(
        format_version=FORMAT_VERSION,
        key=key,
        shape=(len(dataset.samples), target.side, target.side, 3),
        pillow=PIL.__version__,
    )
    found = _complete(folder, index)
    if found is None:
        with _only_builder(folder, progress):
            # The other process may have finished it.
            found = _complete(folder, index) or _build(folder, index, dataset, target, workers, progress)
    pixels = VerifiedPixels(
        folder / _PIXELS,
        index.shape,
        np.frombuffer(bytes.fromhex(found.digests), dtype=">u4").astype(np.uint32),
        decode_again=lambda position: decode(dataset.samples[position], target),
        discard=lambda: (folder / _INDEX).unlink(missing_ok=True),
        progress=progress,
    )
    return ImageStore(pixels, dataset.labels, folder / _PIXELS)


def _build(
    folder: Path, index: StoreIndex, dataset: Dataset, target: StoredForm, workers: int | None, progress: Progress
) -> StoreIndex:
    """Decodes all images. Returns the index with their digests."""
    if (folder / _PIXELS).exists() or (folder / _INDEX).exists():
        progress.note(f"{folder} is damaged, or of an earlier version of foray: its images are decoded again.")
    for leftover in (folder / _INDEX, folder / _PIXELS, *folder.glob(f".{_PIXELS}.*"), *folder.glob(f".{_INDEX}.*")):
        leftover.unlink(missing_ok=True)  # the lock is ours: these are damaged, or of a process that was killed
    n = len(dataset.samples)
    size_bytes = store_bytes(n, target.side)
    what = f"Caching {n:,} images at {target.side} x {target.side} pixels"
    progress.note(f"{what}: {size_bytes / 1e6:,.1f} MB in {folder}")
    require_free_space(folder, size_bytes, what)
    digests = np.zeros(n, dtype=np.uint32)
    with atomic_writer(folder / _PIXELS) as stream, progress.task("Decoding images", n) as task:
        reserve(stream.fileno(), size_bytes)
        unreadable = decode_into(stream.fileno(), dataset.samples, target, workers=workers, task=task, digests=digests)
        if unreadable:
            raise UnreadableImagesError(unreadable)
        index = index.model_copy(update={"digests": digests.astype(">u4").tobytes().hex()})
        index.save(folder / _INDEX)  # before the pixels take their name, so a failure here leaves neither
    return index


@contextmanager
def _only_builder(folder: Path, progress: Progress) -> Iterator[None]:
    """Holds the folder's lock, waiting for another process as long as it takes."""
    with ExitStack() as stack:
        try:
            stack.enter_context(cache_lock(folder))
        except FolderBusyError:
            progress.note(f"Waiting for {folder}: another process is decoding the same images into it.")
            stack.enter_context(cache_lock(folder, wait_seconds=_FOREVER))
        yield


def _complete(folder: Path, expected: StoreIndex) -> StoreIndex | None:
    """The index of the store in `folder`, if all of it is there and it is the one expected."""
    try:
        found = StoreIndex.load(folder / _INDEX)
        size_bytes = (folder / _PIXELS).stat().st_size
    except (RunError, OSError):
        return None
    n, side = expected.shape[0], expected.shape[1]
    whole = size_bytes == store_bytes(n, side) and len(found.digests) == 8 * n
    return found if whole and found.model_copy(update={"digests": ""}) == expected else None


def _key(dataset: Dataset, target: StoredForm) -> str:
    pixels = {name: value for name, value in asdict(target.preprocessing).items() if name not in ("mean", "std")}
    what = {
        "format": _KEY_VERSION, "reader": READER_VERSION, "pillow": PIL.__version__, "draft": target.draft, **pixels,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
    for sample in dataset.samples:
        digest.update(b"\n" + _content(sample).encode())
    return digest.hexdigest()


def _content(sample: Sample) -> str:
    """The sample's content hash; of a file that cannot be read its path, since decoding it will fail with a reason."""
    if sample.content:
        return sample.content
    if isinstance(sample.image, ImageArray):
        pixels = np.ascontiguousarray(sample.image.pixels)
        return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()
    try:
        with open_regular(sample.image.path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return str(sample.image.path)
