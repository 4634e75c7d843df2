"""The study's experiments: its numbers, and nothing that is ours passed off as the study's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from foray.recipes import SGD, STUDY, Augmentation, RateSchedule, Recipe, ScratchRecipe, StudyRecipe, recipe_file

EXPERIMENTS = list(STUDY.values())
NOT_OF_A_RECIPE = {"classifier", "resolution", "splits", "start", "augmentation"}  # of a run, or said in words
DEFAULTS = ScratchRecipe(epochs=1, batch_size=1, optimizer=SGD(learning_rate=1))


def flat(recipe: Recipe) -> dict[str, Any]:
    """Dotted key -> value."""

    def walk(table: dict[str, Any], before: str) -> Iterator[tuple[str, Any]]:
        for key, value in table.items():
            if isinstance(value, dict):
                yield from walk(value, f"{before}{key}.")
            else:
                yield before + key, value

    return dict(walk(recipe.model_dump(mode="json"), ""))


@pytest.mark.parametrize(
    ("name", "data", "model", "epochs", "percent"),
    [
        ("study_cifar_finetune", "cifar10", "efficientnet_b0", 500, 91.2),
        ("study_cifar_finetune", "cifar10", "efficientnet_b1", 500, 91.3),
        ("study_cifar_finetune", "cifar10", "efficientnet_b2", 500, 91.7),
        ("study_cifar_finetune", "cifar100", "efficientnet_b0", 500, 86.9),
        ("study_deepweeds_scratch", "deepweeds", "efficientnet_b0", 500, 93.5),
        ("study_deepweeds_scratch", "deepweeds", "efficientnet_b0", 70, 90.5),
        ("study_deepweeds_scratch", "deepweeds", "efficientnet_b1", 500, 94.7),
        ("study_deepweeds_scratch", "deepweeds", "efficientnet_b2", 500, 95.0),
        ("study_rps_finetune", "rock_paper_scissors", "efficientnet_b0", 250, 86.0),
        ("study_rps_finetune", "rock_paper_scissors", "efficientnet_b2", 250, 92.4),
        ("study_mobilenet_linear", "deepweeds", "mobilenet_v2", 10, 79.95),
        ("study_mobilenet_whole", "deepweeds", "mobilenet_v2", 20, 89.0),
    ],
)
def test_the_printed_figures(name: str, data: str, model: str, epochs: int, percent: float) -> None:
    (top1,) = [
        figure.top1
        for figure in STUDY[name].printed
        if (figure.data, figure.model, figure.epochs) == (data, model, epochs)
    ]
    assert top1 == pytest.approx(percent / 100)
    assert epochs == STUDY[name].recipe.epochs or epochs == 70


@pytest.mark.parametrize(
    ("name", "protocol", "optimizer", "rate", "epochs", "unfreeze"),
    [
        ("study_mobilenet_linear", "linear", "rmsprop", 1e-3, 10, None),
        ("study_mobilenet_last34", "partial", "rmsprop", None, None, "last:34"),
        ("study_mobilenet_sgd", "partial", "sgd", 1e-2, None, "last:34"),
        ("study_mobilenet_whole", "finetune", "rmsprop", 1e-4, 20, None),
    ],
)
def test_mobilenets_are_trained_as_printed(name, protocol, optimizer, rate, epochs, unfreeze) -> None:
    recipe, unstated = STUDY[name].recipe, STUDY[name].unstated
    assert (recipe.protocol, recipe.optimizer.name) == (protocol, optimizer)
    assert getattr(recipe, "unfreeze", None) == unfreeze
    assert rate == recipe.optimizer.learning_rate if rate else "optimizer.learning_rate" in unstated
    assert epochs == recipe.epochs if epochs else "epochs" in unstated
    assert getattr(recipe.optimizer, "convention", "keras") == "keras"


@pytest.mark.parametrize("name", ["study_cifar_finetune", "study_deepweeds_scratch", "study_rps_finetune"])
def test_efficientnets_are_trained_as_printed(name: str) -> None:
    recipe = STUDY[name].recipe
    assert (recipe.optimizer.name, recipe.optimizer.weight_decay, recipe.checkpoint) == ("sgd", 5e-4, "best")
    assert recipe.schedule == RateSchedule(name="step", factor=0.9, every_epochs=5)
    assert {"optimizer.learning_rate", "optimizer.momentum", "batch_size", "splits"} <= set(STUDY[name].unstated)


@pytest.mark.parametrize("entry", EXPERIMENTS, ids=lambda entry: entry.name)
def test_what_is_neither_a_default_nor_printed_is_marked_as_ours(entry: StudyRecipe) -> None:
    ours, defaults = flat(entry.recipe), flat(DEFAULTS)
    required = {"protocol", "epochs", "batch_size", "optimizer.name", "optimizer.learning_rate"}
    chosen = {key for key, value in ours.items() if value != defaults[key]} | required
    accounted = set(entry.stated) | set(entry.unstated)
    assert chosen <= accounted, chosen - accounted
    assert not set(entry.stated) & set(entry.unstated)
    assert accounted <= set(ours) | NOT_OF_A_RECIPE


@pytest.mark.parametrize("entry", EXPERIMENTS, ids=lambda entry: entry.name)
def test_unstated_values_are_those_of_the_recipe_and_have_a_reason(entry: StudyRecipe) -> None:
    ours = flat(entry.recipe)
    for key, choice in entry.unstated.items():
        assert choice.reason
        if key not in NOT_OF_A_RECIPE:
            assert choice.value == ours[key], key
    if "augmentation" in entry.unstated:
        assert entry.unstated["augmentation"].value == "none"
        assert entry.recipe.augmentation == Augmentation()


@pytest.mark.parametrize("entry", EXPERIMENTS, ids=lambda entry: entry.name)
def test_the_file_tells_every_choice_and_figure(entry: StudyRecipe) -> None:
    comments = " ".join(
        line.removeprefix("#").strip() for line in recipe_file(entry.name).splitlines() if line.startswith("#")
    )
    for key, choice in entry.unstated.items():
        value = choice.value if isinstance(choice.value, str) else json.dumps(choice.value)
        assert f"{key} = {value}: {choice.reason}." in comments
    for figure in entry.printed:
        assert figure.model in comments
        assert figure.top1 is None or f"{100 * figure.top1:.4g} %" in comments
