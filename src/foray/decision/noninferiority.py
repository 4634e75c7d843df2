"""Which models are shown to lose less than the tolerance against every other one.

A model may be picked when, against every rival, the upper bound of its paired loss lies below the tolerance. Its null
hypothesis is "it loses the tolerance or more to some rival". To reject that at an error, each of its comparisons has to
reject at that same error, with no correction among the rivals (intersection-union test: Berger 1982, Technometrics
24:295): whichever rival is truly the best, one comparison is against that one. So selection of the model
that scored highest, partly by chance, does no harm.

Several models are tested, and one of those that pass is shipped for its cost. They share one error of 5 % by Holm's
steps (1979, Scandinavian Journal of Statistics 6:65), counted as Shaffer does (1986, Journal of the American
Statistical Association 81:826): the truly best model loses to no other, so of m hypotheses at most m - 1 are true.
Two models are thus tested at 5 % each. docs/verdict.md has the rates of wrong verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from foray.records import PairedLoss
from foray.statistics import PairedResult, paired_loss
from foray.statistics.crossed import crossed
from foray.statistics.loss import LossSpread, spread_between
from foray.statistics.paired import result_of

ERROR = 0.05  # chance of a wrong pick, shared among the models


@dataclass(frozen=True, eq=False)
class PairwiseTests:
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
        """The other models, the strongest rival (the comparison with the weakest evidence for `model`) first."""
        others = [other for other in self.errors if other != model]
        return sorted(others, key=lambda other: (self._distance(other, model, self.errors[model]), other))

    def _distance(self, reference: str, candidate: str, error: float) -> float:
        return self.spreads[reference, candidate].distance(self.tolerance, 1 - error)


def pairwise_tests(correct: Mapping[str, npt.NDArray[np.bool_]], tolerance: float) -> PairwiseTests:
    """Tests every model, one or more; `correct`: by model, (seeds, images), the same images for all.

    With k models open of m, each is tested at 5 % / min(k, m - 1). The error of those that pass goes to the others;
    when none passes in a round, all that are open keep its error.
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
    return PairwiseTests(tolerance, seeds, spreads, errors, frozenset(passed))


def against_every_rival(model: str, tested: PairwiseTests, split: str) -> list[PairedLoss]:
    """`model` against every other, the closest comparison first, each at the error that `model` was tested at."""
    confidence = 1 - tested.errors[model]
    return [_record(tested, rival, model, confidence, split) for rival in tested.rivals(model)]


def against_strongest_rival(model: str, tested: PairwiseTests, split: str) -> PairedLoss:
    """`model` against its strongest rival.

    That rival is selected among all of them, so the model's error is divided by their number (Bonferroni). A model that
    passed keeps the bounds that it passed with.
    """
    rivals = tested.rivals(model)
    share = 1 if model in tested.passed else len(rivals)
    return _record(tested, rivals[0], model, 1 - tested.errors[model] / share, split)


def paired_record(
    reference: str,
    reference_correct: npt.NDArray[np.bool_],
    candidate: str,
    candidate_correct: npt.NDArray[np.bool_],
    tolerance: float,
    confidence: float,
    split: str,
) -> PairedLoss:
    """What `candidate` loses against `reference` on `split`, from their correctness (seeds, images)."""
    result = paired_loss(reference_correct, candidate_correct, tolerance, confidence=confidence)
    return _as_record(reference, candidate, result, split)


def _record(tested: PairwiseTests, reference: str, candidate: str, confidence: float, split: str) -> PairedLoss:
    spread = tested.spreads[reference, candidate]
    return _as_record(reference, candidate, result_of(spread, tested.seeds, tested.tolerance, confidence), split)


def _as_record(reference: str, candidate: str, result: PairedResult, split: str) -> PairedLoss:
    return PairedLoss(
        reference=reference,
        candidate=candidate,
        split=split,
        n=result.n,
        seeds=result.seeds,
        loss=result.loss,
        lower=result.lower,
        upper=result.upper,
        confidence=result.confidence,
        tolerance=result.tolerance,
        status=result.status,
        images_needed=result.needed.images,
        more_seeds=result.needed.more_seeds,
        p_value=result.p_value,
    )
