"""Parsing of untrusted text: the result is a value or an error of one kind."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from foray.errors import ForayError
from foray.regular_files import is_there

_SHOWN_CHARACTERS = 80


def parse_json(text: str | bytes) -> Any:
    """The value that JSON text holds. Raises ValueError for text that is not JSON or is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The tables that TOML text holds. Raises ValueError for what is no TOML, is nested too deeply, or holds a number
    of thousands of digits."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def home_expanded(path: str | Path) -> Path:
    """The path with a leading `~` replaced by the home folder. Raises ForayError where there is no such user.

    A path to an existing file whose name begins with `~` is not changed.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        if is_there(path):
            return Path(path)
        raise ForayError(
            f"{shortened(path)}: the home folder that ~ stands for is not known. Write the path in full."
        ) from error


def shortened(value: object) -> str:
    """A value shortened for a message."""
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}... ({len(text):,} characters)"
