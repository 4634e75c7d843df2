"""The cache folder, for files that can be recreated: downloads, unpacked archives, decoded images, compiled
libraries.
"""

from __future__ import annotations

import os
from pathlib import Path

from foray.errors import ForayError


def cache_directory() -> Path:
    """`$FORAY_CACHE` if set, else `$XDG_CACHE_HOME/foray`, else `~/.cache/foray`.

    Raises ForayError when the home folder is not known, or `~name` in FORAY_CACHE names no user.
    """
    given, base = os.environ.get("FORAY_CACHE"), os.environ.get("XDG_CACHE_HOME")
    try:
        if given:
            return Path(given).expanduser()
        return (Path(base) if base else Path.home() / ".cache") / "foray"
    except RuntimeError as error:
        raise ForayError(
            f"The folder of the cache is not known ({error}). Set FORAY_CACHE to a folder, or give `cache_dir`."
        ) from error
