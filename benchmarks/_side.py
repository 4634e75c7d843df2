"""One side of a comparison as a process of its own, which does steps when told to and answers how long they took.

Sides are processes because the peak memory of a step is a process's, and because TensorFlow has a Python of its own.
Between its turns a side is stopped, its workers and threads included (foray.clock.workers): a loader that works ahead
would otherwise take the cores from the side whose turn it is. Only the standard library is imported here, because the
Keras side uses `serve` too; the parent's end is in benchmarks/_rounds.py.

    parent -> side   {"task": "step", "steps": 4}
    side -> parent   {"about": {...}} once, when it is ready; then {"seconds": 9.1, "peak_bytes": 1200000000} a turn
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Memory(Protocol):
    """What a step takes, measured from outside of it."""

    def mark(self) -> int | None:
        """Bytes in use now, from which on the peak is taken; None where the peak cannot start anew."""

    def peak(self) -> int:
        """Largest bytes in use since `mark`."""


class ProcessMemory:
    """The resident set of this process, without its children: a peer's loader processes are not held against it."""

    def mark(self) -> int | None:
        """Resident bytes; Linux lets the high-water mark start anew (5 to clear_refs, see proc(5))."""
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            return _status_bytes("VmRSS")
        except OSError:
            return None

    def peak(self) -> int:
        """High-water mark of the resident set, bytes."""
        return _status_bytes("VmHWM")


@dataclass(frozen=True)
class Work:
    """What a side can do: `tasks` by name, each taking a number of steps and returning when all of it is computed."""

    tasks: Mapping[str, Callable[[int], None]]
    about: Mapping[str, Any]
    memory: Memory


def serve(prepare: Callable[[], Work]) -> None:
    """The life of a side: prepares, says what it is, then does what it is told until its stdin closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    work = prepare()
    before = work.memory.mark()
    print(json.dumps({"about": dict(work.about)}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        began = time.perf_counter()
        work.tasks[asked["task"]](asked["steps"])
        seconds = time.perf_counter() - began
        peak_bytes = None if before is None else max(work.memory.peak() - before, 0)
        print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes}), file=answers, flush=True)


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"this kernel does not tell {field}")
