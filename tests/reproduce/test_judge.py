"""Verdicts by cases, and what holds for all of them."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from foray.decision import paired_record
from foray.records import EpochRow, Estimate, PairedLoss
from foray.records.reproduction import Evidence, Unavailable
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Accuracy, Arithmetic, Gap
from foray.reproduce.judge import Findings, accuracy_verdict, gap_verdict, judged, order_verdict
from foray.reproduce.study_curves import shape_of
from foray.statistics import wilson_interval

ON_CIFAR = Accuracy("cifar10-b0", 0.912)


def evidence(right: int, n: int, **changed: Any) -> Evidence:
    low, high = wilson_interval(right, n)
    about: dict[str, Any] = {
        "role": "cifar10-b0", "scale": "full", "model": "efficientnet_b0", "data": "CIFAR-10", "split": "val",
        "measured": Estimate(value=right / n, low=low, high=high, n=n), "seeds": [0], "epochs": 500, "resolution": 224,
        "images": n, "steps": 1, "minutes": 1.0, "hardware": "a machine", "command": "",
    }  # fmt: skip
    return Evidence(**about | changed)


@pytest.mark.parametrize(
    ("right", "verdict"), [(9_120, "reproduced"), (9_030, "reproduced"), (9_700, "beaten"), (8_800, "not reproduced")]
)
def test_a_number_on_the_studys_own_images_and_protocol(right: int, verdict: str) -> None:
    assert accuracy_verdict(ON_CIFAR, evidence(right, 10_000)) == verdict


def test_a_small_sample_whose_interval_holds_the_number_reproduces_it() -> None:
    assert accuracy_verdict(ON_CIFAR, evidence(44, 50)) == "reproduced"  # 88 %, from 76.2 to 94.4


@given(right=st.integers(0, 500), differs=st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_another_protocol_is_never_judged(right: int, differs: list[str]) -> None:
    assert accuracy_verdict(ON_CIFAR, evidence(right, 500, differs=differs)) == "differs in protocol"


@given(right=st.integers(0, 500))
def test_a_number_on_other_images_is_never_judged(right: int) -> None:
    other = evidence(right, 500, stand_in="CIFAR-10", same_images=False, differs=["others"])
    assert accuracy_verdict(ON_CIFAR, other) == "data not available here"


@given(right=st.integers(0, 1000), expected=st.floats(0.05, 0.95), tolerance=st.floats(0.001, 0.1))
def test_beaten_is_above_and_not_reproduced_below(right: int, expected: float, tolerance: float) -> None:
    verdict = accuracy_verdict(Accuracy("cifar10-b0", expected, tolerance), evidence(right, 1000))
    if verdict == "beaten":
        assert right / 1000 - expected > tolerance
    elif verdict == "not reproduced":
        assert expected - right / 1000 > tolerance
    else:
        assert verdict == "reproduced"


def pair(better: int, worse: int, n: int = 400) -> PairedLoss:
    """The reference alone is right on `better` images, the candidate alone on `worse`."""
    reference, candidate = np.ones((1, n), dtype=bool), np.ones((1, n), dtype=bool)
    candidate[0, :better] = False
    reference[0, better : better + worse] = False
    return paired_record("a", reference, "b", candidate, 0.0, 0.95, "test")


def test_an_order_holds_when_every_step_is_shown() -> None:
    assert order_verdict([pair(60, 5), pair(40, 4)]) == ("reproduced", True)
    assert order_verdict([pair(60, 5), pair(10, 9)]) == ("not reproduced", False)
    assert order_verdict([pair(60, 5), pair(5, 60)]) == ("not reproduced", True)


@given(better=st.integers(0, 200), worse=st.integers(0, 200))
def test_an_order_and_its_contrary_are_never_both_shown(better: int, worse: int) -> None:
    here, there = order_verdict([pair(better, worse)]), order_verdict([pair(worse, better)])
    assert not (here[0] == "reproduced" and there[0] == "reproduced")
    if here[0] == "reproduced":
        assert there == ("not reproduced", True)


@pytest.mark.parametrize(
    ("kind", "better", "worse", "verdict"),
    [
        ("no better", 10, 10, ("reproduced", True)),
        ("no better", 100, 5, ("reproduced", True)),  # far worse is no better
        ("no better", 5, 100, ("not reproduced", True)),
        ("no better", 40, 48, ("not reproduced", False)),
        ("similar", 5, 5, ("reproduced", True)),
        ("similar", 100, 5, ("not reproduced", True)),
        ("similar", 5, 100, ("not reproduced", True)),
        ("similar", 40, 46, ("not reproduced", False)),
    ],
)
def test_a_gap(kind: Any, better: int, worse: int, verdict: tuple[str, bool]) -> None:
    judge = Gap("cifar10-b0", "cifar10-b1", kind, 0.04)
    assert gap_verdict(judge, pair(better, worse)) == verdict


def history(train: list[float], val: list[float]) -> list[EpochRow]:
    return [
        EpochRow(epoch=i, learning_rate=0.1, train_loss=1.0, train_top1=t, val_loss=1.0, val_top1=v, seconds=1.0)
        for i, (t, v) in enumerate(zip(train, val, strict=True))
    ]


def test_shapes_of_curves() -> None:
    rising, flat = [0.6, 0.92, 0.95, 0.97, 0.98, 0.98, 0.99, 0.99], [0.8, 0.8, 0.81, 0.8, 0.8, 0.81, 0.8, 0.81]
    assert shape_of(history(rising, flat), "overfits")[0]
    assert not shape_of(history(rising, rising), "overfits")[0]
    assert not shape_of(history(flat, flat), "overfits")[0]
    assert shape_of(history(rising, [0.7, 0.75, 0.8, 0.82, 0.84, 0.85, 0.86, 0.87]), "keeps rising")[0]
    assert not shape_of(history(rising, flat[::-1]), "keeps rising")[0] or flat[-1] > flat[0]
    assert not shape_of(history([0.5] * 8, [0.1 * i for i in range(8)]), "keeps rising")[0]  # train is not high early
    assert shape_of(history([0.5], [0.5]), "overfits") == (False, "Too few epochs to see a shape: 1.")


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_without_results_every_claim_still_has_a_verdict(claim: Any) -> None:
    found = judged(claim, Findings({}, {}, mini=False))
    if isinstance(claim.judge, Arithmetic):
        assert found.verdict in ("reproduced", "not reproduced", "error in the study")
        assert found.arithmetic
    else:
        assert found.verdict == "data not available here"
        assert "foray reproduce" in found.sentence


def test_the_reason_why_something_is_missing_is_told() -> None:
    claim = CLAIMS["mobilenet.frozen"]
    absent = {claim.judge.roles[0]: Unavailable(kind="data", reason="DeepWeeds is not here.")}
    assert judged(claim, Findings({}, absent, mini=False)).sentence == "DeepWeeds is not here."
    failed = {claim.judge.roles[0]: Unavailable(kind="failed", reason="The loss is not finite.")}
    assert judged(claim, Findings({}, failed, mini=False)).verdict == "not reproduced"
