"""Output that cannot be written (a log on a full disk, a closed terminal) does not end the work."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any


class LenientFile(io.FileIO):
    """A file for output. `error`: the first error of writing; later output is dropped."""

    error: OSError | None = None

    def write(self, content: Any) -> int:
        """Writes as much as possible; the rest is dropped and counts as written."""
        if self.error is None:
            try:
                return super().write(content)
            except OSError as error:
                self.error = error
        return len(content)


def open_standard_streams() -> LenientFile:
    """Makes stdout and stderr lenient; returns the file under stdout. For the process of the command line alone.

    Closed ones (`2>&-`) are opened on the null device first: else the next opened file gets their number, and
    output of libraries to stderr is written into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    stdout, stderr = _lenient(1, sys.stdout), _lenient(2, sys.stderr)
    sys.stdout, sys.stderr = stdout[0], stderr[0]
    return stdout[1]


def output_failed(stdout: LenientFile) -> bool:
    """Flushes stdout at the end; returns whether output was lost, and reports that on stderr.

    A closed pipe (`foray models | head`) is not a failure.
    """
    sys.stdout.flush()
    if stdout.error is None or stdout.error.errno == errno.EPIPE:
        return False
    reason = stdout.error.strerror or stdout.error
    print(f"foray: The output could not be written: {reason}. Files on disk are complete.", file=sys.stderr)
    return True


def _lenient(number: int, replaced: Any) -> tuple[io.TextIOWrapper, LenientFile]:
    """A stream in the place of one of Python's, for the same file. A character it cannot encode becomes `?`."""
    file = LenientFile(number, "w", closefd=False)
    if replaced is not None:
        replaced.flush()
    encoding = getattr(replaced, "encoding", None) or "utf-8"
    is_lined = file.isatty() or number == 2
    text = io.TextIOWrapper(io.BufferedWriter(file), encoding=encoding, errors="replace", line_buffering=is_lined)
    return text, file
