"""What a comparison leaves open, and the decision when labels of new images have settled it.

A model passes when each of its comparisons is not worse: those that `compare` showed, at its error, and those that it
left open, by labels of new images alone, at an error that the models settled share (`shared_error`). Whichever model is
truly the best, the comparison with it is wrong in one of the two steps: the errors of both add up. Nothing is pooled.

A model is called worse when it is worse than any of the rivals against which it was open. So "worse" is judged at its
error divided by their number (Bonferroni), everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foray.decision.candidates import Candidate, Scored, scored_within
from foray.decision.decide import between, pick_of
from foray.decision.noninferiority import COMPARE_ERROR, PairwiseTests, pairwise_tests, shared_error
from foray.records import Budget, Decision, PairedLoss
from foray.statistics import SETTLE_ERROR, Labelled, LabelledSeeds, settled_loss
from foray.statistics.settled import status_of

Pair = tuple[str, str]  # reference, candidate
SETTLE = "settle"  # the split of comparisons on new images


def open_pairs(candidates: Sequence[Candidate], decision: Decision, budget: Budget) -> list[Pair]:
    """The (reference, candidate) whose labels can still change what is shipped, the pick for now first.

    Candidates are the pick for now, the models cheaper than it and the most accurate, where they neither pass nor are
    shown to be worse. Where no model passes, every other model that needs no more labels than these is one too.

    Args:
        candidates: as for `decide`.
        decision: what came of them; its tolerance, preferred cost and error count.
        budget: of the comparison.

    Returns:
        No pairs where the comparison is settled, or where there is nothing to compare.
    """
    scored = scored_within(candidates, budget, decision.prefer)
    return [] if len(scored) < 2 else _pairs(_asked(scored, _tested(scored, decision)))


def awaits_labels(decision: Decision) -> bool:
    """Whether labels of new images could change what is shipped, and an error was left for them. Where only more seeds
    would tell, they could not."""
    still_open = [pair for pair in decision.pairs if pair.status == "unresolved" and not pair.more_seeds]
    return bool(still_open) and decision.outcome != "not_known" and decision.error <= COMPARE_ERROR


def open_ways(candidates: Sequence[Candidate], decision: Decision, budget: Budget) -> list[Pair]:
    """The `open_pairs`, then those of them the other way round that are open too: the same labels tell of both."""
    pairs = open_pairs(candidates, decision, budget)
    if not pairs:
        return []
    tested = _tested(scored_within(candidates, budget, decision.prefer), decision)
    mirrored = [(candidate, reference) for reference, candidate in pairs if candidate in tested.open_rivals(reference)]
    return list(dict.fromkeys([*pairs, *mirrored]))


def settled(
    candidates: Sequence[Candidate],
    decision: Decision,
    budget: Budget,
    labels: Mapping[Pair, Labelled | LabelledSeeds],
    error: float = SETTLE_ERROR,
    sets: int = 1,
) -> Decision:
    """The decision with what labels of new images say of the open pairs.

    `candidates`, `decision` and `budget` are those of `open_pairs`. The most accurate is still the one on the selection
    split. What depends on a latency that was not steady is left to `withheld`.

    Args:
        labels: by open pair, or by its mirror; a pair of several seeds whose labels are not complete is absent, and
            stays open.
        error: of all verdicts by labels together, in (0, 0.5).
        sets: how many sets of new images were tried, each tested at `error`.

    Raises:
        ValueError: where nothing is open.
    """
    scored = scored_within(candidates, budget, decision.prefer)
    both = both_steps(scored, decision, labels, error)
    return between(scored, both, decision.model_copy(update={"settle_error": error, "settle_sets": sets}))


def both_steps(
    scored: Sequence[Scored],
    decision: Decision,
    labels: Mapping[Pair, Labelled | LabelledSeeds],
    error: float = SETTLE_ERROR,
) -> BothSteps:
    """What both steps say of the models of `decision`; arguments as for `settled`. Raises ValueError where nothing is
    open."""
    tested = _tested(scored, decision) if len(scored) > 1 else None
    asked = _asked(scored, tested) if tested else {}
    if tested is None or not asked:
        raise ValueError("nothing is open")
    known = _known(labels, tested, asked)

    def passes(model: str, error: float) -> bool:
        pairs = [(rival, model) for rival in asked[model]]
        return all(pair in known and status_of(known[pair], tested.tolerance, error) == "not_worse" for pair in pairs)

    errors, passed = shared_error(asked, passes, error, decision.tolerance)
    return BothSteps(tested, known, errors, tested.passed | passed)


@dataclass(frozen=True, eq=False)
class BothSteps:
    """What `compare` and labels of new images say of every pair.

    `labels`: by pair that was open, and by its mirror where that was open too. `errors`: by model that was open, the
    error at which it was tested last on new images. `passed`: in either step.
    """

    tested: PairwiseTests
    labels: Mapping[Pair, Labelled | LabelledSeeds]
    errors: Mapping[str, float]
    passed: frozenset[str]

    def against_every_rival(self, model: str) -> list[PairedLoss]:
        """`model` against every other, the highest upper bound first, by new images where the pair was open."""
        records = [self._record(rival, model) for rival in self.tested.rivals(model)]
        return sorted(records, key=lambda pair: -pair.upper)

    def against_strongest_rival(self, model: str) -> PairedLoss:
        """`model` against the rival that speaks most against it, by new images where it was open: one that it is worse
        than, else one that it is not shown to keep up with."""
        rivals = self.tested.open_rivals(model)
        if model not in self.errors or not any((rival, model) in self.labels for rival in rivals):
            return self.tested.against_strongest_rival(model)
        records = [self._record(rival, model, share=len(self.tested.rivals(model))) for rival in rivals]
        return max(records, key=lambda pair: (pair.status == "worse", pair.status == "unresolved", pair.upper))

    def errors_of(self, pair: Pair) -> tuple[float, float]:
        """The errors at which a pair that was open is judged on new images: "not worse", and "worse"."""
        reference, candidate = pair
        error = self.errors.get(candidate) or self.errors[reference]  # one of the two was asked about
        return error, error / len(self.tested.open_rivals(candidate))

    def _record(self, reference: str, candidate: str, share: int = 1) -> PairedLoss:
        """By new images where they have labels; else as `compare` has it, at the error divided by `share`."""
        labelled = self.labels.get((reference, candidate))
        if labelled is None:
            return self.tested.record(reference, candidate, share)
        found = settled_loss(labelled, self.tested.tolerance, *self.errors_of((reference, candidate)))
        return PairedLoss(
            reference=reference,
            candidate=candidate,
            split=SETTLE,
            n=labelled.images,
            seeds=labelled.seeds,
            loss=found.loss,
            lower=found.lower,
            upper=found.upper,
            confidence=found.confidence,
            tolerance=self.tested.tolerance,
            status=found.status,
            images_needed=found.needed.images,
            more_seeds=found.needed.more_seeds,
            p_value=found.p_value,
            disagreements=labelled.disagreements,
            labels=labelled.labels,
        )


def _tested(scored: Sequence[Scored], decision: Decision) -> PairwiseTests:
    correct = {one.model: one.correct for one in scored}
    return pairwise_tests(correct, decision.tolerance, decision.error, decision.selection_split)


def _asked(scored: Sequence[Scored], tested: PairwiseTests) -> dict[str, list[str]]:
    """By model that is open, the rivals against which it is; the pick for now first."""
    pick, _ = pick_of(scored, tested)
    wanted = [pick, *(one for one in scored if one.is_cheaper_than(pick) or one is scored[0])]
    is_open = {one.model: _is_open(one.model, tested) for one in scored}
    asked = {one.model: tested.open_rivals(one.model) for one in wanted if is_open[one.model]}
    if tested.passed:
        return asked
    others = {one.model: tested.open_rivals(one.model) for one in scored if is_open[one.model]}
    return asked | {
        model: rivals
        for model, rivals in others.items()
        if model not in asked and all(model in asked.get(rival, ()) for rival in rivals)
    }


def _known(
    labels: Mapping[Pair, Labelled | LabelledSeeds], tested: PairwiseTests, asked: Mapping[str, Sequence[str]]
) -> dict[Pair, Labelled | LabelledSeeds]:
    """Labels of the pairs that are asked about, and of their mirrors; what `compare` showed needs none."""
    asked_pairs = set(_pairs(asked))
    known: dict[Pair, Labelled | LabelledSeeds] = {}
    for (reference, candidate), labelled in labels.items():
        pair, mirror = (reference, candidate), (candidate, reference)
        if asked_pairs.isdisjoint((pair, mirror)):
            continue
        if reference in tested.open_rivals(candidate):
            known[pair] = labelled
        if candidate in tested.open_rivals(reference):
            known.setdefault(mirror, labelled.swapped())
    return known


def _is_open(model: str, tested: PairwiseTests) -> bool:
    return model not in tested.passed and tested.against_strongest_rival(model).status != "worse"


def _pairs(asked: Mapping[str, Sequence[str]]) -> list[Pair]:
    return [(rival, model) for model, rivals in asked.items() for rival in rivals]
