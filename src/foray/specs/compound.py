"""Compound scaling (Tan & Le 2019, arXiv:1905.11946, equations 2 and 3).

depth = alpha^phi, width = beta^phi, resolution = gamma^phi, with alpha * beta^2 * gamma^2 ~ 2: work grows with the
depth and with the squares of width and resolution, so each step of phi doubles it. The paper's grid search on
EfficientNet-B0 found alpha 1.2, beta 1.1, gamma 1.15 (product 1.92); B0 is phi 0.

How the released B1 to B7 relate to it: the authors rounded depth and width to one decimal and chose the resolutions by
hand. phi as each of their three numbers implies it (log of depth, width and resolution / 224 to those bases):

    ====  =====  =====  ==========  =========  =========  ==============
    name  depth  width  resolution  phi depth  phi width  phi resolution
    ====  =====  =====  ==========  =========  =========  ==============
    B1    1.1    1.0    240         0.5        0.0        0.5
    B2    1.2    1.1    260         1.0        1.0        1.1
    B3    1.4    1.2    300         1.8        1.9        2.1
    B4    1.8    1.4    380         3.2        3.5        3.8
    B5    2.2    1.6    456         4.3        4.9        5.1
    B6    2.6    1.8    528         5.2        6.2        6.1
    B7    3.1    2.0    600         6.2        7.3        7.1
    ====  =====  =====  ==========  =========  =========  ==============

So gamma^phi alone does not give the published resolutions: at phi 1 it gives 258 where B2 has 260, at phi 2 296 for
B3's 300. The tables of the release stand in foray.specs.efficientnet, this rule is what continues them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class Multipliers(NamedTuple):
    """How many times deeper, wider and higher in resolution than the base network."""

    depth: float
    width: float
    resolution: float


@dataclass(frozen=True)
class Coefficients:
    """alpha, beta, gamma of compound scaling (Tan & Le 2019, equation 3).

    Raises:
        ValueError: for a coefficient below 1 (the paper's constraint), and when all three are 1.

    >>> multipliers = PUBLISHED_COEFFICIENTS.at(2.0)
    >>> round(multipliers.depth, 3), round(multipliers.width, 3), round(multipliers.resolution, 4)
    (1.44, 1.21, 1.3225)
    >>> round(PUBLISHED_COEFFICIENTS.work, 2)
    1.92
    """

    alpha: float
    beta: float
    gamma: float

    def __post_init__(self) -> None:
        if min(self.alpha, self.beta, self.gamma) < 1 or max(self.alpha, self.beta, self.gamma) == 1:
            raise ValueError(f"alpha, beta and gamma must be at least 1 and not all 1, not {self}")

    @property
    def work(self) -> float:
        """How many times more multiply-accumulates one step of phi costs, alpha * beta^2 * gamma^2."""
        return self.alpha * self.beta**2 * self.gamma**2

    def at(self, phi: float) -> Multipliers:
        """Depth, width and resolution multipliers at `phi`, which may be negative (smaller networks) or fractional."""
        return Multipliers(self.alpha**phi, self.beta**phi, self.gamma**phi)

    def phi_of(self, multipliers: Multipliers) -> tuple[float, ...]:
        """The phi that each dimension alone implies, for the dimensions that are scaled: those with a coefficient
        above 1.
        """
        pairs = zip((self.alpha, self.beta, self.gamma), multipliers, strict=True)
        return tuple(math.log(mult) / math.log(base) for base, mult in pairs if base > 1)


PUBLISHED_COEFFICIENTS = Coefficients(alpha=1.2, beta=1.1, gamma=1.15)
