"""Deciding between two networks by labelling only the images on which their labels differ.

On an image that both networks give the same label the paired difference is zero, whatever the true label is. Of N
unlabelled images the D on which they differ therefore carry all that N labelled images would say of the loss.

Images are labelled in a random order that was drawn before the first label. After k labels, with l losses (only the
reference was right), g gains (only the candidate) and o neither, final numbers L and G of losses and gains among the D
stay possible while

    C(L, l) C(G, g) C(D - L - G, o) / C(D, k)  >=  error / C(k + 2, 2).

The left side is the chance of what was seen given L and G (sampling without replacement); 1 / C(k + 2, 2) is that
chance when all L and G are equally likely beforehand. The ratio of the two is a martingale for the true L and G, which
are therefore possible at all k together with probability 1 - `error` (prior-posterior ratio: Waudby-Smith & Ramdas
2020, Confidence sequences for sampling without replacement, Advances in Neural Information Processing Systems 33,
arXiv:2006.04347; by Ville's inequality, 1939). So one may look after every label, and stop when all possible L and G
give the same verdict by the test of N labelled images (`paired_loss`). The errors of both add up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from foray.statistics.labelled import Labelled
from foray.statistics.loss import count_distances, count_upper_bounds
from foray.statistics.paired import Verdict

SETTLE_ERROR = 0.025  # of a wrong verdict by labelling, all models of a comparison together
PREFIX_ERROR = 0.005  # the part of it for looking after every label; the rest is that of the test of N labelled images

_ROUNDING = 1e-9  # of a sum of logarithms
_FEW = 32  # final losses that are looked at first

Ints = npt.NDArray[np.intp]
Numbers = Ints | int
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def settled_status(
    labelled: Labelled, tolerance: float, error: float = SETTLE_ERROR, worse_error: float | None = None
) -> Verdict:
    """The verdict that the labels so far allow; at any number of labels, and at all of them together, wrong with at
    most the chance `error`, or `worse_error` where it is "worse".

    Skipped images count as losses where `not_worse` is asked and as gains where `worse` is.

    Args:
        labelled: the labels so far of one pair.
        tolerance: loss of accuracy that is allowed, in [0, 1].
        error: chance of a wrong "not worse", in (0, 0.5); a fifth of it is that of looking after every label.
        worse_error: the same of "worse"; None: `error`.

    Returns:
        The verdict.

    >>> settled_status(Labelled(images=3000, disagreements=30, losses=4, gains=4, neither=2), tolerance=0.01)
    'unresolved'
    >>> settled_status(Labelled(images=3000, disagreements=30, losses=6, gains=6, neither=3), tolerance=0.01)
    'not_worse'
    """
    rule = settling_rule(labelled.images, labelled.disagreements, tolerance, error, worse_error)
    counts = labelled.losses, labelled.gains, labelled.neither, labelled.skipped
    (status,) = rule.statuses(*(np.array([count]) for count in counts))
    return "not_worse" if status == 1 else "worse" if status == -1 else "unresolved"


def settled_bounds(labelled: Labelled, error: float = SETTLE_ERROR) -> tuple[float, float]:
    """One-sided bounds of the loss in use, each at 1 - `error` at all numbers of labels together.

    Args:
        labelled: the labels so far of one pair; skipped images count against either bound.
        error: of each bound, in (0, 0.5).

    Returns:
        Lower and upper bound, in [-1, 1]: the extremes of those of N labelled images, over all possible final numbers.
    """
    return -_upper_bound(labelled.swapped(), error), _upper_bound(labelled, error)


def _upper_bound(labelled: Labelled, error: float) -> float:
    hardest = labelled.skipped_as_losses()
    disagreements, seen = labelled.disagreements, (hardest.losses, hardest.gains, hardest.neither)
    final_losses = hardest.losses + np.arange(disagreements - hardest.seen + 1)
    least = np.log(error_of_looking(error)) - _ROUNDING
    peak = _likeliest_gains(disagreements, seen, final_losses)
    possible = _log_evidence(disagreements, seen, (final_losses, peak)) >= least
    final_losses, peak = final_losses[possible], peak[possible]
    # With more gains the bound would be lower.
    gains = _fewest(
        lambda gains: _log_evidence(disagreements, seen, (final_losses, gains)) >= least,
        np.full_like(peak, hardest.gains),
        peak,
    )
    counts = final_losses.astype(np.float64), gains.astype(np.float64)
    return float(count_upper_bounds(*counts, labelled.images, 1 - error_of_test(error)).max())


def final_numbers(labelled: Labelled, error: float = PREFIX_ERROR) -> Ints:
    """The final losses and gains among the disagreements that are possible after the labels so far.

    Args:
        labelled: the labels so far of one pair, none skipped.
        error: chance that the true numbers are not always among them, however often one looks.

    Returns:
        Losses and gains, (F, 2), by rising losses and then gains.

    Raises:
        ValueError: where images were skipped.

    >>> final_numbers(Labelled(images=100, disagreements=3, losses=1, gains=2, neither=0))
    array([[1, 2]])
    """
    if labelled.skipped:
        raise ValueError(f"decide first how skipped images count: {labelled}")
    losses, gains, neither = labelled.losses, labelled.gains, labelled.neither
    unseen, found = labelled.disagreements - labelled.seen, []
    for more in range(unseen + 1):
        final_gains = np.arange(gains, gains + unseen - more + 1)
        final = np.full_like(final_gains, losses + more), final_gains
        evidence = _log_evidence(labelled.disagreements, (losses, gains, neither), final)
        inside = final_gains[evidence >= np.log(error) - _ROUNDING]
        found.append(np.stack([np.full_like(inside, losses + more), inside], axis=1))
    return np.concatenate(found)


def error_of_looking(error: float) -> float:
    """The part of `error` for looking after every label."""
    return error * PREFIX_ERROR / SETTLE_ERROR


def error_of_test(error: float) -> float:
    """The part of `error` for the test of N labelled images."""
    return error - error_of_looking(error)


class SettlingRule:
    """`settled_status` of many numbers of labels at once, for one pair of networks.

    `not_worse_from`, `worse_until`: (D + 1,), by final losses, the number of final gains from which on the test of N
    labelled images says not worse, and below which it says worse; each may lie beyond the gains that can be. More gains
    never turn a verdict against the candidate.
    """

    def __init__(
        self,
        images: int,
        disagreements: int,
        tolerance: float,
        error: float = SETTLE_ERROR,
        worse_error: float | None = None,
    ) -> None:
        """`images`: N; `disagreements`: D; `tolerance`, `error` and `worse_error`: as for `settled_status`."""
        self._disagreements, self._error = disagreements, error
        self._worse_error = error if worse_error is None else worse_error
        self._final_losses = np.arange(disagreements + 1)

        def distances(gains: Ints, error: float) -> Floats:
            counts = self._final_losses.astype(np.float64), gains.astype(np.float64)
            return count_distances(*counts, images, tolerance, 1 - error_of_test(error))

        none, beyond = np.zeros_like(self._final_losses), disagreements - self._final_losses + 1
        self.not_worse_from = _fewest(lambda gains: distances(gains, self._error) > 1, none, beyond)
        self.worse_until = _fewest(lambda gains: distances(gains, self._worse_error) >= -1, none, beyond)

    def statuses(self, losses: Ints, gains: Ints, neither: Ints, skipped: Numbers = 0) -> Ints:
        """1 for not worse, -1 for worse, 0 for unresolved.

        Args:
            losses: (P,), of the labels so far.
            gains: (P,), of the same labels.
            neither: (P,), of the same labels.
            skipped: (P,), images that could not be told; they count against either verdict.
        """
        not_worse_fails = self._possible(
            (losses + skipped, gains, neither), self._error,
            lambda final_losses, likeliest: np.minimum(likeliest, self.not_worse_from[final_losses] - 1),
        )  # fmt: skip
        worse_fails = self._possible(
            (losses, gains + skipped, neither), self._worse_error,
            lambda final_losses, likeliest: np.maximum(likeliest, self.worse_until[final_losses]),
        )  # fmt: skip
        found: Ints = np.where(not_worse_fails, np.where(worse_fails, 0, -1), 1)
        return found

    def _possible(self, labels: tuple[Ints, Ints, Ints], error: float, nearest: Callable[[Ints, Ints], Ints]) -> Bools:
        """(P,), whether final numbers that speak against a verdict are possible at `error`, by `labels`: losses, gains
        and neither, (P,) each.

        `nearest`: of those that speak against it the likeliest gains, by final losses and their likeliest gains. A few
        final losses are enough to show that it is possible, all are needed to show that it is not.
        """
        unseen = self._disagreements - labels[0] - labels[1] - labels[2]
        most, least = int(unseen.max(initial=0)), np.log(error_of_looking(error)) - _ROUNDING
        found = np.zeros(len(unseen), dtype=np.bool_)
        for step in sorted({max(most // _FEW, 1), 1}, reverse=True):
            left = ~found
            if not left.any():
                break
            seen = labels[0][left, None], labels[1][left, None], labels[2][left, None]
            final_losses = seen[0] + np.minimum(np.arange(0, most + 1, step), unseen[left, None])
            gains = nearest(final_losses, _likeliest_gains(self._disagreements, seen, final_losses))
            evidence = _log_evidence(self._disagreements, seen, (final_losses, gains))
            found[left] = evidence.max(axis=1) >= least
        return found


def _likeliest_gains(disagreements: int, seen: tuple[Numbers, Numbers, Numbers], final_losses: Ints) -> Ints:
    """By final losses, the final gains under which the labels so far are likeliest.

    The chance falls on both sides of it, so that beyond a bound the likeliest number is the one next to the bound.
    """
    _, gains, neither = seen
    left, told = disagreements - final_losses, gains + neither
    peak = np.where(told > 0, gains * (left + 1) // np.maximum(told, 1), 0)
    found: Ints = np.clip(peak, gains, left - neither)
    return found


def _fewest(holds: Callable[[Ints], Bools], low: Ints, high: Ints) -> Ints:
    """The fewest from `low` to `high` at which `holds`, which then stays true; `high` where it does not before."""
    while (low < high).any():
        middle = (low + high) // 2
        true = holds(middle)
        low, high = np.where(true | (low == high), low, middle + 1), np.where(true, middle, high)
    return high


settling_rule = lru_cache(maxsize=64)(SettlingRule)  # one that is kept


@lru_cache(maxsize=64)
def _log_factorials(most: int) -> Floats:
    """Of 0 to `most`."""
    return np.asarray(gammaln(np.arange(most + 1) + 1.0))


def _log_evidence(disagreements: int, seen: tuple[Numbers, Numbers, Numbers], final: tuple[Ints, Ints]) -> Floats:
    """Logarithm of the chance of `seen` (losses, gains, neither) given `final` losses and gains, over the chance when
    all final numbers are equally likely."""
    table = _log_factorials(disagreements + 1)
    labels = seen[0] + seen[1] + seen[2]
    total = np.log((labels + 1) * (labels + 2) / 2) - _log_choose(table, disagreements, labels)
    for some, all_of_them in zip(seen, (*final, disagreements - final[0] - final[1]), strict=True):
        total = total + _log_choose(table, all_of_them, some)
    return np.asarray(total)


def _log_choose(table: Floats, n: Numbers, k: Numbers) -> Floats:
    """log C(n, k) for k of at least 0; minus infinity where k is more than n."""
    rest = np.asarray(n) - k
    found: Floats = np.where(rest >= 0, table[np.maximum(n, 0)] - table[k] - table[np.maximum(rest, 0)], -np.inf)
    return found
