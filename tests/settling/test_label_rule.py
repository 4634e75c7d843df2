"""The page's rule of a verdict says what counting every possible outcome says."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from foray.settling import Pair

from .conftest import Open
from .made_pages import KINDS, counted_status, counted_verdict, made_page

# (pair, tolerance, counts by kind)
Case = tuple[Pair, float, dict[str, int]]


def random_pair(draw: random.Random, most: int) -> Pair:
    differ = draw.randint(0, most)
    images = round((differ + 1) * 10 ** draw.uniform(0, 2))
    error, rivals = draw.choice([0.05, 0.025, 0.0125, 0.005]), draw.choice([None, 1, 2, 5])
    return Pair("ours", "theirs", images, differ, error, (), None if rivals is None else error / rivals)


def random_kinds(draw: random.Random, length: int) -> list[str]:
    """Labels of which one kind is more frequent than the others, sometimes much more."""
    weights = [draw.choice([0.1, 1, 4, 20]) for _ in KINDS[:3]] + [draw.choice([0, 0, 0.3])]
    return draw.choices(KINDS, weights, k=length)


def counts_of(kinds: list[str]) -> dict[str, int]:
    return {kind: kinds.count(kind) for kind in KINDS}


def statuses(opened: Open, cases: list[Case]) -> list[str]:
    """By the page's script, with the numbers that Python puts into the page."""
    visit = opened(replace(made_page(0), pairs=tuple(pair for pair, _, _ in cases)))
    script = """(cases) => {
        const { pairs } = JSON.parse(document.getElementById("page").textContent);
        return cases.map(([tolerance, counts], i) => rule.status(pairs[i], tolerance, counts));
    }"""
    return list(visit.page.evaluate(script, [[tolerance, counts] for _, tolerance, counts in cases]))


def test_status_equals_that_of_all_possible_outcomes(opened: Open) -> None:
    draw = random.Random(22)
    cases: list[Case] = []
    for _ in range(800):
        pair = random_pair(draw, 40)
        kinds = random_kinds(draw, round(pair.disagreements * draw.uniform(0, 1) ** 0.3))
        cases.append((pair, draw.choice([0.0, 0.005, 0.01, 0.03]), counts_of(kinds)))
    expected = [counted_status(*case) for case in cases]
    assert min(Counter(expected).values()) > 40
    assert len(Counter(expected)) == 3
    assert statuses(opened, cases) == expected


@pytest.mark.parametrize(
    ("images", "differ", "counts", "status"),
    [
        (2400, 58, {"losses": 0, "gains": 0, "neither": 0, "skipped": 0}, "unresolved"),
        (2400, 58, {"losses": 0, "gains": 0, "neither": 58, "skipped": 0}, "not_worse"),
        (2400, 58, {"losses": 0, "gains": 0, "neither": 0, "skipped": 58}, "unresolved"),
        (2400, 58, {"losses": 58, "gains": 0, "neither": 0, "skipped": 0}, "worse"),
        (2400, 58, {"losses": 0, "gains": 58, "neither": 0, "skipped": 0}, "not_worse"),
    ],
)
def test_plain_cases(opened: Open, images: int, differ: int, counts: dict[str, int], status: str) -> None:
    pair = Pair("ours", "theirs", images, differ, 0.025, ())
    assert statuses(opened, [(pair, 0.01, counts)]) == [status]


def test_five_hundred_disagreements_are_counted_as_exactly(opened: Open) -> None:
    """Factorials of hundreds: their logarithms are summed, which must not move the edge of the set."""
    pair = Pair("ours", "theirs", 10_000, 500, 0.025, ())
    shares = ((0.7, 0.1), (0.2, 0.6))  # of losses and gains among the labels
    cases = [
        (pair, 0.01, counts_of(["losses"] * round(lost * labels) + ["gains"] * round(won * labels) + ["neither"] * 20))
        for lost, won in shares
        for labels in (50, 80, 90, 100)
    ]
    expected = [counted_status(*case) for case in cases]
    assert set(expected) == {"unresolved", "not_worse", "worse"}
    assert statuses(opened, cases) == expected


def test_a_verdict_that_was_reached_stays_until_all_are_labelled(opened: Open) -> None:
    draw = random.Random(5)
    cases, lost = [], 0
    while len(cases) < 120:
        pair = random_pair(draw, 30)
        kinds = random_kinds(draw, draw.randint(0, pair.disagreements))
        verdict = counted_verdict(pair, 0.01, kinds)
        if verdict != "unresolved" and len(kinds) < pair.disagreements:
            kinds += random_kinds(draw, 1) if len(cases) % 2 else ["losses" if verdict == "not_worse" else "gains"]
            verdict = counted_verdict(pair, 0.01, kinds)
        cases.append((pair, kinds, verdict))
        lost += verdict != counted_status(pair, 0.01, counts_of(kinds))
    assert lost > 0  # the last prefix alone would say something else
    visit = opened(replace(made_page(0), pairs=tuple(pair for pair, _, _ in cases)))
    script = """(kinds) => {
        const { pairs } = JSON.parse(document.getElementById("page").textContent);
        const remembered = rule.remembered();
        return kinds.map((of, i) => rule.verdict(pairs[i], 0.01, of, remembered));
    }"""
    assert visit.page.evaluate(script, [kinds for _, kinds, _ in cases]) == [verdict for _, _, verdict in cases]
