"""Temporary folders; those left by killed processes are removed at the next start."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

_LOCK, _FILES = ".lock", "files"
_YOUNG_SECONDS = 60.0  # a folder this young may belong to a process that has not locked it yet


@contextlib.contextmanager
def scratch_folder(purpose: str, parent: Path | None = None) -> Iterator[Path]:
    """An empty folder below `purpose`-XXXXXXXX in `parent` (None: the system's temporary folder), removed at the end.

    A lock beside it is held as long as this process lives. Folders of the same purpose whose lock is
    free, because their process was killed, are removed first. Raises OSError where the folder cannot be created.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent
    place.mkdir(parents=True, exist_ok=True)
    for left in place.glob(f"{purpose}-*"):
        _remove_if_abandoned(left)
    folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=place))
    lock = FileLock(folder / _LOCK)
    try:
        with lock:
            (folder / _FILES).mkdir()
            yield folder / _FILES
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_abandoned(folder: Path) -> None:
    """Removes a scratch folder that no process holds; other folders, and those of other users, are left."""
    with contextlib.suppress(OSError, Timeout, NotImplementedError):
        if not (folder / _LOCK).is_file() or folder.is_symlink():
            return
        if time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:
            return
        with FileLock(folder / _LOCK, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
