"""Runs the machine's C++ compiler as a guest: it may be slow, but not hang, and leaves no file behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

IDLE_SECONDS = 10.0  # without using a processor, after which a compiler is taken to hang
MOST_SECONDS = 120.0  # however busy it is
_POLL_SECONDS = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


class CompilerError(Exception):
    """The compiler failed, was killed, or hangs."""


def compile_in(
    folder: Path, command: Sequence[str], *, idle_seconds: float = IDLE_SECONDS, most_seconds: float = MOST_SECONDS
) -> None:
    """Runs `command`, whose temporary files go to `folder`, and ends all processes that it started.

    Raises CompilerError when it does not end with status 0, uses no processor for `idle_seconds`, or takes longer than
    `most_seconds`; OSError when it cannot be started.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,  # a process group of its own: what the compiler starts is ended with it
    )
    try:
        status = _wait(process, idle_seconds, most_seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if status != 0:
        raise CompilerError(f"{command[0]} ended with status {status}")


def _wait(process: subprocess.Popen[bytes], idle_seconds: float, most_seconds: float) -> int:
    started = worked = time.monotonic()
    used = 0.0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_SECONDS)
        now = time.monotonic()
        if (seconds := _processor_seconds(process.pid)) != used:
            used, worked = seconds, now
        if now - worked > idle_seconds or now - started > most_seconds:
            raise CompilerError("the compiler does not end")


def _processor_seconds(group: int) -> float:
    """Seconds that the processes of a process group and their ended children have used so far (Linux)."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # ended meanwhile
            # proc(5): after the name, which may hold blanks, come state, ppid, pgrp, ... utime, stime, cutime, cstime.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += sum(int(value) for value in fields[11:15])
    return ticks / _TICKS
