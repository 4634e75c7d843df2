"""Progress of long work: the library calls this interface, the command line draws it (rich).

Library code takes `progress: Progress = SILENT` and never prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol


class Task(Protocol):
    """One bar."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Moves the bar by `n` and shows `note` (loss, accuracy, images/s) beside it."""


class Progress(Protocol):
    """Receives progress bars and notes."""

    def task(self, description: str, total: int | None, done: int = 0) -> AbstractContextManager[Task]:
        """Opens a bar of `total` steps (None: unknown length) for the duration of the `with` block.

        `done`: steps made earlier, which take no part in the time left.
        """

    def note(self, message: str) -> None:
        """Prints one line, for example a choice that was made, or a size before it is written."""


class _SilentTask:
    def advance(self, n: int = 1, note: str = "") -> None:
        pass


class SilentProgress:
    """Prints nothing; the default."""

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        yield _SilentTask()

    def note(self, message: str) -> None:
        pass


SILENT: Progress = SilentProgress()


@dataclass(frozen=True)
class NamedProgress:
    """Progress of one of several pieces of work: `name` stands before each description."""

    progress: Progress
    name: str

    def task(self, description: str, total: int | None, done: int = 0) -> AbstractContextManager[Task]:
        return self.progress.task(f"{self.name}: {description}", total, done)

    def note(self, message: str) -> None:
        self.progress.note(message)
