"""Output to the terminal: control characters in names are escaped, so that they have no effect.

While a command runs, stdout and stderr are `PlainStream`s: output of verbs, click and
libraries goes through them. Only tables and bars, which foray draws, bypass them, with their text as `one_line`.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO, cast

from foray.plain_text import one_line, plain

# Of the verb that runs: parameters as messages of the library name them, `seeds`, and its options, --seeds.
_OPTIONS: ContextVar[Mapping[str, str]] = ContextVar("options", default={})  # noqa: B039, never changed in place


@contextmanager
def named_options(options: Mapping[str, str]) -> Iterator[None]:
    """Inside the block `with_options` knows these: parameter (`seeds`) to option (`--seeds`)."""
    token = _OPTIONS.set(options)
    try:
        yield
    finally:
        _OPTIONS.reset(token)


def with_options(message: str) -> str:
    """A message of the library, whose parameters stand in backticks, with the options that a user typed."""
    options = _OPTIONS.get()
    return re.sub(r"`(\w+)`", lambda found: options.get(found[1], found[0]), message)


class PlainStream:
    """A text stream that writes control characters as `\\u001b`; everything else is delegated."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Writes `text` and returns its length."""
        self.stream.write(plain(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Writes every one of `lines`."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # bytes would bypass the filter
            raise AttributeError(name)
        return getattr(self.stream, name)


def make_streams_plain() -> None:
    """stdout and stderr are plain from here on."""
    sys.stdout, sys.stderr = _plain(sys.stdout), _plain(sys.stderr)


@contextmanager
def plain_streams() -> Iterator[None]:
    """stdout and stderr are plain for the duration of the block."""
    before = sys.stdout, sys.stderr
    make_streams_plain()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def unfiltered(stream: TextIO) -> TextIO:
    """For what foray draws: the stream below a `PlainStream`, or the stream itself."""
    return stream.stream if isinstance(stream, PlainStream) else stream


def say(line: str) -> None:
    """Prints a line that holds names from outside: line breaks in them are escaped."""
    print(one_line(line))


def command_lines(words: Sequence[str], width: int = 80) -> list[str]:
    """A command for a POSIX shell, in lines of at most `width` characters unless an option with its value is longer."""
    parts: list[list[str]] = []
    for word in words:
        if word.startswith("--") or not parts:
            parts.append([])
        parts[-1].append(word)
    lines: list[str] = []
    for part in map(shlex.join, parts):
        if lines and len(f"{lines[-1]} {part} \\") <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(f"    {part}" if lines else part)
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def complain(line: str) -> None:
    """The same on stderr, at once."""
    print(one_line(line), file=sys.stderr, flush=True)


def _plain(stream: TextIO) -> TextIO:
    # None: there is no console
    return stream if stream is None or isinstance(stream, PlainStream) else cast(TextIO, PlainStream(stream))
