"""Amounts as people write and read them: `6M`, `30ms`, `60MB`, `1pt` in; `5.29 M`, `12.3 ms`, `91.2 %` out.

A number without its unit is an error: 600 MACs and 600 million MACs are both easy to type. Plain counts of at least
1000 (`4231976`) are taken as they stand. Prefixes are decimal (k, M, G: 10^3, 10^6, 10^9); KiB, MiB, GiB are binary.
"""

from __future__ import annotations

import math
import re

from foray.errors import QuantityError

_COUNT_UNITS = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
_DURATION_UNITS_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_BYTE_UNITS = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
_POINT_UNITS = {"pt": 0.01, "pts": 0.01, "point": 0.01, "points": 0.01}
_SMALLEST_PLAIN_COUNT = 1000

_QUANTITY = re.compile(r"\s*([-+]?[0-9][0-9_,]*\.?[0-9]*(?:[eE][-+]?[0-9]+)?)\s*([^\d\s]*)\s*")


def parse_count(text: str, option: str = "the number") -> int:
    """A count: `6M`, `1.5G`, `500k`, or a plain integer from 1000 on. Raises QuantityError naming `option`."""
    value, unit = _split(text, option, "6M")
    if not unit:
        if value >= _SMALLEST_PLAIN_COUNT and value == int(value):
            return int(value)
        raise QuantityError(f"{option} {text}: {text} of what? Write the unit: did you mean {value:g}M or {value:g}k?")
    return round(value * _factor(unit, _COUNT_UNITS, text, option, "k, M or G, as in 6M"))


def parse_duration_ms(text: str, option: str = "the duration") -> float:
    """A duration in milliseconds: `30ms`, `0.03s`, `800us`. Raises QuantityError naming `option`."""
    value, unit = _split(text, option, "30ms")
    return value * _factor(unit, _DURATION_UNITS_MS, text, option, "ms or s, as in 30ms")


def parse_bytes(text: str, option: str = "the size") -> int:
    """A size in bytes: `60MB` (decimal), `57MiB` (binary). Raises QuantityError naming `option`."""
    value, unit = _split(text, option, "60MB")
    return round(value * _factor(unit, _BYTE_UNITS, text, option, "kB, MB, GB, KiB, MiB or GiB, as in 60MB"))


def parse_points(text: str, option: str = "the tolerance") -> float:
    """A difference of accuracies in percentage points, as a fraction: `1pt` is 0.01. Raises QuantityError.

    A per cent sign is refused: "1 %" could be one point or one per cent of the accuracy.
    """
    value, unit = _split(text, option, "1pt", zero_allowed=True)
    points = value * _factor(unit, _POINT_UNITS, text, option, "pt (percentage points), as in 1pt")
    if points >= 1.0:
        raise QuantityError(f"{option} {text}: must be below 100pt.")
    return points


def _split(text: str, option: str, example: str, *, zero_allowed: bool = False) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise QuantityError(f"{option} {text!r} is not a number with a unit. Write it like {example}.")
    try:
        value = float(match[1].replace("_", "").replace(",", ""))
    except ValueError as error:
        raise QuantityError(f"{option} {text!r} is not a number with a unit. Write it like {example}.") from error
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero_allowed):
        wanted = "zero or more" if zero_allowed else "more than zero"
        raise QuantityError(f"{option} {text}: must be {wanted}, like {example}.")
    return value, match[2]


def _factor(unit: str, units: dict[str, float], text: str, option: str, wanted: str) -> float:
    if not unit:
        raise QuantityError(f"{option} {text}: the unit is missing. Write {wanted}.")
    try:
        return units[unit.lower()]
    except KeyError:
        raise QuantityError(f"{option} {text}: unknown unit {unit!r}. Write {wanted}.") from None


def format_count(value: float) -> str:
    """5288548 -> `5.29 M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{_three_digits(value / size)} {letter}"
    return f"{value:.0f}"


def format_bytes(value: float) -> str:
    """21150000 -> `21.2 MB` (decimal)."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= size:
            return f"{_three_digits(value / size)} {unit}"
    return f"{value:.0f} B"


def format_ms(value: float) -> str:
    """12.345 -> `12.3 ms`."""
    return f"{_three_digits(value)} ms"


def format_percent(value: float) -> str:
    """0.9123 -> `91.2 %`."""
    return f"{100 * value:.1f} %"


def format_points(value: float) -> str:
    """A difference of accuracies, 0.0031 -> `0.31 points`."""
    return f"{100 * value:.2f} points"


def format_seconds(value: float) -> str:
    """192 -> `3 min 12 s`."""
    if value < 10:
        return f"{value:.1f} s"
    seconds = round(value)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def _three_digits(value: float) -> str:
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{decimals}f}"
