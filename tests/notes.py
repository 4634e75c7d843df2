"""Progress that keeps the notes it is given."""

from __future__ import annotations

from foray.progress import SilentProgress


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)
