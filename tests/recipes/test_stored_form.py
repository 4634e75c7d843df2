"""The stored form of a recipe never changes: ids of runs, checkpoints and records of earlier versions rest on it."""

from __future__ import annotations

import hashlib
import json

import pytest

from foray.recipes import Recipe, changed, recipe_named, recipe_toml, recipes_by_name

# The study's recipes that train batch norm changed once, on purpose, when its momentum was stated.
# Of recipe.toml, of the JSON in a record and under a run's id, and of what a checkpoint is identified by.
DIGESTS = {
    "scratch": "d9f35316e605fb74",
    "linear": "a56fa525079f27d9",
    "partial": "934c809d1e0690ed",
    "finetune": "781ae54ce95829fb",
    "scratch_strong": "49e1af51a093fd50",
    "cifar10_scratch": "8e7b4c58bbd76a40",
    "linear_exact": "8901773b959815d7",
    "linear_views": "9a4f5b7bd842d402",
    "partial_strong": "82d72a0c9cbd3160",
    "finetune_strong": "41e2ee366278181a",
    "finetune_gradual": "707b276274104fea",
    "study_cifar_finetune": "b8197f24a81da9b2",
    "study_deepweeds_scratch": "52b0b5d1568bccd9",
    "study_rps_finetune": "e598ae2ec018c76e",
    "study_mobilenet_linear": "456afb048df6903b",
    "study_mobilenet_last34": "7ce06dcaa6f6d76c",
    "study_mobilenet_sgd": "7fbab8509fb71d09",
    "study_mobilenet_whole": "707c192de50324ed",
}


def digest(recipe: Recipe) -> str:
    forms = (
        recipe_toml(recipe),
        json.dumps(recipe.model_dump(mode="json")),
        recipe.model_dump_json(),
        json.dumps(recipe.model_dump(mode="json", exclude_defaults=True), sort_keys=True),
    )
    return hashlib.sha256("\n".join(forms).encode()).hexdigest()[:16]


def test_every_named_recipe_is_stored_as_ever() -> None:
    assert {name: digest(entry.recipe) for name, entry in recipes_by_name().items()} == DIGESTS


@pytest.mark.parametrize(
    ("name", "setting", "expected"),
    [
        ("linear", "optimizer.name=sgd", "a53f8cbfddf8d560"),
        ("linear", "solver=lbfgs", "8901773b959815d7"),
        ("finetune", "optimizer.name=rmsprop", "30441d7be0b316e7"),
        ("scratch", "optimizer.name=sgd", "d9ff8cf3f43fd7f0"),
    ],
)
def test_a_changed_recipe_is_stored_as_ever(name: str, setting: str, expected: str) -> None:
    assert digest(changed(recipe_named(name), [setting])) == expected
