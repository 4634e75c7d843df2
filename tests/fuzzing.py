"""Changes of whole files, drawn by hypothesis: what disks, editors and strangers do to them. Always the same ones."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from foray.errors import ForayError

Edit = Callable[[bytes], bytes]

TOKENS = (
    b"NaN", b"-Infinity", b"1e400", b"9" * 5000, b"[" * 5000, b'{"a":' * 5000, b'"\\ud800"', b"null", b"-1", b"1e12",
    b"true", b"\x00", b"\xff\xfe", b"\r\n", b"0.5", b'"', b"}", b"]", b"'", b"=", b",", b"../", b"~nosuchuser/",
)  # fmt: skip
VALUES = (
    0, -1, 1, 10**12, 10**30, int("9" * 4000), 0.5, -0.5, 1e-7, 1e308, -1e308, float("inf"), float("nan"), True, None,
    "", "x" * 100_000, "\ud800", "a\0b", "../../x", "~nosuchuser", [], {}, [[]], [0], [1e308] * 3, ["x"], {"a": 1},
)  # fmt: skip


def fuzzed(max_examples: int) -> settings:
    """The same examples every time, so that what passes here passes there."""
    return settings(
        max_examples=max_examples, derandomize=True, database=None, deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """Some changes of a file's content: bits flipped, parts cut out, repeated, or numbers replaced by tokens."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["flip", "cut", "end", "insert", "repeat", "number"]),
                st.floats(0, 1),
                st.integers(1, 255),
                st.sampled_from(TOKENS),
            ),
            min_size=1,
            max_size=3,
        )
    )

    def edited(content: bytes) -> bytes:
        for kind, share, byte, token in steps:
            at = int(share * max(len(content) - 1, 0))
            if kind == "flip" and content:
                content = content[:at] + bytes([content[at] ^ byte]) + content[at + 1 :]
            elif kind == "cut":
                content = content[:at] + content[at + byte :]
            elif kind == "end":
                content = content[:at]
            elif kind == "insert":
                content = content[:at] + token + content[at:]
            elif kind == "repeat":
                content = content[:at] + content[max(at - byte, 0) :]
            elif numbers := list(re.finditer(rb"-?\d+(\.\d+)?", content[:20_000])):
                found = numbers[int(share * (len(numbers) - 1))]
                content = content[: found.start()] + token + content[found.end() :]
        return content

    return edited


@st.composite
def value_edits(draw: st.DrawFn) -> Edit:
    """A JSON text of which one or two values, at any depth, are replaced by extreme ones, or taken out."""
    steps = draw(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([*VALUES, _GONE])), min_size=1, max_size=2))

    def edited(content: bytes) -> bytes:
        try:
            value = json.loads(content)
        except ValueError:  # no JSON, or lines of it
            return content
        for share, other in steps:
            places = list(_places(value, ()))
            value = _replaced(value, places[int(share * (len(places) - 1))], copy.copy(other))
        return json.dumps(value).encode("ascii")

    return edited


def gives_an_answer_or_a_foray_error(
    path: Path, reader: Callable[[], object], edit: Edit, *others: type[Exception]
) -> None:
    """Reads `path` with its content edited, and puts the content back. `others`: errors that are foray's as well."""
    content = path.read_bytes()
    try:
        path.write_bytes(edit(content))
        with contextlib.suppress(ForayError, *others):
            reader()
    finally:
        path.write_bytes(content)


_GONE = "take it out"  # survives a copy


def _places(value: Any, where: tuple[Any, ...]) -> Any:
    yield where
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from _places(entry, (*where, key))


def _replaced(value: Any, where: tuple[Any, ...], other: Any) -> Any:
    if not where:
        return None if other == _GONE else other
    key, *rest = where
    if rest or other != _GONE:
        value[key] = _replaced(value[key], tuple(rest), other)
    else:
        del value[key]
    return value
