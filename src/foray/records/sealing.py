"""Digests of the files that foray writes, so that damage is noticed on reading.

A sealed JSON object has, as its first entry and on a line of its own, the SHA-256 of its text without that entry. To
edit such a file by hand, delete that line. A file is named with the SHA-256 of its bytes in the record of its run.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from foray.regular_files import open_regular

_SEAL = re.compile(rb'\{\n "digest": "([0-9a-f]{64})",')


class BrokenSealError(ValueError):
    """The text does not match its digest, or has no digest where one is needed."""


def sealed(text: str) -> str:
    """The text of a JSON object that is not empty, with its digest as first entry."""
    return f'{{\n "digest": "{sha256(text.encode("utf-8"))}",{text[1:]}'


def unsealed(content: bytes, *, needed: bool = False) -> bytes:
    """The text that was sealed. One without a digest comes back as it is, unless a digest is `needed`.

    Raises BrokenSealError.
    """
    found = _SEAL.match(content)
    if found is None:
        if needed:
            raise BrokenSealError("it has no digest")
        return content
    text = b"{" + content[found.end() :]
    if sha256(text) != found[1].decode("ascii"):
        raise BrokenSealError("its digest does not match")
    return text


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
