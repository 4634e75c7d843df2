"""How often verdicts are wrong, and how often they come: the simulations behind the tables of docs/verdict.md.

    python -m tools.verdict_rates

prints the tables in some ten minutes of one core; the tests run the same functions with fewer trials. Images are
those of `tests.statistics.worlds`: correctness of several models on shared images of mixed difficulty. "Now" is `foray
compare` at its error of 2.5 %, "alone" the same at 5 % (--alone). "Before" is the rule that foray had until it tested
the most accurate too, at 5 %: the most accurate stands unless a cheaper one is not worse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr

from foray.decision import ALONE_ERROR, COMPARE_ERROR, Candidate, decide
from foray.decision.noninferiority import PairwiseTests, pairwise_tests
from foray.records import Budget, CostProfile
from foray.statistics import needed_for_verdict
from foray.statistics.loss import LossSpread, loss_spread
from tests.statistics.worlds import World

TOLERANCE = 0.01
LEVEL = 1 - COMPARE_ERROR  # of the bounds of two models
Correct = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rates:
    """Shares of trials: the pick loses the tolerance or more to the best, a right pick, no verdict."""

    wrong: float
    right: float
    unresolved: float


@dataclass(frozen=True)
class Models:
    """Models in the order of rising cost. `losses`: of each, against an accuracy of 93 %; `likeness`: how alike they
    rank the images by ease (0.95: two equal models disagree on about 5 % of the images)."""

    losses: tuple[float, ...]
    n: int
    seeds: int = 1
    seed_sd: float = 0.0
    likeness: float = 0.95

    def draw(self, rng: np.random.Generator) -> dict[str, Correct]:
        """By model, (seeds, images)."""
        world = World(self.n, 0.93, self.seeds, self.seed_sd, difficulty=0.3)
        shared = rng.standard_normal(self.n)
        return {
            name: world.model(rng, ndtr(_alike(rng, shared, self.likeness)), loss)
            for name, loss in zip(self.names(), self.losses, strict=True)
        }

    def names(self) -> list[str]:
        return [f"m{i}" for i in range(len(self.losses))]

    def excess(self, name: str) -> float:
        """How much `name` truly loses to the best."""
        return self.losses[self.names().index(name)] - min(self.losses)


Rule = Callable[[dict[str, Correct]], str | None]  # the pick; None: unresolved. Models by rising cost


def rates(models: Models, rule: Rule, trials: int, seed: int = 1) -> Rates:
    """What `rule` says of `trials` draws."""
    rng = np.random.default_rng(seed)
    picks = [rule(models.draw(rng)) for _ in range(trials)]
    wrong = sum(pick is not None and models.excess(pick) >= TOLERANCE - 1e-12 for pick in picks)
    none = picks.count(None)
    return Rates(wrong / trials, (trials - wrong - none) / trials, none / trials)


def wrong_claims(models: Models, trials: int, error: float = COMPARE_ERROR, seed: int = 1) -> tuple[float, float]:
    """Share of trials in which any model passes that truly loses the tolerance or more (the pick is one of those that
    pass), and in which any is called worse than some rival by more than the tolerance, and is not."""
    rng = np.random.default_rng(seed)
    false = {name for name in models.names() if models.excess(name) >= TOLERANCE - 1e-12}
    within = {name for name in models.names() if models.excess(name) <= TOLERANCE + 1e-12}
    passed = worse = 0
    for _ in range(trials):
        tested = pairwise_tests(models.draw(rng), TOLERANCE, error, "val")
        passed += bool(false & tested.passed)
        worse += any(_is_worse(tested, name) for name in within - tested.passed)
    return passed / trials, worse / trials


def _is_worse(tested: PairwiseTests, model: str) -> bool:
    return tested.against_strongest_rival(model).status == "worse"


def now(correct: dict[str, Correct]) -> str | None:
    """foray's rule."""
    return _decided(correct, COMPARE_ERROR)


def alone(correct: dict[str, Correct]) -> str | None:
    """foray's rule with --alone."""
    return _decided(correct, ALONE_ERROR)


