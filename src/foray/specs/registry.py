"""Which architectures there are, by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from foray.errors import ForayError, UnknownNameError
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
from foray.specs.scaled_name import EXAMPLE, MARK, ScaledName, parse_scaled_name
from foray.specs.scaling import ScalingRule, scale
from foray.specs.spec import ArchSpec
from foray.specs.tensorflow import TF_PREFIX

WidthFamily = Callable[[str, float], ArchSpec]

# Families with a width multiplier: base name -> (symmetric variant, TensorFlow variant, widths that are listed).
_WIDTH_FAMILIES: dict[str, tuple[WidthFamily, WidthFamily, tuple[float, ...]]] = {
    mobilenet_v1.NAME: (mobilenet_v1.mobilenet_v1, mobilenet_v1.tf_mobilenet_v1, mobilenet_v1.LISTED_WIDTHS),
    mobilenet_v2.NAME: (mobilenet_v2.mobilenet_v2, mobilenet_v2.tf_mobilenet_v2, mobilenet_v2.LISTED_WIDTHS),
}
_WIDTH_NAME = re.compile(rf"({TF_PREFIX})?({'|'.join(_WIDTH_FAMILIES)})_x(\d+(?:\.\d+)?)")
# Families that scale in depth, width and resolution: the base network and what its authors leave alone.
_SCALABLE: dict[str, tuple[str, ScalingRule]] = {
    "efficientnet": ("efficientnet_b0", efficientnet.RULE),
    "efficientnet_lite": ("efficientnet_lite0", efficientnet_lite.RULE),
    "efficientnet_v2": ("efficientnet_v2_b0", efficientnet_v2.RULE),
    "mnasnet": ("mnasnet1_0", mnasnet.RULE),
    mobilenet_v1.NAME: (mobilenet_v1.NAME, mobilenet_v1.RULE),
    mobilenet_v2.NAME: (mobilenet_v2.NAME, mobilenet_v2.RULE),
}
_WIDEST, _NARROWEST = 4.0, 0.05  # wide enough for every published multiplier; beyond lies a slip of the keyboard


def width_name(base: str, width_mult: float) -> str:
    """The name of a MobileNet at a width; the base name itself at width 1.

    >>> width_name("mobilenet_v2", 0.5)
    'mobilenet_v2_x0.5'
    """
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
    """The names of all listed architectures, family by family. Other widths (`mobilenet_v2_x1.3`) exist unlisted.

    >>> spec_names()[:2]
    ['efficientnet_b0', 'tf_efficientnet_b0']
    """
    return list(_listed())


def get_spec(name: str) -> ArchSpec:
    """The architecture of a name: a listed one, a MobileNetV1 or V2 of another width, or a scaled one.

    Args:
        name: `mobilenet_v2_xW` is MobileNetV2 at width W; `efficientnet@d1.2,w1.1,r240` EfficientNet-B0 scaled in
            depth, width and resolution (see `scalable_families`); `tf_` before any of them its TensorFlow variant.

    Returns:
        Its table.

    Raises:
        UnknownNameError: with the nearest names, for a name that is not known.
        ForayError: for a scaled name that says something impossible.

    >>> spec = get_spec("efficientnet@d1.2,w1.1,r240")
    >>> spec.family, spec.resolution, spec.stride, spec.num_features
    ('efficientnet', 240, 32, 1408)
    """
    if spec := _listed().get(name):
        return spec
    if MARK in name:
        return scaled_spec(parse_scaled_name(name))
    if match := _WIDTH_NAME.fullmatch(name):
        prefix, base, width = match.groups()
        if _NARROWEST <= float(width) <= _WIDEST:
            spec = _at_width(base, float(width), tensorflow=bool(prefix))
            return _listed().get(spec.name, spec)
    raise UnknownNameError("model", name, spec_names(), "`foray models` lists them all.")


def paper_macs(spec: ArchSpec) -> int | None:
    """Multiply-accumulates as the paper or its release prints them, for this table and resolution; None if nowhere.

    >>> paper_macs(get_spec("efficientnet_b0"))
    390000000
    """
    published = spec.published
    if published is None:
        return None
    if published.macs is not None and not published.macs_are_counted:
        return published.macs
    release = _listed().get(TF_PREFIX + spec.name)
    if release and release.published and release.resolution == spec.resolution:
        return release.published.macs
    return published.paper_macs


def scalable_families() -> list[str]:
    """Families that scaled names may start with, without the prefix of their TensorFlow variants."""
    return list(_SCALABLE)


def base_spec(family: str) -> ArchSpec:
    """The network that a family is scaled from.

    Args:
        family: one of `scalable_families`; with `tf_` before it, the TensorFlow variant.

    Raises:
        UnknownNameError: for a family without a scaling rule.

    >>> base_spec("efficientnet").name
    'efficientnet_b0'
    """
    known = [*_SCALABLE, *(TF_PREFIX + family for family in _SCALABLE)]
    if family not in known:
        see = f"Scaled are {', '.join(_SCALABLE)} (tf_ for TensorFlow's): {EXAMPLE}."
        raise UnknownNameError("family", family, known, see)
    bare = family.removeprefix(TF_PREFIX)
    prefix = family.removesuffix(bare)
    return _listed()[prefix + _SCALABLE[bare][0]]


def scaled_spec(wanted: ScaledName) -> ArchSpec:
    """The base of a family with its multipliers and resolution, under the canonical form of its name.

    Raises UnknownNameError for a family without a scaling rule, ForayError for a resolution below the network's stride.
    """
    base = base_spec(wanted.family)
    rule = _SCALABLE[wanted.family.removeprefix(TF_PREFIX)][1]
    resolution = wanted.resolution or base.resolution
    name = str(wanted._replace(resolution=resolution))
    if resolution < base.stride:
        raise ForayError(
            f"Model {name!r}: {resolution} px is less than the network's stride of {base.stride} px, too small "
            f"for it. Use at least r{base.stride}."
        )
    return replace(
        scale(base, name, rule, width_mult=wanted.width_mult, depth_mult=wanted.depth_mult),
        resolution=resolution,
        preprocessing=replace(base.preprocessing, resolution=resolution),
        fixed_resolution=True,
    )


def listed_twin(spec: ArchSpec) -> str | None:
    """The listed network that a scaled one is at another resolution, whose weights fit it; None if there is none.

    >>> listed_twin(get_spec("mobilenet_v2@w0.5,r160"))
    'mobilenet_v2_x0.5'
    """
    if not spec.fixed_resolution:
        return None

    def table(of: ArchSpec) -> tuple[object, ...]:
        return of.padding, of.bn_eps, of.stem, of.stages, of.head

    same = (name for name, other in _listed().items() if other.family == spec.family and table(other) == table(spec))
    return next(same, None)
