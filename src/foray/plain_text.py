r"""Escaping of untrusted text: names of files, classes, data sets and devices.

Control characters move a terminal's cursor, rename its window or hide preceding text; some characters of
Unicode reverse the direction of a line. They are shown as `\u001b`: visible, and within JSON the same string.
Standard library only. `foray.deploy.predict`, which has to work without foray, has `one_line` of its own.
"""

from __future__ import annotations

import re

# C0 but for tab and newline, DEL and C1 (ECMA-48); line and paragraph separator; bidirectional controls (UAX 9, 2);
# lone surrogates, which stand for bytes that are no text.
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_CONTROL_OR_BREAK = re.compile(rf"[\t\n{_CONTROLS}]")
_MARKDOWN = re.compile(r"[\\`*\[\]|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[#~>]")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_FORMULA = re.compile(r"(^|;\s*)(?=[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def plain(text: str) -> str:
    """`text` with its control characters visible; tabs and line breaks stay."""
    return _CONTROL.sub(_visible, text)


def one_line(text: str) -> str:
    """`text` with its control characters visible, tabs and line breaks among them."""
    return _CONTROL_OR_BREAK.sub(_visible, text)


def markdown(text: str) -> str:
    """`text` on one line as Markdown that shows it: neither markup nor HTML nor a cell's end (CommonMark 0.31, GFM)."""
    entities = _ENTITY.sub("&amp;", one_line(" ".join(text.split()))).replace("<", "&lt;")
    return _MARKDOWN.sub(r"\\\g<0>", entities)


def markdown_code(text: str) -> str:
    """`text` on one line as a code span of Markdown, fenced by more backticks than it holds in a row.

    A bar, which would end a cell, is shown as `\\u007c`.
    """
    line = one_line(" ".join(text.split())).replace("|", r"\u007c")
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    room = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{room}{line}{room}{fence}"


def csv_cell(text: str) -> str:
    """`text` on one line as a spreadsheet cell that is not read as a formula: formulas get a leading apostrophe.

    As OWASP recommends (owasp.org/www-community/attacks/CSV_Injection); also after a semicolon, at which some
    spreadsheets part cells. Numbers stay.
    """
    return text if _NUMBER.fullmatch(text) else one_line(_FORMULA.sub(r"\1'", text))


def _visible(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
