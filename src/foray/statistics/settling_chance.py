"""Before any label: how likely labelling brings a verdict, from what validation says of the two networks.

Each possible outcome is drawn from what validation leaves open (predictive power: Spiegelhalter, Freedman & Blackburn
1986, Controlled Clinical Trials 7:8) and judged by the very rule. Random numbers are fixed: the same data give the same
answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foray.statistics.crossed import Correct
from foray.statistics.loss import loss_spread
from foray.statistics.settling import SETTLE_ERROR, SettlingRule

_DRAWS = 300
_LOOKS = 32  # numbers of labels at which each draw is looked at
_JEFFREYS = 0.5  # images of each kind, beforehand


@dataclass(frozen=True)
class Chance:
    """`probability`: of a verdict, not worse or worse. `expected_labels`: mean number of labels until it comes, or of
    all disagreements where none comes."""

    probability: float
    expected_labels: float


def chance_to_settle(
    images: int,
    disagreements: int,
    losses_on_val: int,
    gains_on_val: int,
    neither_on_val: int,
    tolerance: float,
    error: float = SETTLE_ERROR,
    worse_error: float | None = None,
) -> Chance:
    """What labelling the disagreements of one pair would bring, one seed each.

    Args:
        images: N, unlabelled images that both networks classified.
        disagreements: D, those on which their labels differ.
        losses_on_val: of the validation images on which they differ, those that only the reference got right.
        gains_on_val: those that only the candidate got right.
        neither_on_val: those that neither got right.
        tolerance: loss of accuracy that is allowed, in [0, 1].
        error: of the verdict "not worse", as for `settled_status`.
        worse_error: of the verdict "worse"; None: `error`.

    Returns:
        Probability and labels, with a standard error of about 3 % of what is possible.

    >>> few = chance_to_settle(1200, 24, losses_on_val=5, gains_on_val=5, neither_on_val=4, tolerance=0.01)
    >>> 0.5 < few.probability < 1, few.expected_labels < 24
    (True, True)
    """
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.array([losses_on_val, gains_on_val, neither_on_val]) + _JEFFREYS, _DRAWS)
    place = rng.random((_DRAWS, disagreements))
    losses, neither = place < shares[:, :1], place >= 1 - shares[:, 2:]
    counts = [np.cumsum(kind, axis=1) for kind in (losses, ~losses & ~neither, neither)]
    counts = [np.concatenate([np.zeros((_DRAWS, 1), dtype=np.intp), count], axis=1) for count in counts]
    rule = SettlingRule(images, disagreements, tolerance, error, worse_error)
    labels, open_ones = np.full(_DRAWS, disagreements), np.arange(_DRAWS)
    for look in np.unique(np.linspace(0, disagreements, _LOOKS).round().astype(np.intp)):
        decided = rule.statuses(*(count[open_ones, look] for count in counts)) != 0
        labels[open_ones[decided]] = look
        open_ones = open_ones[~decided]
    return Chance(1 - len(open_ones) / _DRAWS, float(labels.mean()))


def chance_over_seeds(
    reference: Correct,
    candidate: Correct,
    images: int,
    disagreements: int,
    tolerance: float,
    error: float,
    worse_error: float | None = None,
) -> Chance:
    """The same for several seeds, where all images with any difference between labels are labelled.

    Outcomes are draws among such images of validation, weighted at random (Bayesian bootstrap: Rubin 1981, Annals of
    Statistics 9:130). Half an image each is added that all seeds of one model got right and none of the other, either
    way, and that none got right.

    Args:
        reference: (S, M), whether each training was right about the M validation images whose S labels of both models
            are not all the same.
        candidate: (S, M), the same of the other model.
        images: N, unlabelled images that all networks classified.
        disagreements: D, those whose labels are not all the same.
        tolerance: loss of accuracy that is allowed, in [0, 1].
        error: of the verdict "not worse", in (0, 0.5).
        worse_error: of the verdict "worse"; None: `error`.

    Returns:
        Probability, and D as the number of labels.
    """
    rng, seeds = np.random.default_rng(0), len(reference)
    beforehand = np.array([[True, False, False], [False, True, False]])
    kinds = [
        np.concatenate([model, np.tile(extra, (seeds, 1))], axis=1)
        for model, extra in zip((reference, candidate), beforehand, strict=True)
    ]
    weights = np.concatenate([np.ones(reference.shape[1]), np.full(3, _JEFFREYS)])
    both = np.ones((2, seeds, images), dtype=np.bool_)
    decided, of_worse = 0, error if worse_error is None else worse_error
    for share in rng.dirichlet(weights, _DRAWS):
        drawn = rng.choice(len(share), disagreements, p=share)
        both[:, :, :disagreements] = [model[:, drawn] for model in kinds]
        spread = loss_spread(both[0], both[1])
        decided += spread.distance(tolerance, 1 - error) > 1 or spread.distance(tolerance, 1 - of_worse) < -1
    return Chance(decided / _DRAWS, float(disagreements))
