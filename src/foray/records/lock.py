"""One writer at a time: a lock on a folder, released when its process ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from foray.errors import FolderBusyError, RunError


@contextmanager
def folder_lock(folder: Path, *, wait_seconds: float = 0.0, what: str = "run") -> Iterator[None]:
    """Holds the lock of `folder`, which is created if needed.

    Raises FolderBusyError when another process holds it past the wait, RunError where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"Cannot create the folder {folder}: {error.strerror or error}.") from error
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout as error:
        raise FolderBusyError(
            f"Another {what} is using {folder}. Wait until it ends, or choose another folder."
        ) from error
    except OSError as error:
        raise RunError(f"Cannot write in the folder {folder}: {error.strerror or error}.") from error
    try:
        yield
    finally:
        lock.release()
