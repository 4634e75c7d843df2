"""What `foray settle` asks for and what came of it, on stdout."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path

from foray.cli.tables import print_rows
from foray.cli.terminal import say
from foray.data.dataset import counted
from foray.decision import details, headline
from foray.plain_text import one_line
from foray.records import AskedPair, Settlement, SettlePlan
from foray.report.settled_section import settled_facts, settled_section

_WIDTH = 80  # characters


def print_plan(plan: SettlePlan, out: Path) -> None:
    """What labelling would bring, and how to label."""
    _fill(f"{counted(plan.images, 'new image')}. {plan.left_out.sentence}".strip())
    for note in plan.notes:
        _fill(f"Note: {note}.")
    for pair in different_pairs(plan):
        _fill(_promise(pair, plan))
    if any(not pair.disagreements for pair in plan.pairs):
        _fill("Where no label differs, the pair needs no label: it is decided as if all images were labelled.")
    print()
    images = len(plan.asked)
    how = "or until the page says that all is decided" if plan.early else "all of them: with several seeds all count"
    _fill(f"Label {counted(images, 'image')}, {how}. {len(plan.repeats)} are shown twice.")
    folder = out / "settle"
    say(f"  {folder / 'label.html'}")
    if plan.pictures < images:
        _fill(f"It shows the first {plan.pictures:,}; labels.csv has all.")
    say(f"  {folder / 'labels.csv'} to fill in by hand, in its order")
    say(f"Then: foray settle {shlex.quote(str(out))} --labels labels.csv")


def different_pairs(plan: SettlePlan) -> list[AskedPair]:
    """Each two models once; where both ways are open, the one that is likelier to get a verdict, which settles both."""
    found: dict[frozenset[str], AskedPair] = {}
    for pair in plan.pairs:
        models = frozenset((pair.reference, pair.candidate))
        if models not in found or pair.probability > found[models].probability:
            found[models] = pair
    return list(found.values())


def print_settlement(settlement: Settlement, out: Path) -> None:
    """The verdict, then what it rests on."""
    decision = settlement.decision
    for sentence in (f"{headline(decision)}.", details(decision), *(f"Caution: {one}" for one in settlement.cautions)):
        _fill(sentence)
    print()
    print_rows(settled_facts(settlement))
    print()
    for row in settled_section(settlement, decision).rows:
        kinds = f" (lost / won / neither: {row.kinds})" if row.kinds != "–" else ""
        _fill(
            f"{row.candidate} against {row.reference}: {row.differ} images differ, {row.labelled} are labelled{kinds}: "
            f"{row.verdict}."
        )
    print()
    say(f"Report: {out / 'report.html'}")


def _promise(pair: AskedPair, plan: SettlePlan) -> str:
    """'58 of 2,400 images differ; labelling them decides with probability about 0.9; about 31 labels are expected'."""
    models = f"{pair.candidate} against {pair.reference}"
    if not pair.disagreements:
        return f"{models}: no label differs on the {plan.images:,} images."
    told = f"{models}: {pair.disagreements:,} of {plan.images:,} images differ; labelling them decides with probability"
    labels = f"; about {round(pair.expected_labels):,} labels are expected" if plan.early else ""
    return f"{told} about {pair.probability:.2g}{labels}."


def _fill(sentence: str) -> None:
    print(textwrap.fill(one_line(sentence), _WIDTH))
