"""Ctrl-C and SIGTERM while a run is trained: the step under way is finished and saved before the run ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A run that was stopped from outside. `folder`: where it is and from where it goes on."""

    def __init__(self, where: str = "", folder: Path | None = None) -> None:
        super().__init__(where)
        self.folder = folder


class StopRequest:
    """Whether somebody has asked for the end. A second signal does not wait for the step, but raises at once, unless
    `is_patient`: torchrun passes on the Ctrl-C that its processes have had already."""

    def __init__(self, *, is_patient: bool = False) -> None:
        self.is_made = False
        self._is_patient = is_patient
        self._waits = True

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if not self._waits or (self.is_made and not self._is_patient):
            raise KeyboardInterrupt
        self.is_made = True

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside the block nothing changes that a checkpoint holds: a request raises KeyboardInterrupt immediately."""
        self._waits = False
        try:
            if self.is_made:
                raise KeyboardInterrupt
            yield
        finally:
            self._waits = True


@contextmanager
def between_steps(is_patient: bool = False) -> Iterator[StopRequest]:
    """Inside the block Ctrl-C and SIGTERM only make a request, which the loop reads after each step."""
    request = StopRequest(is_patient=is_patient)
    with _handled_by(request):
        yield request


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Inside the block SIGTERM raises KeyboardInterrupt, so that what is stopped by a scheduler is recorded too."""
    if not _may_handle():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _handled_by(request: StopRequest) -> Iterator[None]:
    if not _may_handle():
        yield
        return
    before = [signal.signal(number, request.receive) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)


def _may_handle() -> bool:
    """Python lets the main thread alone set handlers; elsewhere signals do what they did before."""
    return threading.current_thread() is threading.main_thread()
