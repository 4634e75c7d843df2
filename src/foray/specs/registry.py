"""Which architectures there are, by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from foray.errors import UnknownNameError
from foray.specs import (
    efficientnet,
    efficientnet_lite,
    efficientnet_v2,
    ghostnet,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    xception,
)
from foray.specs.spec import ArchSpec
from foray.specs.variants import TF_PREFIX

WidthFamily = Callable[[str, float], ArchSpec]

# Families with a width multiplier: base name -> (symmetric variant, TensorFlow variant, widths that are listed).
_WIDTH_FAMILIES: dict[str, tuple[WidthFamily, WidthFamily, tuple[float, ...]]] = {
    mobilenet_v1.NAME: (mobilenet_v1.mobilenet_v1, mobilenet_v1.tf_mobilenet_v1, mobilenet_v1.LISTED_WIDTHS),
    mobilenet_v2.NAME: (mobilenet_v2.mobilenet_v2, mobilenet_v2.tf_mobilenet_v2, mobilenet_v2.LISTED_WIDTHS),
}
_WIDTH_NAME = re.compile(rf"({TF_PREFIX})?({'|'.join(_WIDTH_FAMILIES)})_x(\d+(?:\.\d+)?)")
_WIDEST, _NARROWEST = 4.0, 0.05  # wide enough for every published multiplier; beyond lies a slip of the keyboard


def width_name(base: str, width_mult: float) -> str:
    """`mobilenet_v2_x0.5`; the base name itself at width 1."""
    return base if width_mult == 1.0 else f"{base}_x{width_mult:g}"


def _at_width(base: str, width_mult: float, *, tensorflow: bool) -> ArchSpec:
    symmetric, tf, _ = _WIDTH_FAMILIES[base]
    make = tf if tensorflow else symmetric
    return make(width_name(base, width_mult), width_mult)


@lru_cache(maxsize=1)
def _listed() -> dict[str, ArchSpec]:
    specs = [*efficientnet.SPECS, *efficientnet_lite.SPECS, *efficientnet_v2.SPECS]
    for base, (_, _, widths) in _WIDTH_FAMILIES.items():
        specs += [_at_width(base, width, tensorflow=tf) for width in widths for tf in (False, True)]
    for family in (mobilenet_v3, mnasnet, ghostnet, resnet, xception):
        specs += family.SPECS
    return {spec.name: spec for spec in specs}


def spec_names() -> list[str]:
    """The names of all listed architectures, family by family. Other widths (`mobilenet_v2_x1.3`) exist unlisted."""
    return list(_listed())


def get_spec(name: str) -> ArchSpec:
    """The architecture called `name`: a listed one, or `mobilenet_v1_xW`, `mobilenet_v2_xW` (also `tf_`) at width W.

    Raises UnknownNameError, naming the nearest names, for anything else.
    """
    if spec := _listed().get(name):
        return spec
    if match := _WIDTH_NAME.fullmatch(name):
        prefix, base, width = match.groups()
        if _NARROWEST <= float(width) <= _WIDEST:
            spec = _at_width(base, float(width), tensorflow=bool(prefix))
            return _listed().get(spec.name, spec)
    raise UnknownNameError("model", name, spec_names(), "`foray models` lists them all.")
