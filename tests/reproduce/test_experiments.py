"""The experiments as data: scales, what a result of another plan differs in, and the work of the scaled networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from foray.errors import ForayError
from foray.reproduce.differences import older_recipe
from foray.reproduce.experiments import BY_SCALE, FROZEN_FOLDS, FULL, MINI, REDUCED, SCALED, experiments_at
from foray.reproduce.sources import SOURCES
from foray.scaling import realised_multipliers, scaled_cost
from foray.specs import get_spec

from .made_results import Made, some_right

BASE = get_spec("efficientnet@d0.6,w0.4,r64")
# Roles of the study's images in smaller pixels, or a part of them.
NOT_WHOLE = {"rps-b0", "imagenet-mobilenet"}


def test_the_scaled_networks_do_about_twice_the_work_of_one_and_as_much_as_each_other() -> None:
    """The ratios that the source states; within 5 % of each other they may be compared."""
    work = [scaled_cost(get_spec(name), 10).macs for name in SCALED.values()]
    assert max(work) / min(work) < 1.05
    assert [round(macs / scaled_cost(BASE, 10).macs, 3) for macs in work] == [2.167, 2.162, 2.154, 2.149]


def test_each_scaled_network_grows_in_what_it_is_named_for() -> None:
    grown = {way: realised_multipliers(get_spec(name), BASE) for way, name in SCALED.items()}
    for i, way in enumerate(("depth", "width", "resolution")):
        assert [mult > 1 for mult in grown[way]] == [j == i for j in range(3)]
    assert [round(mult, 2) for mult in grown["compound"]] == [1.15, 1.13, 1.16]


def test_reduced_experiments_are_on_the_studys_own_images() -> None:
    for role, experiment in REDUCED.items():
        source = SOURCES[experiment.source]
        assert source.same_images
        if role in FULL and role not in NOT_WHOLE:
            assert experiment.source == FULL[role].source
            assert experiment.per_class is None
            assert experiment.model == FULL[role].model
    assert not any(role.startswith(("cifar10-b1", "cifar10-b2")) and "scratch" not in role for role in REDUCED)


def test_mini_runs_are_of_the_folds_of_their_roles() -> None:
    assert [MINI[role].fold for role in FROZEN_FOLDS] == [1, 2, 3, 4]


@pytest.mark.parametrize("scale", BY_SCALE)
def test_an_experiment_is_of_the_scale_it_is_found_under(scale: str) -> None:
    assert {experiment.scale for experiment in BY_SCALE[scale].values()} == {scale}  # type: ignore[index]


def test_results_of_another_plan_say_what_differs(tmp_path: Path) -> None:
    made, right = Made(tmp_path), some_right(5, 10)
    assert older_recipe(made.run("deepweeds-mobilenet-frozen", right)) == []
    assert older_recipe(made.run(FROZEN_FOLDS[0], right)) == []
    assert older_recipe(made.run(FROZEN_FOLDS[0], right, fold=2)) == ["fold: 2, not 1"]
    assert older_recipe(made.run("rps-b0", right, source="rock_paper_scissors_28px")) == [
        "images: Rock-Paper-Scissors at 28 px, enlarged, not Rock-Paper-Scissors"
    ]
    changed: dict[str, object] = {"epochs": 30, "bn_momentum": None}
    assert older_recipe(made.run("deepweeds-mobilenet-whole", right, changes=changed)) == [
        "30 epochs, not 20", "bn_momentum: none, not 0.1",
    ]  # fmt: skip
    scaled = made.run("scaling-depth", right, scale="reduced")
    other = scaled.info.model_copy(update={"reduced": "425 train, 75 val and 200 test images per class"})
    object.__setattr__(scaled, "info", other)
    assert older_recipe(scaled) == [
        "images: 425 train, 75 val and 200 test images per class, not 850 train, 150 val and 1000 test images per class"
    ]


def test_results_that_cropped_enlarged_images_are_of_an_earlier_version(tmp_path: Path) -> None:
    made, right = Made(tmp_path), some_right(5, 10)
    run = made.run("cifar10-b0", right, scale="reduced")
    enlarged = run.record.architecture.model_copy(update={"small_image": "upsampled"})
    for crop_pct, expected in ((1.0, []), (0.875, ["crop_pct of enlarged images: 0.875, not 1.0"])):
        preprocessing = replace(run.record.preprocessing, crop_pct=crop_pct)
        record = run.record.model_copy(update={"architecture": enlarged, "preprocessing": preprocessing})
        assert older_recipe(replace(run, record=record)) == expected


def test_results_whose_classifier_was_drawn_large_are_of_an_earlier_version(tmp_path: Path) -> None:
    run = Made(tmp_path).run("cifar10-b0", some_right(5, 10), scale="reduced")
    told = ["classifier drawn in +-1/sqrt(classes), not as for 1,000 classes"]
    for large, expected in ((False, []), (True, told), (None, told)):
        architecture = run.record.architecture.model_copy(update={"large_classifier": large})
        record = run.record.model_copy(update={"architecture": architecture})
        assert older_recipe(replace(run, record=record)) == expected


@pytest.mark.parametrize("seeds", [0, -1, 10**8])
def test_a_number_of_seeds_that_is_none_is_refused(seeds: int) -> None:
    with pytest.raises(ForayError, match="`seeds` must be at "):
        experiments_at("reduced", ["rps-b0"], seeds)


def test_as_many_seeds_as_asked_for() -> None:
    assert [one.seeds for one in experiments_at("reduced", ["rps-b0", "scaling-depth"])] == [(0,), (0, 1, 2)]
    assert [one.seeds for one in experiments_at("reduced", ["rps-b0", "scaling-depth"], 2)] == [(0, 1), (0, 1)]
