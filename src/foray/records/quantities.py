"""Amounts as people write and read them: '6M', '30ms', '60MB', '1pt' in; '5.29 M', '16.5 ms', '91.2 %' out.

A number whose unit is missing or wrong is an error, never a guess: '--max-latency 30' may mean milliseconds or
seconds. Prefixes are decimal (1 MB = 1,000,000 bytes), MiB is binary; '5.3M' is exactly 5,300,000 (`decimal`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from foray.errors import QuantityError
from foray.parsing import shortened

if TYPE_CHECKING:
    from foray.records.metrics import Estimate

_NUMBER = r"\d+(?:_\d+)*(?:\.\d*)?|\d{1,3}(?:,\d{3})+(?:\.\d*)?|\.\d+"
_QUANTITY = re.compile(rf"(?P<number>[+-]?(?:{_NUMBER})(?:[eE][+-]?\d\d?)?)\s*(?P<unit>[^\s\d.,+-][^\s\d]*)?")

_COUNT_UNITS: Mapping[str, Decimal] = {"k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9)}
_MS_UNITS: Mapping[str, Decimal] = {
    "us": Decimal("0.001"), "µs": Decimal("0.001"), "ms": Decimal(1), "s": Decimal(1000),
}  # fmt: skip
_BYTE_UNITS: Mapping[str, Decimal] = {
    "B": Decimal(1), "kB": Decimal(10**3), "MB": Decimal(10**6), "GB": Decimal(10**9),
    "KiB": Decimal(2**10), "MiB": Decimal(2**20), "GiB": Decimal(2**30),
}  # fmt: skip
_POINT_UNITS: Mapping[str, Decimal] = {"pt": Decimal("0.01"), "point": Decimal("0.01"), "points": Decimal("0.01")}

_LARGEST = Decimal(10**18)  # no network, file or latency is near it
_PLAIN_COUNT_FROM = 1000  # below, a bare number of parameters or MACs is almost certainly meant as millions


def parse_count(text: str, option: str = "the count") -> int:
    """A number of parameters or MACs.

    A bare number below 1000 is an error, because '--max-macs 600' almost always means 600 million.

    Args:
        text: '6M', '1.5G', '500k', or every digit written out.
        option: what errors call the number.

    Returns:
        The count.

    Raises:
        QuantityError: for a missing or unknown unit, or a number that is not positive.

    >>> parse_count("5.3M"), parse_count("4,231,976")
    (5300000, 4231976)
    """
    number, unit = _split(text, option, "6M", _COUNT_UNITS)
    if unit is None:
        if number < _PLAIN_COUNT_FROM:
            raise QuantityError(
                f"{option}: {text.strip()!r} has no unit; did you mean {text.strip()}M? "
                f"Write {_example(option, '6M')} (units: {', '.join(_COUNT_UNITS)}), or every digit."
            )
        return _whole(number, text, option, "6M")
    return _whole(number * _COUNT_UNITS[unit], text, option, "6M")


def parse_duration_ms(text: str, option: str = "the duration") -> float:
    """A duration.

    Args:
        text: with its unit: '30ms', '0.03s' or '900us'.
        option: what errors call the number.

    Returns:
        Milliseconds.

    Raises:
        QuantityError: for a missing or unknown unit, or a number that is not positive.

    >>> parse_duration_ms("0.03s")
    30.0
    """
    number, unit = _split(text, option, "30ms", _MS_UNITS)
    return float(number * _MS_UNITS[_required(unit, text, option, "30ms", _MS_UNITS)])


def parse_bytes(text: str, option: str = "the size") -> int:
    """A size in memory or on disk.

    Args:
        text: with its unit: '60MB' (decimal) or '57MiB' (binary).
        option: what errors call the number.

    Returns:
        Bytes.

    Raises:
        QuantityError: for a missing or unknown unit, or a number that is not positive.

    >>> parse_bytes("60MB"), parse_bytes("57MiB")
    (60000000, 59768832)
    """
    number, unit = _split(text, option, "60MB", _BYTE_UNITS)
    return _whole(number * _BYTE_UNITS[_required(unit, text, option, "60MB", _BYTE_UNITS)], text, option, "60MB")


def parse_points(text: str, option: str = "the tolerance") -> float:
    """A difference of accuracies, from percentage points.

    '1%' is an error: a per cent of the accuracy and a percentage point are different tolerances.

    Args:
        text: with its unit: '1pt' or '0.5 points'.
        option: what errors call the number.

    Returns:
        The difference as a share, in (0, 1).

    Raises:
        QuantityError: for a missing or unknown unit, or a number outside (0, 100) points.

    >>> parse_points("1pt")
    0.01
    """
    if text.strip().endswith("%"):
        raise QuantityError(
            f"{option}: {text.strip()!r} is ambiguous (per cent of what?). Write percentage points of accuracy, "
            f"{_example(option, '1pt')}: from 91 % down to 90 %."
        )
    number, unit = _split(text, option, "1pt", _POINT_UNITS)
    points = number * _POINT_UNITS[_required(unit, text, option, "1pt", _POINT_UNITS)]
    if points >= 1:
        raise QuantityError(f"{option}: {text.strip()!r} is 100 points or more. Write {_example(option, '1pt')}.")
    return float(points)


def format_count(count: float) -> str:
    """Three significant digits with k, M or G; below 1000 the number itself.

    >>> format_count(5_288_548)
    '5.29 M'
    """
    return _scaled(count, ("", "k", "M", "G", "T"))


def format_about(count: int) -> str:
    """Rounded up to two significant digits, written out.

    >>> format_about(12_345)
    '13,000'
    """
    unit = 10 ** max(len(str(count)) - 2, 0)
    return f"{-(-count // unit) * unit:,}"


def format_bytes(size_bytes: float) -> str:
    """Three significant digits in decimal units.

    >>> format_bytes(14_200_000)
    '14.2 MB'
    """
    return _scaled(size_bytes, ("B", "kB", "MB", "GB", "TB"))


def format_ms(duration_ms: float) -> str:
    """Milliseconds to three significant digits.

    >>> format_ms(16.52)
    '16.5 ms'
    """
    return f"{_three_digits(duration_ms)} ms"


def format_points(difference: float) -> str:
    """A difference of accuracies, in [-1, 1], in percentage points with at most two decimals.

    >>> format_points(0.0031)
    '0.31 points'
    """
    number = f"{100 * difference:.2f}".rstrip("0").rstrip(".")
    number = "0" if number == "-0" else number
    return f"{number} point" if number == "1" else f"{number} points"


def format_percent(share: float) -> str:
    """A share in [0, 1], with more decimals where one would read as all or nothing.

    >>> format_percent(0.912), format_percent(0.9996)
    ('91.2 %', '99.96 %')
    """
    for decimals in (1, 2, 3):
        number = f"{100 * share:.{decimals}f}"
        if share in (0.0, 1.0) or float(number) not in (0.0, 100.0):
            break
    return f"{number} %"


def percent_number(share: float | None) -> str:
    """A share in [0, 1] for a column headed "%": 0.912 -> '91.2'; '-' where it was not measured."""
    return "-" if share is None else f"{100 * share:.1f}"


def format_interval(estimate: Estimate, between: str = "-") -> str:
    """The bounds of an estimate in per cent, without the sign: '87.4-91.8'. `between`: the separator."""
    return f"{percent_number(estimate.low)}{between}{percent_number(estimate.high)}"


def format_estimate(estimate: Estimate) -> str:
    """With interval and number of images: '91.2 % (95 % interval 87.4 to 91.8, n = 1,380)'."""
    interval = f"{format_confidence(estimate.confidence)} interval {format_interval(estimate, ' to ')}"
    return f"{format_percent(estimate.value)} ({interval}, n = {estimate.n:,})"


def format_confidence(confidence: float) -> str:
    """A confidence below 1, or the error beside it, to three digits, or as many as distinguish it from 100 %.

    >>> format_confidence(0.95), format_confidence(0.9996), format_confidence(0.025)
    ('95 %', '99.96 %', '2.5 %')
    """
    for digits in range(3, 10):
        number = f"{100 * confidence:.{digits}g}"
        if number != "100":
            break
    return f"{number} %"


def format_seconds(duration_seconds: float) -> str:
    """A duration as people say it.

    >>> format_seconds(0.45), format_seconds(192), format_seconds(3840)
    ('0.45 s', '3 min 12 s', '1 h 4 min')
    """
    if round(duration_seconds, 1) < 10:
        return f"{duration_seconds:.2g} s"
    minutes, seconds = divmod(round(duration_seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"
    if minutes:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    return f"{seconds} s"


def _split(text: str, option: str, example: str, units: Mapping[str, Decimal]) -> tuple[Decimal, str | None]:
    """The positive number and its unit, None when there is none."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise QuantityError(
            f"{option}: {shortened(text.strip())!r} is not a number with a unit. Write {_example(option, example)}."
        )
    number = Decimal(match["number"].replace(",", ""))
    if number > _LARGEST:
        raise QuantityError(f"{option}: {shortened(text.strip())} is too large. Write {_example(option, example)}.")
    if number <= 0:
        raise QuantityError(f"{option}: {text.strip()!r} must be above zero. Write {_example(option, example)}.")
    unit: str | None = match["unit"]
    if unit is not None and unit not in units:
        raise QuantityError(
            f"{option}: {unit!r} in {text.strip()!r} is not a unit that is known here (known: {', '.join(units)}). "
            f"Write {_example(option, example)}."
        )
    return number, unit


