"""Rates of wrong and right picks, simulated: the tables of docs/verdict.md with fewer trials."""

from __future__ import annotations

import pytest

from foray.decision import ALONE_ERROR, COMPARE_ERROR
from tools.verdict_rates import Models, alone, before, dunnett, hsu, now, rates, wrong_claims, wrong_over_trainings

TRIALS = 400


def most(error: float) -> float:
    """What a share of wrong verdicts may be by chance: two standard errors above the error."""
    return error + 2 * (error * (1 - error) / TRIALS) ** 0.5


RULES = [(now, COMPARE_ERROR), (alone, ALONE_ERROR)]


@pytest.mark.parametrize(("n", "was"), [(150, 0.2), (300, 0.1), (700, 0.03)])
def test_a_cheap_model_that_is_one_and_a_half_points_worse_is_no_longer_shipped_as_the_most_accurate(n, was) -> None:
    models = Models((0.015, 0.0), n)
    assert rates(models, before, TRIALS).wrong > was
    assert rates(models, now, TRIALS).wrong <= COMPARE_ERROR
    assert rates(models, alone, TRIALS).wrong <= ALONE_ERROR


@pytest.mark.parametrize(("rule", "error"), RULES)
@pytest.mark.parametrize("n", [150, 700, 3000])
def test_two_models_that_differ_by_the_tolerance(n, rule, error) -> None:
    assert rates(Models((0.01, 0.0), n), rule, TRIALS).wrong <= most(error)


@pytest.mark.parametrize("losses", [(0.01,) * 4 + (0.0,), (0.01, 0.01, 0.0, 0.0, 0.0), (0.0,) + (0.01,) * 5])
def test_no_wrong_model_passes_and_no_right_one_is_called_worse(losses) -> None:
    passed, worse = wrong_claims(Models(losses, 2000), TRIALS)
    assert passed <= most(COMPARE_ERROR)
    assert worse <= most(COMPARE_ERROR)


def test_verdicts_come_more_often_than_before_where_one_model_is_better() -> None:
    models = Models((0.015, 0.0), 700)
    old, new = rates(models, before, TRIALS), rates(models, now, TRIALS)
    assert new.right > 0.7
    assert old.right < 0.3


def test_it_decides_nearly_as_often_as_hsus_comparisons_with_the_best() -> None:
    models = Models((0.02, 0.003, 0.02, 0.0), 1500)
    ours, theirs = rates(models, now, TRIALS), rates(models, hsu, TRIALS)
    assert theirs.right - 0.12 < ours.right < theirs.right + 0.05
    assert max(ours.wrong, theirs.wrong) <= 0.05


def test_two_models_are_decided_as_hsu_does() -> None:
    models = Models((0.003, 0.0), 700)
    assert rates(models, now, TRIALS) == rates(models, hsu, TRIALS)


def test_dunnetts_published_quantiles() -> None:
    # Dunnett 1955, Journal of the American Statistical Association 50:1096, Table 1a, 95 %, infinite degrees of
    # freedom.
    assert [round(dunnett(rivals), 2) for rivals in (1, 2, 3, 4, 5, 9)] == [1.64, 1.92, 2.06, 2.16, 2.23, 2.42]


@pytest.mark.parametrize(("n", "one_seed"), [(300, 0.035), (700, 0.07), (3000, 0.2)])
def test_over_trainings_one_seed_is_often_wrong_and_three_are_not(n, one_seed) -> None:
    assert wrong_over_trainings(n, 1, TRIALS) > one_seed
    assert wrong_over_trainings(n, 3, TRIALS) <= most(COMPARE_ERROR)
