"""Processes that are timed in turns; between its turns a worker is stopped, with its threads and children.

What those of the clock do is in foray.deploy._worker. The benchmarks have workers of their own kinds.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from foray.errors import ForayError

_START_SECONDS = 300.0  # OpenVINO compiles, ExecuTorch imports torch, on a board
_ANSWER_SECONDS = 600.0
_STDERR_CHARACTERS = 500
_TORCH = """
import sys
from foray.deploy._worker import serve
def opened():
    from foray.clock.torch_session import open_network  # here: what torch holds counts
    return open_network(*sys.argv[1:])
serve(opened)
"""


class Worker:
    """The parent's end; a context, at whose end the process and its children are gone.

    `ready`: its first answer, given unasked. `cold_start_ms`: from its start to that, the interpreter included.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] = {},
        *,
        folder: Path | None = None,
        start_seconds: float = _START_SECONDS,
    ) -> None:
        """Starts `command` in `folder` (None: the current one) and waits for its first answer.

        Raises ForayError with the end of its stderr where none comes within `start_seconds`.
        """
        self.name = name
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        began = time.perf_counter()
        # A process group of its own: the terminal's Ctrl-C reaches the parent alone, which ends the workers.
        try:
            with _signals_wait():
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, bufsize=0,
                    cwd=folder, env=os.environ | environment, process_group=0 if os.name == "posix" else None,
                )  # fmt: skip
            self.ready = self._answer(start_seconds)
            self.cold_start_ms = (time.perf_counter() - began) * 1e3
        except BaseException:
            if hasattr(self, "_process"):
                self.close()
            self._stderr.close()
            raise
        self._signal("SIGSTOP")

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def ask(self, limit_seconds: float = _ANSWER_SECONDS, **task: Any) -> dict[str, Any]:
        """Lets the worker do one task and returns its answer. Raises ForayError where it ends, answers with an error or
        takes longer than `limit_seconds`."""
        assert self._process.stdin is not None
        self._signal("SIGCONT")
        with contextlib.suppress(BrokenPipeError):  # it has ended: the answer that is missing says so
            self._process.stdin.write((json.dumps(task) + "\n").encode())
        answer = self._answer(limit_seconds)
        self._signal("SIGSTOP")
        return answer

    def close(self) -> None:
        """Ends the process and its children, in whatever state they are."""
        if self._process.poll() is None:
            self._signal("SIGKILL")
            self._process.kill()  # on Windows, where the line above does nothing
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

    def _answer(self, limit_seconds: float) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        if os.name == "posix" and not select.select([stdout], [], [], limit_seconds)[0]:
            raise ForayError(
                f"{self.name}: no answer within {limit_seconds:.0f} s. Leave it out, or use a smaller batch."
            )
        line = stdout.readline()
        if not line:
            raise ForayError(
                f"{self.name}: its process ended ({_status(self._process.wait())}). {self._end_of_stderr()}"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ForayError(f"{self.name}: {answer['error']}")
        return answer

    def _end_of_stderr(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip()[-_STDERR_CHARACTERS:]

    def _signal(self, name: str) -> None:
        """To the process and its children. Where there is no such signal (Windows) waiting workers keep running."""
        if hasattr(signal, name) and self._process.poll() is None:
            os.killpg(self._process.pid, getattr(signal, name))


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP are handled at the end of the block: within it there may be a process that nobody
    could end, as its object is not there yet. In other threads Python handles no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in before:
        signal.signal(number, lambda *signalled: came.append(signalled))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number, frame in came:
        before[signal.Signals(number)](number, frame)


def _status(code: int) -> str:
    if code < 0:
        reason = signal.Signals(-code).name
        return f"{reason}: out of memory?" if reason == "SIGKILL" else reason
    return f"status {code}"


def artifact_worker(name: str, folder: Path, threads: int) -> Worker:
    """A worker for the artifact in `folder`. Raises ForayError where its runtime is missing or refuses it."""
    command = [sys.executable, "-m", "foray.deploy._worker", str(folder), str(threads)]
    return Worker(name, command, thread_settings(threads))


def torch_worker(name: str, folder: Path, precision: str, threads: int) -> Worker:
    """A worker for a network that `save_for_worker` wrote."""
    return Worker(name, [sys.executable, "-c", _TORCH, str(folder), precision, str(threads)], thread_settings(threads))


def thread_settings(threads: int) -> dict[str, str]:
    """The environment in which numeric libraries use `threads`."""
    return {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