def _decided(correct: dict[str, Correct], error: float) -> str | None:
    candidates = [
        Candidate(name, right, CostProfile(model=name, resolution=224, params=1 + i, macs=1))
        for i, (name, right) in enumerate(correct.items())
    ]
    asked = {"budget": Budget(), "tolerance": TOLERANCE, "prefer": "params", "selection_split": "val"}
    found = decide(candidates, **asked, error=error)
    return None if found.outcome == "unresolved" else found.pick


def before(correct: dict[str, Correct]) -> str | None:
    """The cheapest that Holm's test finds not worse than the most accurate; else the most accurate, if all cheaper ones
    are worse or there are none."""
    names = list(correct)
    best = max(names, key=lambda name: (correct[name].mean(), -names.index(name)))
    cheaper = {name: loss_spread(correct[best], correct[name]) for name in names[: names.index(best)]}
    settled: dict[str, float] = {}
    while left := [name for name in cheaper if name not in settled]:
        found = {name: cheaper[name].distance(TOLERANCE, 1 - ALONE_ERROR / len(left)) for name in left}
        settled |= {name: distance for name, distance in found.items() if distance > 1} or found
    passed = [name for name in cheaper if settled[name] > 1]
    return passed[0] if passed else best if all(distance < -1 for distance in settled.values()) else None


def hsu(correct: dict[str, Correct]) -> str | None:
    """The cheapest that comparisons with the best (Hsu 1984) at 2.5 % put within the tolerance of the best."""
    level = float(ndtr(dunnett(len(correct) - 1, 1 - COMPARE_ERROR)))
    spreads = {
        (one, other): loss_spread(correct[one], correct[other]) for one in correct for other in correct if one != other
    }
    within = [
        name
        for name in correct
        if all(s.distance(TOLERANCE, level) > 1 for (_, of), s in spreads.items() if of == name)
    ]
    return within[0] if within else None


