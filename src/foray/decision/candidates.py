"""The models that a decision is between: those within the budget that have a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foray.decision.budgets import broken_bounds
from foray.records import Budget, CostProfile, Preference


@dataclass(frozen=True, eq=False)
class Candidate:
    """What the decision knows of a model.

    `correct`: (seeds, images) on one split, the same images for every candidate; None when there is no result, because
    the model is over a bound or its training failed. `train_seconds`: of one run; None: not known.
    """

    model: str
    correct: npt.NDArray[np.bool_] | None
    cost: CostProfile
    train_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Scored:
    """A candidate within the budget that has a result. `cost`: the one that the user prefers; None: not known."""

    model: str
    correct: npt.NDArray[np.bool_]
    accuracy: float
    cost: float | None
    train_seconds: float | None

    def is_cheaper_than(self, other: Scored) -> bool:
        """False where either cost is not known."""
        return self.cost is not None and other.cost is not None and self.cost < other.cost


def within_budget(candidates: Sequence[Candidate], budget: Budget) -> list[Candidate]:
    """Those that keep every bound."""
    return [candidate for candidate in candidates if not broken_bounds(candidate.cost, budget)]


def scored_within(candidates: Sequence[Candidate], budget: Budget, prefer: Preference) -> list[Scored]:
    """Those that keep every bound and have a result, the most accurate first."""
    scored = [
        Scored(one.model, one.correct, float(one.correct.mean()), one.cost.cost(prefer), one.train_seconds)
        for one in within_budget(candidates, budget)
        if one.correct is not None
    ]
    return sorted(scored, key=_most_accurate_first)


def _most_accurate_first(one: Scored) -> tuple[float, bool, float, str]:
    """Ties: the cheaper first, then by name."""
    return -one.accuracy, one.cost is None, one.cost or 0.0, one.model
