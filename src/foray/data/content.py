"""Content of files: SHA-256, computed once in parallel and cached by path, size and times."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from foray.data.dataset import Dataset, ImageArray, ImageFile
from foray.errors import DataError, RunError
from foray.progress import SILENT, Progress
from foray.records import available_cores, write_text
from foray.records.sealing import sealed, unsealed
from foray.regular_files import open_regular, require_regular

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_Stamp = list[int]  # size in bytes, mtime in ns, ctime in ns: any write to the file changes it


def with_content(dataset: Dataset, *, cache_dir: Path, progress: Progress = SILENT) -> Dataset:
    """The dataset with every sample's `content` set: empty of a file that cannot be read. Decoding it says why."""
    files = [sample.image.path for sample in dataset.samples if isinstance(sample.image, ImageFile)]
    readable = list(filter(_may_be_read, files))
    digests = dict(zip(readable, _digests(readable, cache_dir, progress), strict=True))
    samples = tuple(replace(sample, content=_content(sample.image, digests)) for sample in dataset.samples)
    return replace(dataset, samples=samples)


def _content(image: ImageFile | ImageArray, digests: Mapping[Path, str]) -> str:
    return digests.get(image.path, "") if isinstance(image, ImageFile) else _array_digest(image)


def _may_be_read(path: Path) -> bool:
    try:
        require_regular(path)
    except OSError:
        return False
    return os.access(path, os.R_OK)


def file_digests(files: Sequence[Path], *, cache_dir: Path, progress: Progress = SILENT) -> list[str]:
    """SHA-256 (hex) of each file, in order. A file not changed since the last call is not read again.

    Raises DataError for a file that cannot be read.
    """
    digests = _digests(files, cache_dir, progress)
    for path, digest in zip(files, digests, strict=True):
        if not digest:
            try:
                open_regular(path).close()
            except OSError as error:
                raise DataError(f"Cannot read {path}: {error.strerror}.") from error
            raise DataError(f"Cannot read {path}: reading it fails. Copy it to another disk, or check this one.")
    return digests


def _digests(files: Sequence[Path], cache_dir: Path, progress: Progress) -> list[str]:
    """`file_digests`, empty for what cannot be read."""
    if not files:
        return []
    store = _store(files, cache_dir)
    known = _load(store)
    stamps = [_stamp(path) for path in files]
    fresh = [
        (path, stamp) for path, stamp in zip(files, stamps, strict=True) if known.get(str(path), ("", []))[1] != stamp
    ]
    if fresh:
        pool = ThreadPoolExecutor(available_cores(), thread_name_prefix="foray-content")
        try:
            with progress.task("Reading files", len(fresh)) as task:
                digests = pool.map(_file_digest, [path for path, _ in fresh])
                for (path, stamp), digest in zip(fresh, digests, strict=True):
                    known[str(path)] = (digest, stamp if digest else [])  # what could not be read is tried again
                    task.advance()
        finally:
            pool.shutdown(cancel_futures=True)
        try:
            write_text(store, sealed(json.dumps(known)))
        except RunError as error:  # a cache that cannot be written: it is only a memory
            progress.note(f"The digests could not be cached, and the files are read again next time. {error}")
    return [known[str(path)][0] for path in files]


def _file_digest(path: Path) -> str:
    try:
        with open_regular(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _array_digest(image: ImageArray) -> str:
    return hashlib.sha256(str(image.pixels.shape).encode() + image.pixels.tobytes()).hexdigest()


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:  # gone since it was listed: reading it says so
        return [-1]
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _store(files: Sequence[Path], cache_dir: Path) -> Path:
    """Where the digests of one dataset's files are remembered: named after the folder that holds them all."""
    root = os.path.commonpath([folder.absolute() for folder in {path.parent for path in files}])
    return cache_dir / "content" / f"{hashlib.sha256(root.encode()).hexdigest()[:20]}.json"


def _load(store: Path) -> dict[str, tuple[str, _Stamp]]:
    try:
        entries = json.loads(unsealed(store.read_bytes(), needed=True))
        return {path: (str(digest), list(stamp)) for path, (digest, stamp) in entries.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}  # absent, damaged or without a digest: it is only a memory, and is written anew