def dunnett(rivals: int, confidence: float = 0.95) -> float:
    """One-sided quantile of the largest of `rivals` normal differences from one reference (correlation 1/2)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    return float(brentq(lambda d: float(weights @ ndtr(nodes + math.sqrt(2) * d) ** rivals) - confidence, 0.0, 6.0))


def wrong_over_trainings(n: int, seeds: int, trials: int, seed: int = 1) -> float:
    """How often "not worse" is said, at 2.5 %, where the loss expected over trainings equals the tolerance; one point
    between trainings."""
    rng, world = np.random.default_rng(seed), World(n, 0.90, seeds, seed_sd=0.01, difficulty=0.3)
    distances = (loss_spread(*world.pair(rng, TOLERANCE, 0.9)).distance(TOLERANCE, LEVEL) for _ in range(trials))
    return sum(distance > 1 for distance in distances) / trials


@dataclass(frozen=True)
class SampleSizes:
    """Over first data sets that cannot tell: share that were given a number of images, and the share of those in which
    that many images in all bring a verdict. `factor`: median of the number over the images at hand."""

    given: float
    verdicts: float
    factor: float


def sample_sizes(
    n: int,
    ask: Callable[[LossSpread], int | None],
    trials: int,
    *,
    seeds: int = 1,
    seed_sd: Callable[[np.random.Generator], float] = lambda rng: 0.0,
    seed: int = 1,
) -> SampleSizes:
    """True losses from 3 points below zero to 5 above, in steps of 0.1, are equally likely. The images at hand stay,
    others join them; a single training stays, several are made anew."""
    rng, asked, given = np.random.default_rng(seed), 0, []
    while asked < trials:
        world = World(n, 0.93, seeds, seed_sd(rng), difficulty=0.3)
        truth, ranks = 0.001 * rng.integers(-30, 51), _ranks(rng, n)
        first = (world.model(rng, ranks[0]), world.model(rng, ranks[1], truth))
        spread = loss_spread(*first)
        if abs(spread.distance(TOLERANCE, LEVEL)) > 1:
            continue
        asked += 1
        needed = ask(spread)
        if needed is None:
            continue
        needed = min(needed, 1500 * n)
        more = _ranks(rng, needed - n)
        if seeds == 1:
            new = replace(world, n=needed - n)
            parts = (new.model(rng, more[0]), new.model(rng, more[1], truth))
            second = tuple(np.concatenate(pair, axis=1) for pair in zip(first, parts, strict=True))
        else:
            both, again = np.concatenate([ranks, more], axis=1), replace(world, n=needed)
            second = (again.model(rng, both[0]), again.model(rng, both[1], truth))
        given.append((abs(loss_spread(*second).distance(TOLERANCE, LEVEL)) > 1, needed / n))
    verdicts, factors = zip(*given, strict=True)
    return SampleSizes(len(given) / asked, float(np.mean(verdicts)), float(np.median(factors)))


def number_now(spread: LossSpread) -> int | None:
    return needed_for_verdict(spread, TOLERANCE, LEVEL).images


def number_before(spread: LossSpread) -> int | None:
    """The number at which the bound would meet the tolerance, if loss and disagreement stayed as observed."""

    def settles(n: float) -> bool:
        scale = n / spread.n
        there = replace(
            spread, n=n, losses=scale * spread.losses, gains=scale * spread.gains, flips=spread.flips / scale
        )
        return abs(there.distance(TOLERANCE, LEVEL)) > 1

    few, enough = spread.n, 10_000_000
    if not settles(enough):
        return None
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if settles(middle) else (middle, enough)
    return enough


def _ranks(rng: np.random.Generator, n: int) -> Floats:
    """(2, n): how easy two models find n images."""
    shared = rng.standard_normal(n)
    return np.stack([ndtr(shared), ndtr(_alike(rng, shared, 0.9))])


def _alike(rng: np.random.Generator, shared: Floats, likeness: float) -> Floats:
    return likeness * shared + math.sqrt(1 - likeness**2) * rng.standard_normal(len(shared))


def _row(cells: Sequence[object]) -> None:
    print("| " + " | ".join(f"{100 * cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |")


def main() -> None:
    """Prints the tables, in per cent."""
    trials = 4000
    print("Two models, the cheaper one truly worse: wrong before | alone | now | right before | alone | now")
    for loss in (0.015, 0.01):
        for n in (150, 300, 700, 3000):
            of = [rates(Models((loss, 0.0), n), rule, trials) for rule in (before, alone, now)]
            _row((loss, n, *(one.wrong for one in of), *(one.right for one in of)))
    print("\nSeveral models: any wrong one passes | called worse and is not | wrong before")
    for losses in ((0.01,) * 4 + (0.0,), (0.01,) * 5 + (0.0,) * 5, (0.01, 0.0, 0.0, 0.0, 0.0), (0.01,) * 11 + (0.0,)):
        for n in (700, 3000):
            models = Models(losses, n)
            _row((losses, n, *wrong_claims(models, trials // 2), rates(models, before, trials // 2).wrong))
    print("\nHow often a verdict comes: right before | right alone | right now | right by Hsu, and wrong by each")
    for losses in ((0.0, 0.0), (0.003, 0.0), (0.02, 0.0), (0.0, 0.0, 0.0, 0.0, 0.0), (0.02, 0.003, 0.02, 0.0)):
        for n in (300, 700, 1500, 3000, 6000):
            of = [rates(Models(losses, n), rule, trials // 4) for rule in (before, alone, now, hsu)]
            _row((losses, n, *(one.right for one in of), *(one.wrong for one in of)))
    print("\nOne seed and three, over trainings: wrong")
    for n in (300, 700, 3000):
        _row((n, wrong_over_trainings(n, 1, trials), wrong_over_trainings(n, 3, trials)))
    print("\nImages needed: verdicts before | now, factor before | now")
    for n in (300, 1000):
        old_sizes, new_sizes = (sample_sizes(n, ask, trials // 4) for ask in (number_before, number_now))
        _row((n, old_sizes.verdicts, new_sizes.verdicts, f"{old_sizes.factor:.1f}", f"{new_sizes.factor:.1f}"))
    for seeds in (3, 5):
        of_seeds = sample_sizes(
            700, number_now, trials // 4, seeds=seeds, seed_sd=lambda rng: 0.0002 * 50 ** rng.random()
        )
        _row((f"{seeds} seeds", of_seeds.given, of_seeds.verdicts, f"{of_seeds.factor:.1f}"))


if __name__ == "__main__":
    main()
