"""Names of the files in a zip, which often does not say in what encoding they are."""

from __future__ import annotations

import re
import zipfile
from itertools import pairwise
from pathlib import Path

from foray.errors import DataError
from foray.parsing import shortened

_IN_UTF8 = 0x800  # flag of a zip member: its name is in UTF-8
_CODE_PAGES = (
    "cp932",
    "gbk",
    "big5",
    "cp949",
    "cp1251",
    "cp866",
    "cp1252",
)  # Japanese, Chinese, Korean, Cyrillic, western


def zip_member_name(info: zipfile.ZipInfo, archive: Path) -> str:
    """The name with slashes for backslashes (older Windows programs), in the encoding it was written in.

    A zip file says only whether a name is in UTF-8. Where it says no, the name is in UTF-8 all the same (macOS), or in
    the code page of a DOS. What looks like a European name in code page 437 is taken for that; raises DataError for the
    rest, such as Japanese names of Windows, which would become garbled class names.
    """
    name = info.filename
    if info.flag_bits & _IN_UTF8 or name.isascii():
        return _with_slashes(name)
    raw = name.encode("cp437", errors="replace")  # what zipfile decoded it from; 0x5C may be half of a character
    try:
        return _with_slashes(raw.decode("utf-8"))
    except UnicodeError:
        if _looks_western(name):
            return _with_slashes(name)
    readings = [f"{shortened(text)} in {code}" for code in _CODE_PAGES if (text := _decoded(raw, code)) is not None]
    perhaps = f": {', '.join(readings)}" if readings else ""
    raise DataError(
        f"{archive} holds a name that is not in UTF-8, and does not say in which encoding it is{perhaps}. Unpack it "
        "yourself in the right one (unzip -O CODE FILE), and give the folder."
    )


def _with_slashes(name: str) -> str:
    return name.replace("\\", "/")


def _looks_western(name: str) -> bool:
    """Whether letters beyond ASCII are at most half of each word, no capital follows a small letter where one of them
    is beyond ASCII, and there are no signs."""
    words = re.findall(r"[^\W\d_]+", name)
    signs = [character for character in name if not character.isascii() and not character.isalpha()]
    few = all(2 * sum(not letter.isascii() for letter in word) <= len(word) for word in words)
    cased = all(
        one.isupper() or two.islower() or (one.isascii() and two.isascii())
        for word in words
        for one, two in pairwise(word)
    )
    return not signs and few and cased


def _decoded(raw: bytes, code_page: str) -> str | None:
    """`raw` in a code page, if it gives letters there."""
    try:
        text = raw.decode(code_page)
    except UnicodeError:
        return None
    return text if all(character.isascii() or character.isalpha() for character in text) else None
