"""Atomic files: written under a temporary name in the same folder, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from foray.errors import DiskFullError, RunError

_UNFINISHED = ".unfinished"


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file beside `path` for writing and renames it on success; on any error nothing is left.

    Raises DiskFullError when the disk is full and RunError when the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_UNFINISHED, dir=path.parent)
    except OSError as error:
        raise _explained(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _explained(path, error) from error
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content` to `path` atomically."""
    with atomic_writer(path) as stream:
        stream.write(content)


def write_text(path: Path, content: str) -> None:
    """Writes `content` to `path` as UTF-8, atomically."""
    write_bytes(path, content.encode("utf-8"))


def require_writable(folder: Path) -> None:
    """Raises RunError if `folder`, which need not exist yet, cannot be written: called before hours of work.

    Reasons: a name that is too long, a file of that name, no permission.
    """
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        if folder.parent != folder:
            require_writable(folder.parent)
        return
    except OSError as error:
        raise RunError(f"Cannot write in the folder {folder}: {error.strerror or error}.") from error
    if not is_folder:
        raise RunError(f"Cannot write in {folder}: it is a file, not a folder.")
    if not os.access(folder, os.W_OK):
        raise RunError(f"Cannot write in the folder {folder}: it is read-only. Choose another with `out`.")


def remove_unfinished_files(folder: Path) -> None:
    """Removes the temporary files that killed processes left below `folder`. The caller holds the folder's lock."""
    for path in folder.rglob(f".*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def _explained(path: Path, error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"The disk is full while writing {path}. Free some space and run the same command again.")
    return RunError(f"Cannot write {path}: {error.strerror or error}.")
