"""Compound scaling as a solver: candidate networks, their costs by formula, the largest one within a budget.

The grid search that trains (`foray.scaling.search`) is imported by itself: it needs torch, the solver does not.
"""

from foray.scaling.candidates import By, Family, ScaledNetwork, candidates
from foray.scaling.capacity import capacity, realised_multipliers
from foray.scaling.cost_formulas import scaled_cost
from foray.scaling.solve import Binding, ScalingSolution, solve

__all__ = [
    "Binding", "By", "Family", "ScaledNetwork", "ScalingSolution", "candidates", "capacity", "realised_multipliers",
    "scaled_cost", "solve",
]  # fmt: skip
