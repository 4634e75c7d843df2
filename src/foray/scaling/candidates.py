"""The candidate networks of a family: along phi, by width and resolution, or free in all three dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, product
from typing import Literal, get_args

from foray.errors import require_known
from foray.records import CostProfile
from foray.scaling.capacity import capacity
from foray.scaling.cost_formulas import scaled_cost
from foray.specs import (
    TF_PREFIX,
    ArchSpec,
    Coefficients,
    Multipliers,
    ScaledName,
    base_spec,
    get_spec,
    listed_twin,
    parse_scaled_name,
    scaled_spec,
    spec_names,
)

By = Literal["phi", "multipliers", "free"]

# The widths and resolutions of the MobileNetV2 release (arXiv:1801.04381, section 6.1; TensorFlow-Slim's README).
_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_RESOLUTIONS = (96, 128, 160, 192, 224)

_PHIS = tuple(step / 10 for step in range(-60, 81))

_FREE_DEPTHS = (0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.2, 2.6, 3.1)
_FREE_WIDTHS = (0.25, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0, 2.2)
_FREE_RESOLUTIONS = (*range(64, 256, 16), *range(256, 448, 32), *range(448, 641, 64))


@dataclass(frozen=True)
class Family:
    """A family with its coefficients and number of classes. `name` may have TensorFlow's prefix. `num_classes`: of the
    logits.

    Raises UnknownNameError for a family without a scaling rule.
    """

    name: str
    coefficients: Coefficients
    num_classes: int = 1000

    def __post_init__(self) -> None:
        base_spec(self.name)

    @cached_property
    def base(self) -> ArchSpec:
        """The network with multipliers of 1."""
        return base_spec(self.name)

    @property
    def own_rule(self) -> By:
        """How its authors scaled it: EfficientNets along phi, MobileNets and MnasNet in width and resolution."""
        return "phi" if "efficientnet" in self.name else "multipliers"

    def released(self) -> list[ArchSpec]:
        """The listed networks of the family that are the base, scaled."""
        tensorflow = self.name.startswith(TF_PREFIX)
        specs = [get_spec(name) for name in spec_names() if name.startswith(TF_PREFIX) == tensorflow]
        return [spec for spec in specs if spec.family == self.base.family and self._is_scaled_base(spec)]

    def _is_scaled_base(self, spec: ArchSpec) -> bool:
        """False for EfficientNetV2-S to L and MnasNet-A1, which have their own tables."""
        return same_table(spec, scaled_spec(ScaledName(self.name, spec.depth_mult, spec.width_mult)))


@dataclass(frozen=True)
class ScaledNetwork:
    """One network, its cost and its capacity (see foray.scaling.capacity).

    `phi`: where it lies on the compound path, None for others. `twin`: the released network that differs in
    resolution only, whose published weights fit it.
    """

    spec: ArchSpec
    cost: CostProfile
    capacity: float
    phi: float | None
    twin: str | None

    @property
    def name(self) -> str:
        """As get_spec takes it."""
        return self.spec.name


def candidates(family: Family, by: By) -> list[ScaledNetwork]:
    """All networks of one way of scaling; duplicates after rounding are removed, published names preferred."""
    require_known("way of scaling", by, get_args(By))
    scaled = {"phi": _along_phi, "multipliers": _by_multipliers, "free": _free}[by]
    return _evaluated(family, chain(((spec, None) for spec in family.released()), scaled(family)))


def refined(family: Family, around: ScaledNetwork) -> list[ScaledNetwork]:
    """Finer steps around one network of the free grid."""
    depth, width, resolution = around.spec.depth_mult, around.spec.width_mult, around.spec.resolution
    depths = [depth + step / 20 for step in range(-4, 5)]
    widths = [width + step / 50 for step in range(-5, 6)]
    resolutions = range(resolution - 32, resolution + 33, 4)
    return _evaluated(family, products(family, _positive(depths), _positive(widths), resolutions))


def network_at(family: Family, multipliers: Multipliers) -> ArchSpec:
    """The network of these multipliers: depth and width to two decimals, resolution to a multiple of 4 pixels.

    Raises ForayError below the network's stride.
    """
    resolution = 4 * round(family.base.resolution * multipliers.resolution / 4)
    return scaled_spec(ScaledName(family.name, round(multipliers.depth, 2), round(multipliers.width, 2), resolution))


def same_table(one: ArchSpec, other: ArchSpec) -> bool:
    """Whether two networks of a family differ in resolution at most."""
    return (one.stem, one.stages, one.head) == (other.stem, other.stages, other.head)


_Found = tuple[ArchSpec, float | None]  # a network and its phi


def _evaluated(family: Family, found: Iterable[_Found]) -> list[ScaledNetwork]:
    """Networks with cost and capacity, the first of every set of equal ones."""
    seen: set[object] = set()
    evaluated = []
    for spec, phi in found:
        table = spec.stem, spec.stages, spec.head, spec.resolution
        if table in seen:
            continue
        seen.add(table)
        evaluated.append(
            ScaledNetwork(
                spec=spec,
                cost=scaled_cost(spec, family.num_classes),
                capacity=capacity(spec, family.base, family.coefficients),
                phi=phi,
                twin=listed_twin(spec) if spec.fixed_resolution else spec.name,
            )
        )
    return evaluated


def _along_phi(family: Family) -> Iterator[_Found]:
    for phi in _PHIS:
        multipliers = family.coefficients.at(phi)
        if family.base.resolution * multipliers.resolution >= family.base.stride:
            yield network_at(family, multipliers), phi


def _by_multipliers(family: Family) -> Iterator[_Found]:
    widths = sorted({*_WIDTHS, *(spec.width_mult for spec in family.released())})
    return products(family, (1.0,), widths, _RESOLUTIONS)


def _free(family: Family) -> Iterator[_Found]:
    return products(family, _FREE_DEPTHS, _FREE_WIDTHS, _FREE_RESOLUTIONS)


def products(
    family: Family, depths: Iterable[float], widths: Iterable[float], resolutions: Iterable[int]
) -> Iterator[_Found]:
    """All combinations without duplicate tables; among equal tables the depth nearest to 1 gives the name."""
    tables: set[object] = set()
    for depth, width in product(sorted(depths, key=lambda depth: abs(depth - 1)), widths):
        one = scaled_spec(ScaledName(family.name, round(depth, 4), round(width, 4), family.base.resolution))
        if (one.stem, one.stages, one.head) in tables:
            continue
        tables.add((one.stem, one.stages, one.head))
        for resolution in resolutions:
            if resolution >= family.base.stride:
                yield at_resolution(one, resolution), None


def at_resolution(spec: ArchSpec, resolution: int) -> ArchSpec:
    """A scaled network at another resolution, under its name there."""
    name = ScaledName(parse_scaled_name(spec.name).family, spec.depth_mult, spec.width_mult, resolution)
    preprocessing = replace(spec.preprocessing, resolution=resolution)
    return replace(spec, name=str(name), resolution=resolution, preprocessing=preprocessing)


def _positive(values: Iterable[float]) -> list[float]:
    return [value for value in values if value >= 0.05]
