"""Where foray keeps what it downloads, unpacks and decodes."""

from __future__ import annotations

import shutil
from pathlib import Path

from foray.cache_folder import cache_directory as cache_directory
from foray.errors import DiskFullError


def require_free_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Raises DiskFullError when the disk that holds `folder` (which need not exist yet) lacks `needed_bytes`."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise DiskFullError(
            f"{what} needs {needed_bytes / 1e6:,.0f} MB but {existing} has {free / 1e6:,.0f} MB free. "
            "Free some room, or set FORAY_CACHE to a folder on another disk."
        )
