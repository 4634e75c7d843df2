"""Keys that do not go together are refused by name, with the way out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from foray.errors import ForayError
from foray.recipes import RECIPE_ADAPTER, SGD, Augmentation, Protocol, changed, preset, recipe_named
from foray.recipes.optimizer import OPTIMIZERS
from foray.recipes.recipe import RECIPES

FLIPS = "augmentation.horizontal_flip=0.5"


@pytest.mark.parametrize(
    ("protocol", "settings", "key", "way_out"),
    [
        ("finetune", ["solver=lbfgs"], "`solver` is for the protocol linear, not for finetune", "remove it"),
        ("scratch", ["feature_views=4"], "`feature_views` is for the protocol linear", "remove it"),
        ("finetune", ["standardize_features=true"], "`standardize_features` is for the protocol linear", "remove it"),
        ("scratch", ["gradual_unfreezing_epochs=1"], "is for the protocol finetune, not for scratch", "remove"),
        ("partial", ["gradual_unfreezing_epochs=1"], "not for partial", "choose another protocol"),
        ("linear", ["micro_batch_size=4"], "`micro_batch_size` is for the protocol scratch", "remove it"),
        ("linear", ["progressive_resolution=0.5"], "`progressive_resolution`", "remove it"),
        ("linear", ["stochastic_depth_prob=0.1"], "`stochastic_depth_prob`", "remove it"),
        ("linear", ["bn_momentum=0.1"], "`bn_momentum`", "remove it"),
        ("linear", ["optimizer.layer_decay=0.5"], "`optimizer.layer_decay`", "remove it"),
        ("linear", [FLIPS], "takes no `augmentation`", "set feature_views"),
        ("linear", ["feature_views=4"], "`feature_views` = 4 views of an image are all equal", "horizontal_flip=0.5"),
        ("linear", ["augmentation.mixup_alpha=0.2", "feature_views=2"], "`augmentation.mixup_alpha`", "set both to 0"),
        ("linear", ["augmentation.cutmix_alpha=1", "solver=lbfgs"], "`augmentation.cutmix_alpha`", "set both to 0"),
        ("linear", ["solver=lbfgs", "sampling=balanced"], "so `sampling` has no meaning", "solver to gradient"),
        ("linear", ["solver=lbfgs", "dropout=0.2"], "`dropout`", "set dropout to 0"),
        ("finetune", ["micro_batch_size=64"], "`micro_batch_size` = 64 must not exceed `batch_size`", "which is 32"),
        ("finetune", ["optimizer.momentum=0.9"], "`momentum` is for the optimizer sgd, not for adamw", "0.9 here"),
        ("finetune", ["optimizer.rho=0.9"], "`rho` is for the optimizer rmsprop", "remove it"),
        ("finetune", ["optimizer.convention=pytorch"], "`convention` is for the optimizer rmsprop", "remove it"),
        ("finetune", ["optimizer.decay_all=true"], "`decay_all` is for the optimizer sgd", "remove it"),
        ("finetune", ["optimizer.name=sgd", "optimizer.nesterov=true"], "`nesterov` looks ahead", "momentum, for ex"),
        ("finetune", ["optimizer.name=sgd", "optimizer.epsilon=1e-8"], "`epsilon` is for the optimizer rmsprop, a", ""),
        ("finetune", ["augmentation.random_crop_scale=[0.5, 0.2]"], "`random_crop_scale` = .0.5, 0.2. is no", "first"),
        ("finetune", ["augmentation.random_crop_scale=[0.5, 2.0]"], "`random_crop_scale` is a share", "at most 1"),
        ("finetune", ["augmentation.random_crop_ratio=[0.0, 1.0]"], "`random_crop_ratio` = .0, 1. is no", "above 0"),
    ],
)  # fmt: skip
def test_contradictions_name_the_key_and_the_way_out(
    protocol: Protocol, settings: list[str], key: str, way_out: str
) -> None:
    with pytest.raises(ForayError, match=f"`changes`: .*{key}.*{way_out}"):
        changed(preset(protocol), settings)


def float_keys(model: type[BaseModel], table: str = "") -> Iterator[str]:
    """Every key of a table that takes a number with a fraction, dotted."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from float_keys(field.annotation, f"{table}{name}.")
        elif "float" in str(field.annotation):
            yield f"{table}{name}"


def float_keys_of_all_variants() -> Iterator[tuple[str, str, str]]:
    """Protocol, optimiser, and a key that takes a number with a fraction with these two."""
    for recipe in RECIPES:
        yield from ((recipe.kind(), "sgd", key) for key in float_keys(recipe))
    for optimizer in OPTIMIZERS:
        yield from (("finetune", optimizer.kind(), key) for key in float_keys(optimizer, "optimizer."))


@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
@pytest.mark.parametrize(("protocol", "optimizer", "key"), list(float_keys_of_all_variants()))
def test_every_number_is_finite(protocol: Protocol, optimizer: str, key: str, number: str) -> None:
    value = f"[0.5, {number}]" if "random_crop" in key else number
    with pytest.raises(ForayError, match=f"`changes`: .*{key}.* does not fit"):
        changed(preset(protocol), [f"optimizer.name={optimizer}", f"{key}={value}"])


@pytest.mark.parametrize(
    ("protocol", "settings"),
    [
        ("linear", [FLIPS, "feature_views=4"]),
        ("linear", [FLIPS, "feature_views=4", "solver=lbfgs", "class_weights=effective"]),
        ("finetune", ["micro_batch_size=32", "gradual_unfreezing_epochs=0.5"]),
        ("scratch", ["augmentation.mixup_alpha=0.2", "progressive_resolution=0.5"]),
        ("finetune", ["optimizer.name=sgd", "optimizer.momentum=0.9", "optimizer.nesterov=true"]),
        ("linear", ["optimizer.convention=pytorch", "optimizer.rho=0.9", "optimizer.epsilon=1e-3"]),
        ("partial", ["optimizer.epsilon=1e-6", "optimizer.layer_decay=0.5", "unfreeze=head"]),
    ],
)
def test_what_goes_together_is_taken(protocol: Protocol, settings: list[str]) -> None:
    assert changed(preset(protocol), settings) != preset(protocol)


@pytest.mark.parametrize(
    ("mixup", "cutmix", "probability", "mixes"),
    [(0, 0, 1, False), (0.2, 0, 1, True), (0, 1, 0.5, True), (0.2, 1, 1, True), (0.2, 1, 0, False)],
)
def test_images_are_mixed_where_an_alpha_and_the_probability_say_so(mixup, cutmix, probability, mixes) -> None:
    chosen = Augmentation(mixup_alpha=mixup, cutmix_alpha=cutmix, mix_probability=probability)
    assert chosen.mixes is mixes


def test_a_recipe_cannot_be_changed_in_place() -> None:
    recipe = recipe_named("linear")
    with pytest.raises(ValidationError, match="frozen"):
        recipe.epochs = 3
    assert RECIPE_ADAPTER.validate_python(recipe.model_dump()) == recipe
    tables = recipe.model_dump() | {"optimizer": {"learning_rate": 0.1}}
    assert RECIPE_ADAPTER.validate_python(tables).optimizer == SGD(learning_rate=0.1)
