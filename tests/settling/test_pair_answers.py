"""What counts of the labels of one pair: when there is a verdict that stays, by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foray.settling.conclude import PairAnswers
from foray.statistics import Labelled, settled_status

TOLERANCE = 0.01
KINDS = {"losses": 0, "gains": 1, "neither": 2, "skipped": None}  # the reference says 0, the candidate 1


def answered(kinds: list[str], images: int, disagreements: int) -> PairAnswers:
    reference, candidate = np.zeros((1, disagreements), dtype=np.int64), np.ones((1, disagreements), dtype=np.int64)
    return PairAnswers(reference, candidate, [KINDS[kind] for kind in kinds], images)


def counted(kinds: list[str], images: int, disagreements: int) -> Labelled:
    return Labelled(images, disagreements, *(kinds.count(kind) for kind in KINDS))


def first_by_definition(kinds: list[str], images: int, disagreements: int, errors: tuple[float, float]) -> int | None:
    """Every number of labels by itself; where all have one, only that of all counts."""
    looks = [disagreements] if len(kinds) == disagreements else range(len(kinds) + 1)
    for look in looks:
        if settled_status(counted(kinds[:look], images, disagreements), TOLERANCE, *errors) != "unresolved":
            return look
    return None


@given(
    st.integers(0, 250), st.floats(0.3, 1), st.floats(0, 0.1), st.floats(0, 1), st.floats(1, 60),
    st.sampled_from([(0.025, 0.025), (0.025, 0.0125), (0.01, 0.002)]), st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_the_first_verdict_is_that_of_looking_after_every_label(d, done, skips, loss, times, errors, seed) -> None:
    rng = np.random.default_rng(seed)
    shares = np.array([loss, 1 - loss, 0.3, skips])
    kinds = rng.choice(list(KINDS), round(done * d), p=shares / shares.sum()).tolist()
    images = max(int(times * d), 1)
    answers = answered(kinds, images, d)
    assert answers.first_verdict(TOLERANCE, *errors) == first_by_definition(kinds, images, d, errors)
    for look in {0, len(kinds) // 2, len(kinds)}:
        assert answers.counts(look) == counted(kinds[:look], images, d)


@pytest.mark.parametrize(
    ("kinds", "earliest", "latest"),
    [(["losses"] * 300, 1, 60), (["losses", "gains"] * 40 + ["gains"] * 200, 81, 250), (["skipped"] * 300, None, None)],
)
def test_verdicts_that_come_early_late_and_never(kinds, earliest, latest) -> None:
    first = answered(kinds, 3000, 320).first_verdict(TOLERANCE, 0.025)
    assert first == first_by_definition(kinds, 3000, 320, (0.025, 0.025))
    assert first is None if earliest is None else earliest <= first <= latest


def test_with_one_error_for_both_verdicts_the_second_need_not_be_given() -> None:
    answers = answered(["losses"] * 60, 3000, 320)
    assert answers.first_verdict(TOLERANCE, 0.025) == answers.first_verdict(TOLERANCE, 0.025, 0.025)
    assert answers.first_verdict(TOLERANCE, 0.025, 0.001) > answers.first_verdict(TOLERANCE, 0.025)
