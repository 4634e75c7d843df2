"""Which models are shown to lose less than the tolerance against every other one.

A model may be picked when, against every rival, the upper bound of its paired loss lies below the tolerance. Its null
hypothesis is "it loses the tolerance or more to some rival". To reject that at an error, each of its comparisons has to
reject at that same error, with no correction among the rivals (intersection-union test: Berger 1982, Technometrics
24:295): whichever rival is truly the best, one comparison is against that one. So selection of the model
that scored highest, partly by chance, does no harm.

Several models are tested, and one of those that pass is shipped for its cost. They share one error by Holm's steps
(1979, Scandinavian Journal of Statistics 6:65), counted as Shaffer does (1986, Journal of the American Statistical
Association 81:826): whichever model is truly the best, only those tested against it can lose to it. Of m models at most
m - 1 can, so two models are tested at the whole error each. docs/verdict.md has the rates of wrong verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from foray.records import PairedLoss
from foray.statistics import PairedResult, paired_loss
from foray.statistics.crossed import crossed
from foray.statistics.loss import LossSpread, spread_between
from foray.statistics.paired import result_of

COMPARE_ERROR = 0.025  # chance of a wrong pick, shared among the models, where labels may settle what stays open
ALONE_ERROR = 0.05  # the same where nothing will be settled


@dataclass(frozen=True, eq=False)
class PairwiseTests:
    """Every model against every other.

    `split`: of the images. `seeds`: trainings of each. `spreads`: by (reference, candidate), what the candidate loses.
    `errors`: by model, the error at which each of its comparisons was tested last. `passed`: the models that lose less
    than `tolerance` against every rival.
    """

    tolerance: float
    split: str
    seeds: int
    spreads: Mapping[tuple[str, str], LossSpread]
    errors: Mapping[str, float]
    passed: frozenset[str]

    def rivals(self, model: str) -> list[str]:
        """The other models, the strongest rival (the comparison with the weakest evidence for `model`) first."""
        others = [other for other in self.errors if other != model]
        return sorted(others, key=lambda other: (self._distance(other, model), other))

    def open_rivals(self, model: str) -> list[str]:
        """Those against which `model` is not shown to lose less than the tolerance, the strongest first."""
        return [rival for rival in self.rivals(model) if self._distance(rival, model) <= 1]

    def against_every_rival(self, model: str) -> list[PairedLoss]:
        """`model` against every other, the closest comparison first, each at the error that `model` was tested at."""
        return [self.record(rival, model) for rival in self.rivals(model)]

    def against_strongest_rival(self, model: str) -> PairedLoss:
        """`model` against its strongest rival.

        That rival is selected among all of them, so the model's error is divided by their number (Bonferroni). A model
        that passed keeps the bounds that it passed with.
        """
        rivals = self.rivals(model)
        return self.record(rivals[0], model, share=1 if model in self.passed else len(rivals))

    def record(self, reference: str, candidate: str, share: int = 1) -> PairedLoss:
        """What `candidate` loses against `reference`, at the error of `candidate` divided by `share`."""
        confidence = 1 - self.errors[candidate] / share
        result = result_of(self.spreads[reference, candidate], self.seeds, self.tolerance, confidence)
        return as_record(reference, candidate, result, self.split)

    def _distance(self, reference: str, candidate: str) -> float:
        return self.spreads[reference, candidate].distance(self.tolerance, 1 - self.errors[candidate])


def pairwise_tests(
    correct: Mapping[str, npt.NDArray[np.bool_]], tolerance: float, error: float, split: str
) -> PairwiseTests:
    """Tests every model, one or more, at an `error` that they share; `correct`: by model, (seeds, images of `split`),
    the same images for all."""
    parts = {model: crossed(right) for model, right in correct.items()}
    spreads: dict[tuple[str, str], LossSpread] = {}
    for one, other in combinations(correct, 2):
        spreads[one, other] = spread_between(parts[one], parts[other])
        spreads[other, one] = spreads[one, other].swapped()

    def passes(model: str, error: float) -> bool:
        return all(spreads[rival, model].distance(tolerance, 1 - error) > 1 for rival in rivals[model])

    rivals = {model: [other for other in correct if other != model] for model in correct}
    errors, passed = shared_error(rivals, passes, error, tolerance)
    return PairwiseTests(tolerance, split, next(iter(parts.values())).seeds, spreads, errors, passed)


def shared_error(
    rivals: Mapping[str, Collection[str]], passes: Callable[[str, float], bool], error: float, tolerance: float
) -> tuple[dict[str, float], frozenset[str]]:
    """Holm's steps: the error at which each model was tested last, and the models that passed.

    `rivals`: by model to test, those that it is tested against. `passes`: whether a model passes at an error. Whichever
    rival is truly the best, the models still open that are tested against it share `error`; with a tolerance of 0
    several can be the best, and all that are open share it. The error of those that pass goes to the others; when none
    passes in a round, all that are open keep its error.
    """
    errors: dict[str, float] = {}
    passed: set[str] = set()
    while left := [model for model in rivals if model not in errors]:
        against = {rival: sum(rival in rivals[model] for model in left) for model in left for rival in rivals[model]}
        most_true = {model: max((against[rival] for rival in rivals[model]), default=1) for model in left}
        at = {model: error / (most_true[model] if tolerance > 0 else len(left)) for model in left}
        passing = [model for model in left if passes(model, at[model])]
        passed |= set(passing)
        errors |= {model: at[model] for model in passing or left}
    return errors, frozenset(passed)


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
    return as_record(reference, candidate, result, split)


def as_record(reference: str, candidate: str, result: PairedResult, split: str) -> PairedLoss:
    """`result` as it is written to disk."""
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
