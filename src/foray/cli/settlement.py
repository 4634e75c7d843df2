"""What `foray settle` asks for and what came of it, on stdout."""

from __future__ import annotations

import shlex
import textwrap
from pathlib import Path

from foray.cli.tables import print_rows
from foray.cli.terminal import say
from foray.data.dataset import counted
from foray.decision import details, headline, tried_sets
from foray.plain_text import one_line
from foray.records import AskedPair, Settlement, SettlePlan
from foray.report.settled_section import VERDICTS, settled_facts, settled_section

_WIDTH = 80  # characters


def print_plan(plan: SettlePlan, out: Path, without_labels: Settlement | None = None) -> None:
    """What labelling would bring, and how to label; `without_labels`: what is decided before any label."""
    _fill(f"{counted(plan.images, 'new image')}. {plan.left_out.sentence}".strip())
    for note in plan.notes:
        _fill(f"Note: {note}.")
    if tried := tried_sets(plan.sets, plan.error):
        _fill(tried)
    for pair in different_pairs(plan):
        _fill(_promise(pair, plan))
    decided = [] if without_labels is None else [one for one in without_labels.pairs if one.status != "unresolved"]
    for one in decided:
        _fill(f"{one.candidate} is {VERDICTS[one.status]} than {one.reference}: that needs no label.")
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
    for pair, row in zip(settlement.pairs, settled_section(settlement, decision).rows, strict=True):
        kinds = f" (losses / gains / neither: {row.kinds})" if row.kinds != "–" else ""
        differ = f"{row.differ} images {'differs' if pair.disagreements == 1 else 'differ'}"
        labelled = f"{row.labelled} {'is' if pair.labelled == 1 else 'are'} labelled{kinds}"
        _fill(f"{row.candidate} against {row.reference}: {differ}, {labelled}: {row.verdict}.")
    print()
    say(f"Report: {out / 'report.html'}")


def _promise(pair: AskedPair, plan: SettlePlan) -> str:
    """'58 of 2,400 images differ; labelling them decides with probability about 0.9; about 31 labels are expected'."""
    models = f"{pair.candidate} against {pair.reference}"
    if not pair.disagreements:
        return f"{models}: no label differs on the {plan.images:,} images."
    differ, them = ("differs", "it") if pair.disagreements == 1 else ("differ", "them")
    images = f"{pair.disagreements:,} of {plan.images:,} images {differ}"
    told = f"{models}: {images}; labelling {them} decides with probability"
    expected = round(pair.expected_labels)
    are = "is" if expected == 1 else "are"
    labels = f"; about {counted(expected, 'label')} {are} expected" if plan.early else ""
    return f"{told} about {pair.probability:.2g}{labels}."


def _fill(sentence: str) -> None:
    print(textwrap.fill(one_line(sentence), _WIDTH))
