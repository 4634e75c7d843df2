"""The grid of the search: ways to spend twice the MACs on depth, width and resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

from foray.errors import ForayError
from foray.limits import MOST_STEPS, require_range
from foray.scaling.candidates import Family, products
from foray.scaling.capacity import realised_multipliers
from foray.scaling.cost_formulas import scaled_cost
from foray.specs import PUBLISHED_COEFFICIENTS, ArchSpec, Coefficients, Multipliers

WORK = 2.0  # times the proxy's multiply-accumulates: one step of phi

_LEAST_WORK, _MOST_WORK = 1.6, 2.5
_WORK_MATTERS = 3.0  # equal MACs matter more for a fair comparison than the exact direction


@dataclass(frozen=True)
class Direction:
    """Shares of depth, width and resolution in the doubling of MACs: alpha * beta^2 * gamma^2 = 2 by construction.

    alpha = 2^depth, beta = 2^(width / 2), gamma = 2^(resolution / 2). `published`: Tan & Le's coefficients.
    """

    depth: float
    width: float
    resolution: float
    published: bool = False

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of depth, width and resolution; together 1."""
        return self.depth, self.width, self.resolution

    @property
    def coefficients(self) -> Coefficients:
        """alpha, beta, gamma."""
        return Coefficients(WORK**self.depth, WORK ** (self.width / 2), WORK ** (self.resolution / 2))


def directions(steps: int) -> list[Direction]:
    """All shares that are multiples of 1 / `steps`, the three corners (one dimension alone) among them, and Tan & Le's.

    (steps + 1) (steps + 2) / 2 + 1 directions: 11 for 3 steps. Raises ForayError below 3 steps, where no direction of
    the grid would scale all three dimensions.
    """
    if steps < 3:
        raise ForayError(
            f"`steps` must be at least 3, not {steps}: with fewer, no network would scale all three dimensions."
        )
    require_range("`steps`", steps, 3, MOST_STEPS)
    grid = [
        Direction(depth / steps, width / steps, (steps - depth - width) / steps)
        for depth in range(steps, -1, -1)
        for width in range(steps - depth, -1, -1)
    ]
    return [*grid, _published_direction()]


def _published_direction() -> Direction:
    """The shares of 1.2, 1.1, 1.15, rescaled from 1.92 to 2 times the MACs."""
    alpha, beta, gamma = PUBLISHED_COEFFICIENTS.at(1.0)
    logs = math.log(alpha), 2 * math.log(beta), 2 * math.log(gamma)
    depth, width, resolution = (log / sum(logs) for log in logs)
    return Direction(depth, width, resolution, published=True)


class Neighbourhood:
    """Networks around a proxy, up to about twice its MACs, that exist after rounding.

    Depths are rounded up, channels to multiples of 8, and a side that the stride does not divide is rounded up in every
    stage, so that the multipliers of a direction alone may miss the MACs by a third. Chosen is therefore the network
    that, as built, is nearest to the direction and to twice the MACs.
    """

    def __init__(self, family: Family, proxy: ArchSpec) -> None:
        self.proxy = proxy
        macs = scaled_cost(proxy, family.num_classes).macs
        depths = [proxy.depth_mult, *(round(proxy.depth_mult * step / 40, 2) for step in range(41, 121))]
        widths = [proxy.width_mult, *(round(proxy.width_mult * step / 40, 2) for step in range(41, 73))]
        sides = [side for side in range(proxy.resolution + 1, 3 * proxy.resolution // 2 + 1) if side % 4 == 0]
        self._networks = []
        for spec, _ in products(family, depths, widths, [proxy.resolution, *sides]):
            work = scaled_cost(spec, family.num_classes).macs / macs
            if _LEAST_WORK < work < _MOST_WORK:
                self._networks.append((spec, work, realised_multipliers(spec, proxy)))

    def nearest(self, direction: Direction) -> ArchSpec:
        """The network of this direction; dimensions that it leaves alone are exactly the proxy's.

        Raises ForayError when the neighbourhood has none.
        """
        wanted = direction.coefficients.at(1.0)

        def fits(built: Multipliers) -> bool:
            return all(share > 0 or mult == 1.0 for share, mult in zip(direction.shares, built, strict=True))

        def miss(work: float, built: Multipliers) -> float:
            depth, width, resolution = (abs(math.log(is_ / of)) for is_, of in zip(built, wanted, strict=True))
            return _WORK_MATTERS * abs(math.log(work / WORK)) + depth + 2 * width + 2 * resolution

        fitting = [(miss(work, built), spec) for spec, work, built in self._networks if fits(built)]
        if not fitting:
            raise ForayError(f"No network near {self.proxy.name} has twice its MACs. Choose another `proxy`.")
        return min(fitting, key=lambda one: one[0])[1]
