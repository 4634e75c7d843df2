"""From labels to a decision: of each pair the longest complete prefix of the stored order, and the verdict it gives.

A verdict that was reached stays, whatever the next labels say, until all images of the pair have a label; then the test
of all of them counts. The page does the same. "Not worse" and "worse" have errors of their own (`BothSteps.errors_of`),
the same for the pair, the page and the decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt

from foray.decision import cautions, confirm, settled, withheld
from foray.decision.settled import BothSteps, Pair
from foray.errors import RunError
from foray.records import Decision, SettledPair, Settlement, SettlePlan
from foray.records.comparison import PairStatus
from foray.settling.compared import Compared
from foray.settling.labels_file import Answers
from foray.settling.panel import Labels
from foray.settling.plan import differing
from foray.statistics import Labelled, LabelledSeeds, labelled_seeds, settling_rule
from foray.statistics.settled import status_of

_LOOKS = 64  # numbers of labels that are judged at once


@dataclass(frozen=True, eq=False)
class PairAnswers:
    """What is known of the images that one pair needs, in the stored order.

    `reference`, `candidate`: (seeds, D) class indices. `answers`: of the longest complete prefix; None: it could not be
    told. `images`: N.
    """

    reference: Labels
    candidate: Labels
    answers: Sequence[int | None]
    images: int

    @property
    def disagreements(self) -> int:
        """D, the images that need a label."""
        return int(self.reference.shape[1])

    def counts(self, labels: int) -> Labelled:
        """The first `labels` answers; for one seed."""
        return Labelled(self.images, self.disagreements, *self._counts[:, labels].tolist())

    def first_verdict(self, tolerance: float, error: float, worse_error: float | None = None) -> int | None:
        """After how many answers of one seed's there was a verdict that stays; None while there is none. The errors are
        those of `settled_status`."""
        given = len(self.answers)
        rule = settling_rule(self.images, self.disagreements, tolerance, error, worse_error)
        for start in range(given if given == self.disagreements else 0, given + 1, _LOOKS):
            decided = np.flatnonzero(rule.statuses(*self._counts[:, start : start + _LOOKS]))
            if len(decided):
                return start + int(decided[0])
        return None

    def labelled(
        self, tolerance: float, error: float, worse_error: float | None = None
    ) -> Labelled | LabelledSeeds | None:
        """What counts of the answers: of one seed's those up to the verdict that stays, else all; of several seeds' all
        or, while some are missing, None."""
        if len(self.reference) > 1:
            return self.over_seeds()
        first = self.first_verdict(tolerance, error, worse_error)
        return self.counts(len(self.answers) if first is None else first)

    def swapped(self) -> PairAnswers:
        """The same answers with reference and candidate exchanged."""
        return replace(self, reference=self.candidate, candidate=self.reference)

    def over_seeds(self) -> LabelledSeeds | None:
        """Of several seeds; None unless all images were looked at."""
        if len(self.answers) < self.disagreements:
            return None
        told = np.array([answer is not None for answer in self.answers], dtype=np.bool_)
        truth = np.array([-1 if answer is None else answer for answer in self.answers], dtype=np.int64)
        return labelled_seeds(self.reference == truth, self.candidate == truth, told, self.images)

    @cached_property
    def _counts(self) -> npt.NDArray[np.intp]:
        """(4, answers + 1), losses, gains, neither and skipped among the first answers; for one seed."""
        given = len(self.answers)
        skipped = np.array([answer is None for answer in self.answers], dtype=np.bool_)
        truth = np.array([-1 if answer is None else answer for answer in self.answers], dtype=np.int64)
        losses, gains = truth == self.reference[0, :given], truth == self.candidate[0, :given]
        kinds = np.stack([losses, gains, ~losses & ~gains & ~skipped, skipped])
        return np.concatenate([np.zeros((4, 1), dtype=np.intp), np.cumsum(kinds, axis=1)], axis=1)


def conclude(
    compared: Compared, plan: SettlePlan, images: Sequence[str], labels: Mapping[str, Labels], answers: Answers
) -> Settlement:
    """What the labels decide.

    Args:
        compared: what is to be settled.
        plan: what was asked.
        images: ids of all new images, in the order of `labels`.
        labels: by model, the class indices of its trainings, (seeds, N).
        answers: what labels.csv says.

    Raises:
        RunError: when the plan is not one of this comparison and its decision.
    """
    require_same(compared, plan)
    position = {id_: i for i, id_ in enumerate(images)}
    order = [position[id_] for id_ in plan.asked]
    pairs: dict[Pair, PairAnswers] = {}
    counted: set[str] = set()
    for pair in compared.open_pairs:
        reference, candidate = (labels[model][:, order] for model in pair)
        needed = differing(reference, candidate)
        ids = [id_ for id_, wanted in zip(plan.asked, needed, strict=True) if wanted]
        prefix = answers.prefix(ids)
        counted.update(ids[: len(prefix)])
        pairs[pair] = PairAnswers(reference[:, needed], candidate[:, needed], prefix, plan.images)
    found, steps = _verdicts(compared, pairs, plan)
    comparison = compared.comparison
    decision = settled(compared.candidates, comparison.decision, comparison.budget, found, plan.error, plan.sets)
    failed = {one.model for one in comparison.candidates if one.failure is not None}
    decision = withheld(decision, [one for one in compared.candidates if one.model not in failed], comparison.budget)
    same, twice = answers.agreement()
    return Settlement(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        comparison=comparison.id,
        decision_digest=compared.digest,
        source=plan.source,
        images=plan.images,
        asked=len(plan.asked),
        left_out=plan.left_out,
        notes=[*plan.notes, *_after_a_gap(answers, counted)],
        pairs=[_record(pair, given, found.get(pair), plan.tolerance, steps) for pair, given in pairs.items()],
        labels=dict(answers.labels),
        same_again=same,
        shown_twice=twice,
        guesses_shown=answers.guesses_shown,
        decision=decision,
        confirmation=confirm(decision, compared.on_test(), plan.tolerance),
        cautions=_cautions(compared, decision),
    )


def require_same(compared: Compared, plan: SettlePlan) -> None:
    """Raises RunError when `plan` is not one of this comparison and its decision."""
    if plan.comparison != compared.comparison.id or plan.decision != compared.digest:
        raise RunError(
            f"{compared.folder} has decided anew since foray settle asked for labels ({plan.created[:10]}). The labels "
            "answer the earlier question: run foray compare with the earlier models, tolerance and budget again. Where "
            "no label has been given yet, ask again (`images`)."
        )


def _verdicts(
    compared: Compared, pairs: Mapping[Pair, PairAnswers], plan: SettlePlan
) -> tuple[dict[Pair, Labelled | LabelledSeeds], BothSteps]:
    """The labels that count for each pair that is open, either way round, and what they say.

    The error of a model grows as others pass, and a verdict comes earlier at a larger one: both are found in turn.
    """
    steps = compared.both_steps({}, plan.error)
    found: dict[Pair, Labelled | LabelledSeeds] = {}
    for _ in range(len(steps.errors) + 1):
        found = {}
        for pair in compared.open_ways:
            given = pairs[pair] if pair in pairs else pairs[pair[::-1]].swapped()
            labelled = given.labelled(plan.tolerance, *steps.errors_of(pair))
            if labelled is not None:
                found[pair] = labelled
        before, steps = steps, compared.both_steps(found, plan.error)
        if steps.errors == before.errors:
            break
    return found, steps


def _record(
    pair: Pair, given: PairAnswers, found: Labelled | LabelledSeeds | None, tolerance: float, steps: BothSteps
) -> SettledPair:
    """`found`: the labels that count."""
    looked_at = len(given.answers)
    counts = given.counts(looked_at) if len(given.reference) == 1 else None
    status: PairStatus = "unresolved" if found is None else status_of(found, tolerance, *steps.errors_of(pair))
    decided_after = found.seen if isinstance(found, Labelled) else looked_at
    return SettledPair(
        reference=pair[0],
        candidate=pair[1],
        images=given.images,
        disagreements=given.disagreements,
        labelled=looked_at,
        losses=counts.losses if counts else None,
        gains=counts.gains if counts else None,
        neither=counts.neither if counts else None,
        skipped=sum(answer is None for answer in given.answers),
        status=status,
        decided_after=None if status == "unresolved" else decided_after,
    )


def _after_a_gap(answers: Answers, counted: Set[str]) -> list[str]:
    """How many labels do not count for any pair."""
    unused = len(answers.labels.keys() - counted)
    if not unused:
        return []
    labels = "1 label does" if unused == 1 else f"{unused:,} labels do"
    return [f"{labels} not count: an image before in the stored order has none"]


def _cautions(compared: Compared, decision: Decision) -> list[str]:
    """Those of the comparison, with what the new decision changes."""
    comparison = compared.comparison
    before, after = (
        cautions(one, comparison.candidates, comparison.budget, comparison.leaks)
        for one in (comparison.decision, decision)
    )
    return [*(one for one in comparison.cautions if one not in before), *after]