def _required(unit: str | None, text: str, option: str, example: str, units: Mapping[str, Decimal]) -> str:
    if unit is None:
        meant = text.strip() + example.lstrip("0123456789")
        raise QuantityError(
            f"{option}: {text.strip()!r} has no unit; did you mean {meant}? "
            f"Write {_example(option, meant)} (units: {', '.join(units)})."
        )
    return unit


def _whole(amount: Decimal, text: str, option: str, example: str) -> int:
    whole = round(amount)
    if whole < 1:
        raise QuantityError(f"{option}: {text.strip()!r} is less than one. Write {_example(option, example)}.")
    return whole


def _example(option: str, example: str) -> str:
    return f"{option} {example}" if option.startswith("-") else f"for example {example}"


def _scaled(amount: float, units: tuple[str, ...]) -> str:
    scale = 0
    # 999.5 would print as 1000 in its own unit, so it moves up to the next.
    while abs(amount) >= 999.5 and scale < len(units) - 1:
        amount /= 1000
        scale += 1
    number = f"{amount:.0f}" if scale == 0 else _three_digits(amount)
    return f"{number} {units[scale]}".rstrip()


def _three_digits(number: float) -> str:
    if abs(number) >= 99.95:
        return f"{number:,.0f}"
    if abs(number) >= 9.995:
        return f"{number:.1f}"
    return f"{number:.2f}" if abs(number) >= 0.9995 or number == 0 else f"{number:.3g}"
