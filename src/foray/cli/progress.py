"""Progress on stderr: rich bars on a terminal, plain lines at intervals where stderr goes to a file or pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from rich import progress as bars
from rich.console import Console
from rich.markup import escape
from rich.table import Column

from foray.cli.terminal import complain, make_streams_plain, unfiltered, with_options
from foray.plain_text import one_line
from foray.progress import SILENT, Progress, Task
from foray.records.quantities import format_seconds

if TYPE_CHECKING:
    from foray.processes import Processes


class _Bar:
    def __init__(self, display: bars.Progress, task: bars.TaskID) -> None:
        self._display, self._task = display, task
        self.note = ""

    def advance(self, n: int = 1, note: str = "") -> None:
        self.note = note or self.note
        self._display.update(self._task, advance=n, note=escape(one_line(self.note)))


class RichProgress:
    """Bars with the time left and the latest note; a finished bar leaves one line. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._display = bars.Progress(
            bars.TextColumn("{task.description}", table_column=Column(ratio=3, no_wrap=True, overflow="ellipsis")),
            bars.BarColumn(bar_width=12),
            bars.MofNCompleteColumn(),
            bars.TimeRemainingColumn(compact=True),
            bars.TextColumn("{task.fields[note]}", table_column=Column(ratio=2, no_wrap=True, overflow="ellipsis")),
            console=console,
            expand=True,
            transient=True,
        )

    def __enter__(self) -> RichProgress:
        self._display.start()
        make_streams_plain()  # those that the display has put in their place until it stops
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        started = time.monotonic()
        task = self._display.add_task(escape(one_line(description)), total=total, completed=done, note="")
        bar = _Bar(self._display, task)
        try:
            yield bar
            self.note(_finished(description, time.monotonic() - started, bar.note))
        finally:
            self._display.remove_task(task)

    def note(self, message: str) -> None:
        self._display.console.print(one_line(with_options(message)), markup=False, highlight=False, soft_wrap=True)


class _Lines:
    def __init__(self, progress: PlainProgress, description: str, total: int | None, done: int) -> None:
        self._progress, self._description, self._total = progress, description, total
        self._started = self._said = progress.clock()
        self._done = self._earlier = done
        self.note = ""

    @property
    def seconds(self) -> float:
        return self._progress.clock() - self._started

    def advance(self, n: int = 1, note: str = "") -> None:
        self._done += n
        self.note = note or self.note
        now = self._progress.clock()
        if now - self._said < self._progress.every_seconds or self._done == self._total:
            return
        self._said = now
        left = ""
        if self._total and self._done > self._earlier:
            seconds = self.seconds * (self._total - self._done) / (self._done - self._earlier)
            left = f", {format_seconds(seconds)} left"
        of = f"/{self._total:,}" if self._total else ""
        note = f", {self.note}" if self.note else ""
        self._progress.note(f"{self._description}: {self._done:,}{of}{left}{note}")


class PlainProgress:
    """A line every `every_seconds` and one at the end of each task; no control codes."""

    def __init__(self, every_seconds: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.every_seconds, self.clock = every_seconds, clock

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        lines = _Lines(self, description, total, done)
        yield lines
        self.note(_finished(description, lines.seconds, lines.note))

    def note(self, message: str) -> None:
        complain(with_options(message))


def _finished(description: str, seconds: float, note: str) -> str:
    return f"{description}: {format_seconds(seconds)}{f', {note}' if note else ''}"


def progress_of(processes: Processes) -> AbstractContextManager[Progress]:
    """The terminal's progress on rank 0, and none on other ranks."""
    return terminal_progress() if processes.is_writer else nullcontext(SILENT)


def terminal_progress() -> AbstractContextManager[Progress]:
    """Bars where stderr is a terminal, plain lines otherwise."""
    console = Console(file=unfiltered(sys.stderr))
    return RichProgress(console) if console.is_terminal else nullcontext(PlainProgress())
