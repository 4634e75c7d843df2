"""How often verdicts by labels are wrong, and how many images and labels they take: the numbers of docs/settle.md.

    python -m tools.settle_rates

prints the tables in some ten minutes of one core, from fixed random numbers; the tests run the same functions with
fewer trials. Two networks, one seed each. What is judged is the loss in use, of which validation and the new images are
samples: the loss on the new images differs from it by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from foray.decision import ALONE_ERROR, COMPARE_ERROR, Candidate, decide, open_pairs
from foray.decision.candidates import scored_within
from foray.decision.noninferiority import pairwise_tests
from foray.decision.settled import both_steps
from foray.records import Budget, CostProfile
from foray.statistics import SETTLE_ERROR, Labelled, LabelledSeeds, SettlingRule, labelled_seeds
from foray.statistics.loss import count_distances
from foray.statistics.settling import error_of_test
from tools import verdict_rates

TOLERANCE = 0.01
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Flips:
    """How two networks differ in use. `rate`: share of images on which their labels differ; `loss`: what the candidate
    truly loses, in [0, 1]; `neither`: share of the differing ones that both get wrong."""

    rate: float
    loss: float
    neither: float = 0.3

    def shares(self) -> tuple[float, float, float]:
        """Of all images: losses, gains, neither."""
        either = self.rate * (1 - self.neither)
        return (either + self.loss) / 2, (either - self.loss) / 2, self.rate * self.neither


def labellings(flips: Flips, images: int, trials: int, error: float, rng: np.random.Generator) -> Iterator[Ints]:
    """Of each trial, the verdict after every number of labels from 0 on: 1 not worse, -1 worse, 0 unresolved."""
    kinds = np.array(flips.shares()) / flips.rate
    for disagreements in rng.binomial(images, flips.rate, trials):
        drawn = rng.choice(3, disagreements, p=kinds)
        counts = [np.concatenate([[0], np.cumsum(drawn == kind)]) for kind in range(3)]
        yield _rule(images, int(disagreements), error).statuses(*counts)


@lru_cache(maxsize=512)
def _rule(images: int, disagreements: int, error: float) -> SettlingRule:
    return SettlingRule(images, disagreements, TOLERANCE, error)


def says(losses: Ints, gains: Ints, images: int, error: float) -> Ints:
    """The verdicts of labelled images: 1 not worse, -1 worse, 0 unresolved."""
    distance = count_distances(losses.astype(float), gains.astype(float), images, TOLERANCE, 1 - error)
    verdicts: Ints = (distance > 1).astype(np.intp) - (distance < -1)
    return verdicts


@dataclass(frozen=True)
class Wrong:
    """Shares of trials that say not worse: in compare; by labels, at the first verdict; by labels, at any number."""

    compare: float
    first: float
    ever: float

    @property
    def wrong(self) -> float:
        """Where the loss is the tolerance or more: a wrong verdict in either step, labelling stopped at the first."""
        return self.compare + self.first

    @property
    def wrong_at_the_worst_moment(self) -> float:
        """The same where labelling stops when it suits the candidate."""
        return self.compare + self.ever


def one_pair(flips: Flips, val: int, images: int, trials: int, seed: int = 1) -> Wrong:
    """`compare` on `val` images at 2.5 %; where it is unresolved, labels of new `images` at 2.5 %."""
    rng = np.random.default_rng(seed)
    on_val = says(*_counts(flips, val, trials, rng)[:2], val, COMPARE_ERROR)
    first = ever = 0
    for verdicts in labellings(flips, images, int((on_val == 0).sum()), SETTLE_ERROR, rng):
        reached = np.flatnonzero(verdicts)
        first += bool(len(reached)) and int(verdicts[reached[0]]) == 1
        ever += bool((verdicts == 1).any())
    return Wrong(float((on_val == 1).mean()), first / trials, ever / trials)


def wrong_of_chosen(sets: int, images: int, error: float) -> float:
    """Chance of a wrong "not worse" where the set with the fewest differing images is labelled, of `sets` sets of
    `images`. Every differing image is a loss, the true loss is the tolerance, and labels are looked at one by one."""
    differing = np.arange(int(binom.ppf(1 - 1e-9, images, TOLERANCE)) + 1)
    labels = [np.arange(number + 1) for number in differing]
    passes = np.array([
        bool((_rule(images, number, error).statuses(lost, 0 * lost, 0 * lost) == 1).any())
        for number, lost in zip(differing.tolist(), labels, strict=True)
    ])  # fmt: skip
    fewest_is_more = binom.sf(np.concatenate([[-1], differing]), images, TOLERANCE) ** sets
    return float((-np.diff(fewest_is_more))[passes].sum())


def wrong_at_five_per_cent(flips: Flips, val: int, images: int, trials: int, seed: int = 1) -> tuple[float, float]:
    """Share of wrong "not worse" where both steps test at 5 %: with new images alone, and pooled with those of val. All
    labels are given."""
    rng = np.random.default_rng(seed)
    first, new = _counts(flips, val, trials, rng), _counts(flips, images, trials, rng)
    on_val = says(*first[:2], val, ALONE_ERROR)
    alone = says(*new[:2], images, ALONE_ERROR)
    pooled = says(*(first + new)[:2], val + images, ALONE_ERROR)
    return tuple(float(((on_val == 1) | ((on_val == 0) & (second == 1))).mean()) for second in (alone, pooled))


def _counts(flips: Flips, images: int, trials: int, rng: np.random.Generator) -> Ints:
    """(3, trials): losses, gains, and the rest."""
    losses, gains, _ = flips.shares()
    return rng.multinomial(images, (losses, gains, 1 - losses - gains), trials).T


def power(flips: Flips, images: int, error: float) -> float:
    """Chance of "not worse" when all labels are given and tested at `error`, summed over all outcomes."""
    losses, gains, _ = flips.shares()
    total = np.arange(images + 1)
    total = total[binom.pmf(total, images, losses + gains) > 1e-9]
    chance = 0.0
    for differing in total:
        lost = np.arange(differing + 1)
        passes = says(lost, differing - lost, images, error) == 1
        of_lost = binom.pmf(lost[passes], differing, losses / (losses + gains))
        chance += float(binom.pmf(differing, images, losses + gains) * of_lost.sum())
    return chance


def images_for(flips: Flips, chance: float, error: float, step: int = 50) -> int:
    """About the fewest images with that `power`, to `step`."""
    too_few, enough = 0, 1
    while power(flips, enough * step, error) < chance:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if power(flips, middle * step, error) >= chance else (middle, enough)
    return enough * step


@dataclass(frozen=True)
class Models:
    """Several models, in the order of rising cost. `models`: how they differ; `val`, `images`: images for compare, and
    new ones."""

    models: verdict_rates.Models
    val: int
    images: int


LOOKS = (0.25, 0.5, 1.0)  # shares of the labels at which one looks; with several seeds only the last counts


@dataclass(frozen=True)
class Passed:
    """Shares of trials: a model passes that truly loses the tolerance or more, by `compare`; by labels, at whatever
    look suits it; when all labels are given, a model passes and no such one does; none passes."""

    compare: float
    settle: float
    right: float
    none: float


def several(world: Models, trials: int, seed: int = 1) -> Passed:
    """Several models decided by `compare`, then by labels in random order of all images that any open pair needs."""
    rng, found = np.random.default_rng(seed), []
    bad = {name for name in world.models.names() if world.models.excess(name) > 0.999 * TOLERANCE}
    for _ in range(trials):
        correct = replace(world.models, n=world.val + world.images).draw(rng)
        new = {name: _labels(right[:, world.val :], rng) for name, right in correct.items()}
        passed = _passed({name: right[:, : world.val] for name, right in correct.items()}, new, rng)
        wrong = [bool(bad & models) for models in passed]
        found.append((wrong[0], not wrong[0] and any(wrong), bool(passed[-1]) and not wrong[-1], not passed[-1]))
    return Passed(*(float(column) for column in np.mean(found, axis=0)))


def _passed(
    on_val: Mapping[str, npt.NDArray[np.bool_]], new: Mapping[str, Ints], rng: np.random.Generator
) -> list[frozenset[str]]:
    """The models that pass in `compare`, and at each look."""
    candidates = [
        Candidate(name, right, CostProfile(model=name, resolution=224, params=1 + i, macs=1))
        for i, (name, right) in enumerate(on_val.items())
    ]
    budget = Budget()
    decision = decide(candidates, budget=budget, tolerance=TOLERANCE, prefer="params", selection_split="val")
    passed = [pairwise_tests(on_val, TOLERANCE, COMPARE_ERROR, "val").passed]
    pairs, scored = open_pairs(candidates, decision, budget), scored_within(candidates, budget, "params")
    if not pairs:
        return passed
    several_seeds = len(next(iter(new.values()))) > 1
    needed = rng.permutation(np.flatnonzero(np.any([_differ(new, *pair) for pair in pairs], axis=0)))
    for share in LOOKS[-1:] if several_seeds else LOOKS:
        prefix = needed[: round(share * len(needed))]
        labels = {pair: _labelled(new, pair, prefix) for pair in pairs}
        passed.append(both_steps(scored, decision, labels).passed)
    return passed


def _labels(right: npt.NDArray[np.bool_], rng: np.random.Generator) -> Ints:
    """(S, N): 0, the true label, where a model is right; else one of four others, mostly the likeliest mistake."""
    return np.where(right, 0, np.where(rng.random(right.shape) < 0.5, 1, rng.integers(1, 5, size=right.shape)))


def _differ(labels: Mapping[str, Ints], reference: str, candidate: str) -> npt.NDArray[np.bool_]:
    """(N,), where the labels of both models, of all seeds, are not all the same."""
    both = np.concatenate([labels[reference], labels[candidate]])
    differ: npt.NDArray[np.bool_] = (both != both[0]).any(axis=0)
    return differ


def _labelled(labels: Mapping[str, Ints], pair: tuple[str, str], prefix: Ints) -> Labelled | LabelledSeeds:
    differ = np.flatnonzero(_differ(labels, *pair))
    ours, theirs = (labels[model] == 0 for model in pair)
    images = ours.shape[1]
    if len(ours) > 1:
        return labelled_seeds(ours[:, differ], theirs[:, differ], np.ones(len(differ), dtype=np.bool_), images)
    seen = np.intersect1d(differ, prefix)
    lost, gained = ours[0, seen], theirs[0, seen]
    return Labelled(images, len(differ), int(lost.sum()), int(gained.sum()), int((~lost & ~gained).sum()))


@dataclass(frozen=True)
class Labels:
    """Of trials with early stopping. `verdicts`: share that come to one; `used`: mean labels until then, all of them
    where none comes; `differing`: mean number of images that could be labelled."""

    verdicts: float
    used: float
    differing: float


def labels_used(flips: Flips, images: int, trials: int, error: float = SETTLE_ERROR, seed: int = 1) -> Labels:
    """How far labelling goes."""
    found = []
    for verdicts in labellings(flips, images, trials, error, np.random.default_rng(seed)):
        reached = np.flatnonzero(verdicts)
        found.append((len(reached) > 0, reached[0] if len(reached) else len(verdicts) - 1, len(verdicts) - 1))
    return Labels(*(float(column) for column in np.mean(found, axis=0)))


USUAL = ((0.01, 0.0), (0.02, 0.0), (0.03, 0.002), (0.05, 0.0), (0.05, 0.002))
HARDEST = ((0.03, 300, 2000), (0.05, 700, 700), (0.05, 1500, 2000), (0.1, 700, 1000), (0.1, 3000, 2000))
CHOSEN = (1, 3, 5, 10)
SEVERAL = (
    ((0.01, 0.0), 1, 0.0),
    ((0.01, 0.01, 0.01, 0.0), 1, 0.0),
    ((0.0, 0.01, 0.01, 0.01), 1, 0.0),
    ((0.01, 0.0), 3, 0.005),
    ((0.01, 0.01, 0.01, 0.0), 3, 0.005),
)


def _row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def main() -> None:
    """Prints the tables, shares in per cent."""
    flips = Flips(0.05, TOLERANCE)
    each, pooled = wrong_at_five_per_cent(flips, 1500, 6000, 200_000)
    print(f"At 5 % in both steps (val 1,500, 6,000 new images): wrong {100 * each:.1f}; pooled {100 * pooled:.1f}")
    print("\nTrue loss = tolerance. flips | val | new images | wrong in compare | both | both at the worst moment")
    for rate, val, images in HARDEST:
        found = one_pair(Flips(rate, TOLERANCE), val, images, 10_000)
        shares = found.compare, found.wrong, found.wrong_at_the_worst_moment
        _row(f"{100 * rate:g}", val, images, *(f"{100 * share:.2f}" for share in shares))
    print("\nThe set with the fewest differing images of 2,000, all of them losses. sets | wrong at 2.5 % | shared")
    for sets in CHOSEN:
        shares = (wrong_of_chosen(sets, 2000, error) for error in (SETTLE_ERROR, SETTLE_ERROR / sets))
        _row(sets, *(f"{100 * share:.1f}" for share in shares))
    print(
        "\nSeveral models, 700 on val, 2,000 new images. losses | seeds | a wrong one passes: compare | labels | right"
    )
    for losses, seeds, seed_sd in SEVERAL:
        several_models = several(Models(verdict_rates.Models(losses, 1, seeds, seed_sd), 700, 2000), 2000)
        shares = several_models.compare, several_models.settle, several_models.right
        _row(losses, seeds, *(f"{100 * share:.1f}" for share in shares))
    print("\n80 % power. flips | loss | images at 5 % | images at 2 % | differ | verdicts | labels used, mean")
    for rate, loss in USUAL:
        flips = Flips(rate, loss)
        images = images_for(flips, 0.8, error_of_test(SETTLE_ERROR))
        found_labels = labels_used(flips, images, 3000)
        shown = f"{found_labels.differing:.0f}", f"{100 * found_labels.verdicts:.0f}", f"{found_labels.used:.0f}"
        _row(f"{100 * rate:g}", f"{100 * loss:g}", images_for(flips, 0.8, 0.05), images, *shown)
    clear = labels_used(Flips(0.02, 0.0), 5000, 1000)
    print(f"\n5,000 images, 2 % differ, no loss: {clear.used:.0f} labels of {clear.differing:.0f}")


if __name__ == "__main__":
    main()
