"""What labels of new images decided: the section of a report, and the facts on stdout."""

from __future__ import annotations

from dataclasses import dataclass

from foray.decision import headline, tried_sets
from foray.records import Decision, PairedLoss, SettledPair, Settlement
from foray.records.quantities import format_percent
from foray.records.split_names import format_split

VERDICTS = {"not_worse": "not worse", "worse": "worse", "unresolved": "open"}
NOT_KNOWN = (
    "The images on which the models agree have no label. So the accuracy of a model on the new images, its recall of "
    "each class and balanced recall are not known, nor whether one of them reaches a floor. The loss of accuracy "
    "between two models, and the loss by a cost for each confusion, need no other labels than these."
)


@dataclass(frozen=True)
class SettledRow:
    """One pair that was open. All cells are text."""

    candidate: str
    reference: str
    differ: str
    labelled: str
    kinds: str
    verdict: str


@dataclass(frozen=True)
class SettledSection:
    """`before` and `after`: the headlines without and with the labels. `decided_by`: (pair, verdict, what decided)."""

    before: str
    after: str
    facts: list[tuple[str, str]]
    rows: list[SettledRow]
    decided_by: list[tuple[str, str, str]]
    not_known: str = NOT_KNOWN


def settled_section(settlement: Settlement, before: Decision) -> SettledSection:
    """What to show. `before`: what the comparison had decided."""
    return SettledSection(
        headline(before),
        headline(settlement.decision),
        settled_facts(settlement),
        [_row(pair) for pair in settlement.pairs],
        [_decided(pair) for pair in settlement.decision.pairs],
    )


def settled_facts(settlement: Settlement) -> list[tuple[str, str]]:
    """What was labelled, and how far the person agreed with themselves."""
    told = sum(label is not None for label in settlement.labels.values())
    skipped = len(settlement.labels) - told
    facts = [
        ("New images", f"{settlement.images:,} from {settlement.source}. {settlement.left_out.sentence}".strip()),
        ("Asked for", f"{settlement.asked:,}, those on which labels differ, in a random order drawn before the first"),
        ("Labelled", f"{told:,}{f', and {skipped:,} that could not be told' if skipped else ''}"),
    ]
    decision = settlement.decision
    if tried := tried_sets(decision.settle_sets, decision.settle_error or 0.0):
        facts.append(("Sets of images", tried))
    if settlement.shown_twice:
        share = format_percent(settlement.same_again / settlement.shown_twice)
        facts.append(
            ("Shown twice", f"{settlement.shown_twice:,}: the same answer both times for {settlement.same_again:,} "
             f"({share})")
        )  # fmt: skip
    if settlement.guesses_shown:
        facts.append(("Answers after seeing what the models say", f"{settlement.guesses_shown:,}; they may be biased"))
    return facts + [("Note", note) for note in settlement.notes]


def _row(pair: SettledPair) -> SettledRow:
    left = pair.disagreements - pair.labelled
    kinds = "–"
    if pair.losses is not None and pair.labelled:
        kinds = f"{pair.losses:,} / {pair.gains:,} / {pair.neither:,}"
    verdict = VERDICTS[pair.status]
    if pair.status != "unresolved" and left and pair.decided_after is not None:
        labels = "1 label" if pair.decided_after == 1 else f"{pair.decided_after:,} labels"
        verdict += f", after {labels}" if pair.decided_after else ", without a label"
    skipped = f", {pair.skipped:,} could not be told" if pair.skipped else ""
    return SettledRow(
        pair.candidate,
        pair.reference,
        f"{pair.disagreements:,} of {pair.images:,}",
        f"{pair.labelled:,}{skipped}",
        kinds,
        verdict,
    )


def _decided(pair: PairedLoss) -> tuple[str, str, str]:
    by = "labels of new images" if pair.split == "settle" else format_split(pair.split)
    return f"{pair.candidate} vs {pair.reference}", VERDICTS[pair.status], by
