"""Names of scaled networks: `efficientnet@d1.2,w1.1,r240` is a family, its depth and width multipliers, and pixels."""

from __future__ import annotations

import re
from typing import NamedTuple

from foray.errors import ForayError
from foray.parsing import shortened

MARK = "@"
EXAMPLE = "efficientnet@d1.2,w1.1,r240"

_LIKE_A_PART = re.compile(r"[dwr][-+.\d]*")
_PART = re.compile(r"([dwr])(\d+(?:\.\d{1,4})?)")
_LIMITS = {"d": (0.05, 20.0), "w": (0.05, 10.0), "r": (8, 4096)}  # beyond lies a slip of the keyboard
_WORDS = {"d": "the depth multiplier d", "w": "the width multiplier w", "r": "the resolution r"}


class ScaledName(NamedTuple):
    """What a scaled name says. `resolution` in pixels; None where the name leaves it to the family."""

    family: str
    depth_mult: float = 1.0
    width_mult: float = 1.0
    resolution: int | None = None

    def __str__(self) -> str:
        resolution = "" if self.resolution is None else f",r{self.resolution}"
        return f"{self.family}{MARK}d{_number(self.depth_mult)},w{_number(self.width_mult)}{resolution}"


def _number(multiplier: float) -> str:
    return f"{multiplier:.4f}".rstrip("0").rstrip(".")


def parse_scaled_name(name: str) -> ScaledName:
    """Reads `family@dD,wW,rR`, in any order; what is left out is 1, or the family's own resolution.

    Raises:
        ForayError: naming the part that cannot be read or is out of range.

    >>> parse_scaled_name("efficientnet@r240,d1.2")
    ScaledName(family='efficientnet', depth_mult=1.2, width_mult=1.0, resolution=240)
    >>> str(parse_scaled_name("efficientnet@r240,d1.2"))
    'efficientnet@d1.2,w1,r240'
    """
    family, _, rest = name.partition(MARK)
    values: dict[str, float] = {}
    for part in rest.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ForayError(
                f"Model {shortened(name)!r}: {shortened(part.strip())!r} is not d, w or r with a number of at most "
                f"four decimals. Write {EXAMPLE}."
            )
        key, value = match[1], float(match[2])
        if key in values:
            raise ForayError(f"Model {shortened(name)!r} says {key} twice. Write {EXAMPLE}.")
        low, high = _LIMITS[key]
        if not low <= value <= high:
            raise ForayError(
                f"Model {shortened(name)!r}: {_WORDS[key]} must lie between {low:g} and {high:g}, not {value:g}."
            )
        values[key] = value
    resolution = values.get("r")
    if resolution is not None and not resolution.is_integer():
        raise ForayError(f"Model {shortened(name)!r}: {_WORDS['r']} is a whole number of pixels, not {resolution:g}.")
    return ScaledName(
        family=family,
        depth_mult=values.get("d", 1.0),
        width_mult=values.get("w", 1.0),
        resolution=None if resolution is None else int(resolution),
    )


def split_names(text: str) -> list[str]:
    """The models of a comma-separated list, in which scaled names have commas of their own.

    What looks like d, w or r with a number belongs to the scaled name before it.

    >>> split_names("mobilenet_v2,efficientnet@d1.2,w1.1,r240")
    ['mobilenet_v2', 'efficientnet@d1.2,w1.1,r240']
    """
    names: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        if names and MARK in names[-1] and _LIKE_A_PART.fullmatch(part):
            names[-1] += f",{part}"
        elif part:
            names.append(part)
    return names
