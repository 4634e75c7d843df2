"""Ctrl-C, SIGTERM and SIGHUP during training: the current step is finished and saved before the run ends.

SIGHUP comes when the terminal or the ssh connection is closed. A signal that is ignored stays ignored: nohup.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_HANGUP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()  # Windows has none
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *_HANGUP)


class Interrupted(KeyboardInterrupt):
    """A run that was stopped from outside.

    `where`: the step after which it was saved; "" when it was stopped at once, so that the step under way is lost.
    `folder`: of the run, from which it resumes.
    """

    def __init__(self, where: str = "", folder: Path | None = None) -> None:
        super().__init__(where)
        self.folder = folder


class StopRequest:
    """Whether an end was requested. A second signal does not wait for the step, but raises at once, unless
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
    """Inside the block Ctrl-C, SIGTERM and SIGHUP only make a request, which the loop reads after each step."""
    request = StopRequest(is_patient=is_patient)
    with _handlers(dict.fromkeys(_SIGNALS, request.receive)):
        yield request


@contextmanager
def stop_signals_as_ctrl_c() -> Iterator[None]:
    """Inside the block SIGTERM and SIGHUP raise KeyboardInterrupt, so that their reason is recorded too."""
    with _handlers(dict.fromkeys(_SIGNALS[1:], signal.default_int_handler)):
        yield


@contextmanager
def _handlers(wanted: Mapping[signal.Signals, Callable[[int, FrameType | None], None]]) -> Iterator[None]:
    """Sets signal handlers inside the block, but for signals that are ignored."""
    before = {number: signal.getsignal(number) for number in wanted} if _may_handle() else {}
    handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, wanted[number])
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


def _may_handle() -> bool:
    """Only the main thread can set handlers; in other threads signals are not changed."""
    return threading.current_thread() is threading.main_thread()
