"""Writing into the cache folder: a lock that names the way out, and room on the disk before large files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from foray.errors import DiskFullError, FolderBusyError, RunError
from foray.records.lock import folder_lock


@contextmanager
def cache_lock(folder: Path, *, wait_seconds: float = 0.0, what: str = "run") -> Iterator[None]:
    """`folder_lock` of a folder in the cache. Where it cannot be written, the RunError says how to name another."""
    with ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(folder, wait_seconds=wait_seconds, what=what))
        except FolderBusyError:
            raise
        except RunError as error:
            raise RunError(
                f"{error} This cache is not writable: name another with `cache_dir` or FORAY_CACHE."
            ) from error
        yield


def require_free_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Raises DiskFullError when the disk that holds `folder` (which need not exist yet) lacks `needed_bytes`."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise DiskFullError(
            f"{what} needs {needed_bytes / 1e6:,.0f} MB but {existing} has {free / 1e6:,.0f} MB free. "
            "Free some space, or set FORAY_CACHE to a folder on another disk."
        )
