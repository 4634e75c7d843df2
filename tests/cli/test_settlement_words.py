"""What `foray settle` prints of a plan and of a settlement that are made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.cli.settlement import print_plan, print_settlement
from foray.records import AskedPair, Decision, PanelLeftOut, SettledPair, Settlement, SettlePlan


def asked(candidate: str, disagreements: int, labels: float) -> AskedPair:
    return AskedPair(
        reference="big", candidate=candidate, disagreements=disagreements, error=0.0125, probability=0.9,
        expected_labels=labels,
    )  # fmt: skip


def plan(*pairs: AskedPair, earlier: tuple[str, ...] = ()) -> SettlePlan:
    return SettlePlan(
        created="2026-11-29", comparison="x", decision="y", tolerance=0.01, error=0.025 / (1 + len(earlier)),
        source="new", classes=["one", "two"], runs={"big": ["r0"], "small": ["r1"], "tiny": ["r2"]}, seeds=[0],
        images=3000, fingerprint="z", earlier=list(earlier), left_out=PanelLeftOut(), pairs=list(pairs),
        asked=["a", "b"], repeats=[], pictures=2, early=True, predictions="",
    )  # fmt: skip


def settled(candidate: str, disagreements: int, labelled: int, status: str, after: int | None) -> SettledPair:
    return SettledPair.model_validate({
        "reference": "big", "candidate": candidate, "images": 3000, "disagreements": disagreements,
        "labelled": labelled, "losses": labelled, "gains": 0, "neither": 0, "skipped": 0, "status": status,
        "decided_after": after,
    })  # fmt: skip


def settlement(*pairs: SettledPair) -> Settlement:
    decision = Decision(
        prefer="params", tolerance=0.01, selection_split="val", best="big", pick="small", outcome="cheaper_not_worse",
        sentence="", settle_error=0.025,
    )  # fmt: skip
    return Settlement(
        created="2026-11-29", comparison="x", decision_digest="y", source="new", images=3000, asked=2,
        left_out=PanelLeftOut(), pairs=list(pairs), labels={}, same_again=0, shown_twice=0, guesses_shown=0,
        decision=decision,
    )  # fmt: skip


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_how_many_sets_were_tried_is_said_once(capsys) -> None:
    print_plan(plan(asked("small", 58, 31.2), earlier=("u", "v", "w")), Path("out"))
    assert printed(capsys).count("4 sets of new images were tried, so each is tested at 0.625 %.") == 1
    print_plan(plan(asked("small", 58, 31.2)), Path("out"))
    assert "sets of new images" not in printed(capsys)


def test_one_and_several(capsys) -> None:
    print_plan(plan(asked("small", 1, 1.0), asked("tiny", 2, 2.0)), Path("out"))
    said = printed(capsys)
    assert "small against big: 1 of 3,000 images differs; labelling it decides with probability about 0.9" in said
    assert "; about 1 label is expected." in said
    assert "tiny against big: 2 of 3,000 images differ; labelling them decides" in said
    assert "; about 2 labels are expected." in said
    print_settlement(settlement(settled("small", 1, 0, "not_worse", 0), settled("tiny", 2, 1, "worse", 1)), Path("out"))
    said = printed(capsys)
    assert "small against big: 1 of 3,000 images differs, 0 are labelled: not worse, without a label." in said
    assert (
        "tiny against big: 2 of 3,000 images differ, 1 is labelled (losses / gains / neither: 1 / 0 / 0): worse" in said
    )
    assert "worse, after 1 label." in said


def test_a_pair_that_needs_no_label_is_told_beside_those_that_do(capsys) -> None:
    some = settlement(settled("small", 1, 0, "not_worse", 0), settled("tiny", 2, 0, "unresolved", None))
    assert (some.has_verdict, some.is_done) == (True, False)
    print_plan(plan(asked("small", 1, 0.0), asked("tiny", 2, 2.0)), Path("out"), some)
    said = printed(capsys)
    assert "small is not worse than big: that needs no label." in said
    assert "tiny is" not in said
    assert "Label 2 images" in said
