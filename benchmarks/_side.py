"""One side of a comparison as a process of its own, which does steps when told to and says how long they took.

Sides are processes because the peak memory of a step is a process's, and because TensorFlow has a Python of its own.
Between its turns a side is stopped, its workers and threads included: a loader that works ahead would otherwise take
the cores from the side whose turn it is. Only the standard library is imported here: the Keras side uses `serve` too.

    parent -> side   {"task": "step", "steps": 4}
    side -> parent   {"about": {...}} once, when it is ready; then {"seconds": 9.1, "peak_bytes": 1200000000} a turn
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

READY_SECONDS = 900.0  # for imports, decoding and building
_TOLD_CHARACTERS = 800


class SideError(Exception):
    """A side ended before it answered, or took longer than it may; the message says which and why."""


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


@dataclass(frozen=True)
class Turn:
    """`peak_bytes`: the most that steps have taken so far, over what the side held before its first; None: unknown."""

    steps: int
    seconds: float
    peak_bytes: int | None


class Side:
    """The parent's end of a side; a context, at whose end the side and its workers are gone."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Starts `command` in `folder` and waits until it is ready. Raises SideError where it does not become so."""
        self.name = name
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, cwd=folder,
            env=os.environ | environment, process_group=0, bufsize=0,
        )  # fmt: skip
        try:
            self.about: dict[str, Any] = self._answer(READY_SECONDS)["about"]
        except BaseException:
            self.close()
            raise
        self._signal(signal.SIGSTOP)

    def turn(self, steps: int, task: str = "step", limit_seconds: float | None = None) -> Turn:
        """Lets the side do `steps` of `task`. Raises SideError where it ends, or takes longer than `limit_seconds`."""
        assert self._process.stdin is not None
        self._signal(signal.SIGCONT)
        self._process.stdin.write((json.dumps({"task": task, "steps": steps}) + "\n").encode())
        answer = self._answer(limit_seconds)
        self._signal(signal.SIGSTOP)
        return Turn(steps, answer["seconds"], answer["peak_bytes"])

    def close(self) -> None:
        """Ends the side, in whatever state it is."""
        if self._process.poll() is None:
            self._signal(signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, limit_seconds: float | None) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], limit_seconds)
        if not ready:
            raise SideError(f"{self.name}: no answer within {limit_seconds:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise SideError(f"{self.name}: ended with status {self._process.wait()}:\n{self._told()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _told(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")[-_TOLD_CHARACTERS:]

    def _signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"this kernel does not tell {field}")
