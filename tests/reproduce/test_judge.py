"""Verdicts by cases, and what holds for all of them."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from foray.decision import paired_record
from foray.records import Estimate, PairedLoss
from foray.records.reproduction import Evidence, Unavailable
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Accuracy, Arithmetic, Claim, Gap
from foray.reproduce.findings import Findings
from foray.reproduce.judge import accuracy_verdict, judged
from foray.reproduce.paired_judges import gap_verdict, order_verdict
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
    ("right", "verdict"), [(9_120, "reproduced"), (9_030, "reproduced"), (9_700, "exceeded"), (8_800, "not reproduced")]
)
def test_a_number_on_the_studys_own_images_and_protocol(right: int, verdict: str) -> None:
    assert accuracy_verdict(ON_CIFAR, evidence(right, 10_000)) == verdict


def test_a_small_sample_whose_interval_holds_the_number_reproduces_it() -> None:
    assert accuracy_verdict(ON_CIFAR, evidence(44, 50)) == "reproduced"  # 88 %, from 76.2 to 94.4


@pytest.mark.parametrize(
    ("right", "n", "verdict"),
    [
        (9_620, 10_000, "exceeded by another protocol"),
        (9_230, 10_000, "exceeded by another protocol"),
        (9_220, 10_000, "differs in protocol"),  # one point above, which is the tolerance
        (48, 50, "differs in protocol"),  # 96 %, from 86.5
        (9_120, 10_000, "differs in protocol"),
        (5_000, 10_000, "differs in protocol"),
    ],
)
def test_a_number_by_another_protocol_is_exceeded_or_not_judged(right: int, n: int, verdict: str) -> None:
    changes = ["10 epochs, not 500", "96 px, not 224"]
    assert accuracy_verdict(ON_CIFAR, evidence(right, n, differs=changes, protocol_differs=changes)) == verdict


@given(right=st.integers(0, 500), also=st.lists(st.text(min_size=1), max_size=2))
def test_other_pixels_or_a_part_of_the_images_exceed_nothing(right: int, also: list[str]) -> None:
    other = evidence(right, 500, differs=["others in place of CIFAR-10", *also], protocol_differs=also)
    assert accuracy_verdict(ON_CIFAR, other) == "differs in protocol"


@given(right=st.integers(0, 1000), expected=st.floats(0.05, 0.95), tolerance=st.floats(0.001, 0.1))
def test_exceeded_is_above_and_not_reproduced_below(right: int, expected: float, tolerance: float) -> None:
    verdict = accuracy_verdict(Accuracy("cifar10-b0", expected, tolerance), evidence(right, 1000))
    if verdict == "exceeded":
        assert right / 1000 - expected > tolerance
    elif verdict == "not reproduced":
        assert expected - right / 1000 > tolerance
    else:
        assert verdict == "reproduced"


def pair(better: int, worse: int, n: int = 400, seeds: int = 3) -> PairedLoss:
    """The reference alone is right on `better` images, the candidate alone on `worse`, in every training alike."""
    reference, candidate = np.ones((seeds, n), dtype=bool), np.ones((seeds, n), dtype=bool)
    candidate[:, :better] = False
    reference[:, better : better + worse] = False
    return paired_record("a", reference, "b", candidate, 0.0, 0.95, "test")


def test_an_order_holds_when_every_step_is_shown() -> None:
    assert order_verdict([pair(60, 5), pair(40, 4)]) == "reproduced"
    assert order_verdict([pair(60, 5), pair(10, 9)]) == "undecided"
    assert order_verdict([pair(60, 5), pair(5, 60)]) == "not reproduced"
    assert order_verdict([pair(10, 9), pair(5, 60)]) == "not reproduced"


@given(better=st.integers(0, 200), worse=st.integers(0, 200))
def test_the_contrary_never_rests_on_one_seed(better: int, worse: int) -> None:
    assert order_verdict([pair(better, worse, seeds=1)]) != "not reproduced"
    for kind in ("no better", "better", "similar"):
        judge = Gap("cifar10-b0", "cifar10-b1", kind, 0.04)
        assert gap_verdict(judge, pair(better, worse, seeds=1)) != "not reproduced"


@given(better=st.integers(0, 200), worse=st.integers(0, 200), seeds=st.integers(2, 4))
def test_an_order_and_its_contrary_are_never_both_shown(better: int, worse: int, seeds: int) -> None:
    here, there = order_verdict([pair(better, worse, seeds=seeds)]), order_verdict([pair(worse, better, seeds=seeds)])
    assert (here == "reproduced") == (there == "not reproduced")
    assert (here == "undecided") == (there == "undecided")


@pytest.mark.parametrize(
    ("kind", "better", "worse", "verdict"),
    [
        ("no better", 10, 10, "reproduced"),
        ("no better", 100, 5, "reproduced"),  # far worse is no better
        ("no better", 5, 100, "not reproduced"),
        ("no better", 40, 48, "undecided"),
        ("similar", 5, 5, "reproduced"),
        ("similar", 100, 5, "not reproduced"),
        ("similar", 5, 100, "not reproduced"),
        ("similar", 40, 46, "undecided"),
        ("better", 5, 100, "reproduced"),
        ("better", 5, 10, "not reproduced"),  # it gains, and less than 4 points
        ("better", 100, 5, "not reproduced"),
        ("better", 40, 48, "undecided"),
    ],
)
def test_a_gap(kind: Any, better: int, worse: int, verdict: str) -> None:
    judge = Gap("cifar10-b0", "cifar10-b1", kind, 0.04)
    assert gap_verdict(judge, pair(better, worse)) == verdict


@given(better=st.integers(0, 200), worse=st.integers(0, 200))
def test_what_is_better_is_not_no_better(better: int, worse: int) -> None:
    found = pair(better, worse)
    one, other = (gap_verdict(Gap("cifar10-b0", "cifar10-b1", kind, 0.04), found) for kind in ("better", "no better"))
    assert (one == "reproduced") == (other == "not reproduced")
    assert (one == "not reproduced") == (other == "reproduced")


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_without_results_every_claim_still_has_a_verdict(claim: Claim) -> None:
    found = judged(claim, Findings({}, {}, mini=False))
    if isinstance(claim.judge, Arithmetic):
        assert found.verdict in ("reproduced", "not reproduced", "error in the study")
        assert found.arithmetic
    else:
        assert found.verdict == "no result"
        assert f"foray reproduce {claim.id} --scale " in found.sentence


def test_what_gives_a_result_is_told_with_where_the_images_are() -> None:
    found = judged(CLAIMS["table1.cifar100.b0"], Findings({}, {}, mini=False))
    assert found.sentence == (
        "Not run: cifar100-b0. To run it: foray reproduce table1.cifar100.b0 --scale reduced|full --data-dir DIR "
        "--weights DIR. Images: CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html) in DIR/cifar100."
    )
    only_full = judged(CLAIMS["table1.cifar10.b1"], Findings({}, {}, mini=False)).sentence
    assert "--scale full --data-dir DIR" in only_full


@pytest.mark.parametrize(
    ("kind", "before"),
    [("data", "Images not available here: "), ("weights", "Weights not available here: "), ("failed", "")],
)
def test_the_reason_why_something_is_missing_is_told(kind: Any, before: str) -> None:
    claim = CLAIMS["mobilenet.frozen"]
    absent = {f"full/{claim.judge.roles[0]}": Unavailable(kind=kind, reason="DIR is empty.")}
    found = judged(claim, Findings({}, absent, mini=False))
    assert found.verdict == "no result"
    assert found.sentence.startswith(
        f"Not run: deepweeds-mobilenet-frozen. {before}DIR is empty. To run it: foray reproduce "
    )
    assert "Images:" not in found.sentence
