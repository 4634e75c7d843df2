"""Files that the user names are opened here: regular files only.

A named pipe, a socket or a device may wait for ever, or never end: opening one would hang the command. Standard
library only. `foray.deploy.predict`, which has to work without foray, has the same check of its own.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "it is a named pipe (FIFO), not a regular file",
    stat.S_IFSOCK: "it is a socket, not a regular file",
    stat.S_IFCHR: "it is a device, not a regular file",
    stat.S_IFBLK: "it is a device, not a regular file",
}


def require_regular(path: str | Path) -> None:
    """For paths that are passed to a library that opens them itself.

    Raises OSError, whose `strerror` says what is there instead, or that nothing is there.
    """
    _require(Path(path).stat().st_mode, path)


def is_there(path: str | Path) -> bool:
    """Whether anything is at `path`; nothing is called by a name that is too long. Raises OSError as `Path.exists`."""
    try:
        return Path(path).exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise


def open_regular(path: str | Path) -> BufferedReader:
    """The file at `path`, open for reading bytes. Raises OSError as `require_regular` does, and never waits."""
    require_regular(path)  # some devices act when they are opened
    stream = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 (the caller closes it)
    try:
        _require(os.fstat(stream.fileno()).st_mode, path)
    except BaseException:
        stream.close()
        raise
    return stream


def read_regular(path: str | Path) -> bytes:
    """The bytes of the file at `path`. Raises OSError as `require_regular` does."""
    with open_regular(path) as stream:
        return stream.read()


def read_regular_text(path: str | Path) -> str:
    """The text of the file at `path`, in UTF-8 with or without a byte-order mark.

    Raises OSError as `require_regular` does, and UnicodeDecodeError.
    """
    return read_regular(path).decode("utf-8-sig")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _require(mode: int, path: str | Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory, not a file", str(path))
    if not stat.S_ISREG(mode):
        why = _KINDS.get(stat.S_IFMT(mode), "it is not a regular file")
        raise OSError(errno.EINVAL, why, str(path))
