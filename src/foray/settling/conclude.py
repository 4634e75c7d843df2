"""From labels to a decision: of each pair the longest complete prefix of the stored order, and the verdict it gives.

A verdict that was reached stays, whatever the next labels say, until all images of the pair have a label; then the test
of all of them counts. The page does the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from foray.decision import cautions, confirm, settled, withheld
from foray.decision.settled import Pair, both_steps
from foray.errors import RunError
from foray.records import Decision, SettledPair, Settlement, SettlePlan
from foray.records.comparison import PairStatus
from foray.settling.compared import Compared
from foray.settling.labels_file import Answers
from foray.settling.panel import Labels
from foray.settling.plan import differing
from foray.statistics import Labelled, LabelledSeeds, labelled_seeds, settled_status
from foray.statistics.settled import status_of

Verdicts = dict[Pair, Labelled | LabelledSeeds]


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
        kinds = [self._kind(i) for i in range(labels)]
        losses, gains, neither, skipped = (kinds.count(k) for k in ("losses", "gains", "neither", "skipped"))
        return Labelled(self.images, self.disagreements, losses, gains, neither, skipped)

    def first_verdict(self, tolerance: float, error: float) -> int | None:
        """After how many answers of one seed's there was a verdict that stays; None while there is none."""
        given = len(self.answers)
        looks = [given] if given == self.disagreements else range(given + 1)
        decided = (k for k in looks if settled_status(self.counts(k), tolerance, error) != "unresolved")
        return next(decided, None)

    def over_seeds(self) -> LabelledSeeds | None:
        """Of several seeds; None unless all images were looked at."""
        if len(self.answers) < self.disagreements:
            return None
        told = np.array([answer is not None for answer in self.answers], dtype=np.bool_)
        truth = np.array([-1 if answer is None else answer for answer in self.answers], dtype=np.int64)
        return labelled_seeds(self.reference == truth, self.candidate == truth, told, self.images)

    def _kind(self, position: int) -> str:
        answer = self.answers[position]
        if answer is None:
            return "skipped"
        if answer == self.reference[0, position]:
            return "losses"
        return "gains" if answer == self.candidate[0, position] else "neither"


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
    pairs = {}
    for pair in compared.open_pairs:
        reference, candidate = (labels[model][:, order] for model in pair)
        needed = differing(reference, candidate)
        ids = [id_ for id_, wanted in zip(plan.asked, needed, strict=True) if wanted]
        pairs[pair] = PairAnswers(reference[:, needed], candidate[:, needed], answers.prefix(ids), plan.images)
    found, errors = _verdicts(compared, pairs, plan)
    comparison = compared.comparison
    decision = settled(compared.candidates, comparison.decision, comparison.budget, found)
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
        notes=plan.notes,
        pairs=[_record(pair, given, plan.tolerance, errors[pair[1]]) for pair, given in pairs.items()],
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
) -> tuple[Verdicts, dict[str, float]]:
    """The labels that count for each pair, and the error at which each model was tested.

    That error grows as other models pass, and a verdict comes earlier at a larger one; both are found in turn.
    """
    errors = compared.errors()
    found: Verdicts = {}
    for _ in range(len(errors) + 1):
        found = {}
        for pair, given in pairs.items():
            if plan.early:
                first = given.first_verdict(plan.tolerance, errors[pair[1]])
                found[pair] = given.counts(len(given.answers) if first is None else first)
            elif (of_all := given.over_seeds()) is not None:
                found[pair] = of_all
        after = dict(both_steps(compared.scored, compared.comparison.decision, found).errors)
        if after == errors:
            break
        errors = after
    return found, errors


def _record(pair: Pair, given: PairAnswers, tolerance: float, error: float) -> SettledPair:
    several = given.reference.shape[0] > 1
    looked_at, of_all = len(given.answers), given.over_seeds() if several else None
    counts = None if several else given.counts(looked_at)
    first = None if several else given.first_verdict(tolerance, error)
    status: PairStatus = "unresolved"
    if of_all is not None:
        status = status_of(of_all, tolerance, error)
        first = None if status == "unresolved" else looked_at
    elif first is not None:
        status = settled_status(given.counts(first), tolerance, error)
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
        decided_after=first,
    )


def _cautions(compared: Compared, decision: Decision) -> list[str]:
    """Those of the comparison, with what the new decision changes."""
    comparison = compared.comparison
    before, after = (
        cautions(one, comparison.candidates, comparison.budget, comparison.leaks)
        for one in (comparison.decision, decision)
    )
    return [*(one for one in comparison.cautions if one not in before), *after]
