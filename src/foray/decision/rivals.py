"""Which models are shown to lose less than the tolerance against every other one.

A model may be picked when, against every rival, the upper bound of its paired loss lies below the tolerance. Its null
hypothesis is "it loses the tolerance or more to some rival". To reject that at an error, each of its comparisons has to
reject at that same error, with no correction among the rivals (intersection-union test: Berger 1982, Technometrics
24:295): whichever rival is truly the best, one comparison is against that one. So it does not matter that the model
that came out most accurate is partly the luckiest.

Several models are tested, and one of those that pass is shipped for its cost. They share one error of 5 % by Holm's
steps (1979, Scandinavian Journal of Statistics 6:65), counted as Shaffer does (1986, Journal of the American
Statistical Association 81:826): the truly best model never loses to anybody, so of m hypotheses at most m - 1 are true.
Two models are thus tested at 5 % each. docs/verdict.md has the rates of wrong verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from foray.statistics.crossed import crossed
from foray.statistics.loss import LossSpread, spread_between

ERROR = 0.05  # chance of a wrong pick, shared among the models


@dataclass(frozen=True, eq=False)
class Contest:
    """Every model against every other.

    `seeds`: trainings of each. `spreads`: by (reference, candidate), what the candidate loses. `errors`: by model, the
    error at which each of its comparisons was tested last. `passed`: the models that lose less than `tolerance`
    against every rival.
    """

    tolerance: float
    seeds: int
    spreads: Mapping[tuple[str, str], LossSpread]
    errors: Mapping[str, float]
    passed: frozenset[str]

    def rivals(self, model: str) -> list[str]:
        """The others, the one that `model` is least shown to keep up with first."""
        others = [other for other in self.errors if other != model]
        return sorted(others, key=lambda other: (self._distance(other, model, self.errors[model]), other))

    def _distance(self, reference: str, candidate: str, error: float) -> float:
        return self.spreads[reference, candidate].distance(self.tolerance, 1 - error)


def contest(correct: Mapping[str, npt.NDArray[np.bool_]], tolerance: float) -> Contest:
    """Tests every model, one or more; `correct`: by model, (seeds, images), the same images for all.

    With k models open of m, each is tested at 5 % / min(k, m - 1). Those that pass leave more error to the others; when
    a round lets none pass, all that are open keep its error.
    """
    parts = {model: crossed(right) for model, right in correct.items()}
    spreads: dict[tuple[str, str], LossSpread] = {}
    for one, other in combinations(correct, 2):
        spreads[one, other] = spread_between(parts[one], parts[other])
        spreads[other, one] = spreads[one, other].swapped()
    most_true = len(correct) - 1 if tolerance > 0 else len(correct)
    errors: dict[str, float] = {}
    passed: set[str] = set()
    while left := [model for model in correct if model not in errors]:
        error = ERROR / max(min(len(left), most_true), 1)
        passing = [
            model
            for model in left
            if all(spreads[other, model].distance(tolerance, 1 - error) > 1 for other in correct if other != model)
        ]
        passed |= set(passing)
        errors |= dict.fromkeys(passing or left, error)
    seeds = next(iter(parts.values())).seeds
    return Contest(tolerance, seeds, spreads, errors, frozenset(passed))
