"""Claims are data: every statement of the study is there, with where it stands, whose it is and how it is judged."""

from __future__ import annotations

from typing import get_args

import pytest

from foray.cli import reproduce as verb
from foray.errors import UnknownNameError
from foray.recipes import STUDY
from foray.records.reproduction import Scale
from foray.reproduce.all_claims import CLAIMS, claims_named, roles_of
from foray.reproduce.arithmetic_costs import RESOLUTIONS
from foray.reproduce.claim import SECTIONS, Accuracy, Arithmetic, Claim, Gap, Order, Timed, TimeRatio
from foray.reproduce.experiments import BY_SCALE, FULL, ROLES
from foray.reproduce.sources import SOURCES
from foray.reproduce.statements import STATEMENTS
from foray.specs import get_spec

OURS = {
    "table1.larger_is_better.scratch", "scaling.one_dimension",
    *(f"comparison.equal_protocol.{of}" for of in ("b0", "v2b0", "scratch", "cifar")),
    *(f"comparison.equal_protocol.{what}.{name}" for what in ("head_time", "whole_time", "latency")
      for name in ("b0", "v2b0")),
}  # fmt: skip
TIMED = {name: claim.judge for name, claim in CLAIMS.items() if isinstance(claim.judge, TimeRatio)}


def test_every_accuracy_of_the_studys_recipes_is_a_claim() -> None:
    printed = sorted(one.top1 for entry in STUDY.values() for one in entry.printed if one.top1 is not None)
    claimed = [one.judge.expected for one in CLAIMS.values() if isinstance(one.judge, Accuracy)]
    assert sorted([*printed, 0.71]) == sorted(claimed)


def test_every_claim_says_where_it_stands_and_how_it_is_judged() -> None:
    for claim in CLAIMS.values():
        assert claim.where
        assert claim.judge.rule()
        assert claim.statement.endswith(".")
        assert ". " not in claim.statement  # one sentence
        assert claim.section in SECTIONS
        assert set(claim.data.split(", ")) <= {*SOURCES, "none"}


def test_every_statement_of_the_study_has_a_claim_and_every_claim_of_the_study_a_statement() -> None:
    named = {name for statement in STATEMENTS for name in statement.claims}
    assert named <= set(CLAIMS)
    assert all(statement.claims and statement.text.endswith(".") for statement in STATEMENTS)
    assert {claim.id for claim in CLAIMS.values() if claim.origin == "study"} <= named
    assert len({statement.text for statement in STATEMENTS}) == len(STATEMENTS)


def test_experiments_that_the_study_did_not_make_are_ours() -> None:
    assert {claim.id for claim in CLAIMS.values() if claim.origin == "ours"} == OURS


def test_enough_claims_are_decided_without_images() -> None:
    assert sum(isinstance(claim.judge, Arithmetic) for claim in CLAIMS.values()) >= 20


def test_accuracy_claims_are_judged_on_the_experiment_of_their_recipe() -> None:
    for claim in CLAIMS.values():
        if isinstance(claim.judge, Accuracy) and claim.recipe:
            experiment = FULL[claim.judge.role]
            assert experiment.recipe == claim.recipe
            assert experiment.source == claim.data
            assert experiment.changes == ()


def test_the_studys_orders_and_gaps_compare_the_studys_experiments_alone() -> None:
    for claim in CLAIMS.values():
        if isinstance(claim.judge, Order | Gap) and claim.origin == "study":
            assert set(claim.judge.roles) <= set(FULL)


def test_times_are_of_the_networks_and_pixels_of_the_claim() -> None:
    assert TIMED["table1.rps.slower"] == TimeRatio(
        Timed("efficientnet_b0", 150), Timed("efficientnet_b2", 300), 1.25, 1.75
    )
    for b in ("b0", "b1", "b2"):
        per_epoch, total = TIMED[f"comparison.faster_to_train.{b}"], TIMED[f"comparison.faster_to_train.total.{b}"]
        assert per_epoch.fast == total.fast == Timed("mobilenet_v2", 224)
        assert per_epoch.slow == total.slow == Timed(f"efficientnet_{b}", RESOLUTIONS[f"efficientnet_{b}"])
        assert (per_epoch.of, total.of, total.epochs) == ("epoch", "run", (20, 500))
    longer = TIMED["mobilenet.whole.longer"]
    assert longer.fast == Timed("mobilenet_v2", 224, trains="head")
    assert longer.slow == Timed("mobilenet_v2", 224)
    assert longer.epochs == (10, 20)
    latencies = {name: (one.fast.model, one.slow.model) for name, one in TIMED.items() if one.of == "latency"}
    assert latencies == {
        "related.efficientnet_v2.latency": ("efficientnet_v2_b0", "efficientnet_b0"),
        "related.mobilenet_v3.latency": ("mobilenet_v3_large", "mobilenet_v2"),
        "related.ghostnet.latency": ("ghostnet", "mobilenet_v2"),
        "comparison.equal_protocol.latency.b0": ("mobilenet_v2", "efficientnet_b0"),
        "comparison.equal_protocol.latency.v2b0": ("mobilenet_v2", "efficientnet_v2_b0"),
    }


def test_runs_are_as_long_as_the_study_prints() -> None:
    epochs = {name: max(one.epochs or 0 for one in entry.printed) for name, entry in STUDY.items()}
    head, whole = epochs["study_mobilenet_linear"], epochs["study_mobilenet_whole"]
    assert TIMED["mobilenet.whole.longer"].epochs == (head, whole)
    assert TIMED["comparison.faster_to_train.total.b0"].epochs == (whole, epochs["study_deepweeds_scratch"])


def test_networks_are_timed_at_the_pixels_of_their_papers() -> None:
    assert {name: get_spec(f"tf_{name}").resolution for name in RESOLUTIONS} == RESOLUTIONS
    for judge in TIMED.values():
        assert get_spec(judge.fast.model)
        assert get_spec(judge.slow.model)


def test_a_claim_that_names_no_experiment_is_refused() -> None:
    with pytest.raises(ValueError, match="no experiment is called b9"):
        Claim("x", "table1", "X.", "Table 1", "cifar10", Accuracy("b9", 0.9))
    with pytest.raises(ValueError, match="shares of 1"):
        Claim("x", "table1", "X.", "Table 1", "cifar10", Accuracy("cifar10-b0", 91.2))


@pytest.mark.parametrize("scale", BY_SCALE)
def test_experiments_resolve_to_valid_recipes(scale: Scale) -> None:
    for role, experiment in BY_SCALE[scale].items():
        recipe = experiment.resolved()
        assert experiment.source in SOURCES
        assert (recipe is None) == role.startswith("imagenet")
        if recipe is not None and scale == "mini":
            assert recipe.epochs == 2


def test_every_role_has_a_claim() -> None:
    assert set(roles_of(list(CLAIMS.values()))) == set(ROLES)


def test_names_are_sections_claims_or_what_they_begin_with() -> None:
    assert claims_named([]) == list(CLAIMS.values())
    assert {claim.section for claim in claims_named(["scaling", "figure1"])} == {"scaling", "figure1"}
    assert [claim.id for claim in claims_named(["table1.rps"])] == [
        "table1.rps.b0", "table1.rps.b2", "table1.rps.b2_above_b0", "table1.rps.slower",
    ]  # fmt: skip
    with pytest.raises(UnknownNameError, match="Did you mean mobilenet"):
        claims_named(["mobilnet"])


def test_the_scales_are_the_same_everywhere() -> None:
    assert get_args(verb.Scale) == get_args(Scale)
    assert set(BY_SCALE) == set(get_args(Scale))
