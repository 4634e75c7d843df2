"""Claims are data: every number of the study is there once, with where it stands and how it is judged."""

from __future__ import annotations

from typing import get_args

import pytest

from foray.cli import reproduce as verb
from foray.errors import UnknownNameError
from foray.recipes import STUDY
from foray.records.reproduction import Scale
from foray.reproduce.all_claims import CLAIMS, claims_named, roles_of
from foray.reproduce.claim import SECTIONS, Accuracy, Claim
from foray.reproduce.experiments import BY_SCALE, FULL, ROLES
from foray.reproduce.sources import SOURCES


def test_every_accuracy_of_the_studys_recipes_is_a_claim() -> None:
    printed = sorted(one.top1 for entry in STUDY.values() for one in entry.printed if one.top1 is not None)
    claimed = [one.judge.expected for one in CLAIMS.values() if isinstance(one.judge, Accuracy)]
    assert sorted([*printed, 0.71]) == sorted(claimed)


def test_every_claim_says_where_it_stands_and_how_it_is_judged() -> None:
    for claim in CLAIMS.values():
        assert claim.where
        assert claim.judge.rule()
        assert claim.statement.endswith(".")
        assert claim.section in SECTIONS
        assert set(claim.data.split(", ")) <= {*SOURCES, "none"}


def test_accuracy_claims_are_judged_on_the_experiment_of_their_recipe() -> None:
    for claim in CLAIMS.values():
        if isinstance(claim.judge, Accuracy) and claim.recipe:
            experiment = FULL[claim.judge.role]
            assert experiment.recipe == claim.recipe
            assert experiment.source == claim.data
            assert experiment.changes == ()


def test_a_claim_that_names_no_experiment_is_refused() -> None:
    with pytest.raises(ValueError, match="no experiment is called b9"):
        Claim("x", "table1", "X.", "Table 1", "cifar10", Accuracy("b9", 0.9))
    with pytest.raises(ValueError, match="shares of 1"):
        Claim("x", "table1", "X.", "Table 1", "cifar10", Accuracy("cifar10-b0", 91.2))


@pytest.mark.parametrize("scale", get_args(Scale))
def test_experiments_resolve_to_valid_recipes(scale: Scale) -> None:
    for role, experiment in BY_SCALE[scale].items():
        recipe = experiment.resolved()
        assert experiment.role == role
        assert experiment.source in SOURCES
        assert (recipe is None) == role.startswith("imagenet")
        if recipe is not None and scale == "mini":
            assert recipe.epochs == 2


def test_claims_need_no_other_experiments() -> None:
    assert set(roles_of(list(CLAIMS.values()))) <= set(ROLES)


def test_names_are_sections_claims_or_what_they_begin_with() -> None:
    assert claims_named([]) == list(CLAIMS.values())
    assert {claim.section for claim in claims_named(["scaling", "figure1"])} == {"scaling", "figure1"}
    assert [claim.id for claim in claims_named(["table1.rps"])] == [
        "table1.rps.b0", "table1.rps.b2", "table1.rps.slower",
    ]  # fmt: skip
    with pytest.raises(UnknownNameError, match="Did you mean mobilenet"):
        claims_named(["mobilnet"])


def test_the_command_line_knows_the_scales() -> None:
    assert get_args(verb.Scale) == get_args(Scale)
