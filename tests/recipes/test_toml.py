"""recipe.toml: what is written is read back, and what is not understood is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foray.errors import ForayError
from foray.recipes import (
    RECIPE_ADAPTER,
    SGD,
    AdamW,
    Augmentation,
    Optimizer,
    Protocol,
    RateSchedule,
    Recipe,
    RMSprop,
    preset,
    read_recipe,
    recipe_toml,
)

unit = st.floats(0, 1)
shares = st.floats(0.01, 1)
ranges = st.tuples(shares, shares).map(lambda bounds: (min(bounds), max(bounds)))


def optimizer_of(name: str, momentum: float, nesterov: bool, epsilon: float, **values: object) -> Optimizer:
    if name == "sgd":
        return SGD(momentum=momentum, nesterov=nesterov and momentum > 0, **values)
    return (AdamW if name == "adamw" else RMSprop)(epsilon=epsilon, **values)


def recipe_of(protocol: Protocol, unfreeze: str, augmentation: Augmentation, **values: object) -> Recipe:
    """`linear` augments cached views, at least two of them, and has no batch to mix."""
    views = 1 if protocol != "linear" or augmentation.is_identity else 3
    return RECIPE_ADAPTER.validate_python(
        {
            "protocol": protocol,
            "unfreeze": unfreeze if protocol == "partial" else None,
            "augmentation": augmentation,
            "feature_views": views,
            **values,
        }
    )


recipes = st.builds(
    recipe_of,
    protocol=st.sampled_from(get_args(Protocol)),
    unfreeze=st.sampled_from(["last:34", "stages.6,head"]),
    epochs=st.integers(1, 10_000),
    batch_size=st.integers(1, 4096),
    optimizer=st.builds(
        optimizer_of,
        name=st.sampled_from(["sgd", "rmsprop", "adamw"]),
        learning_rate=st.floats(1e-12, 10),
        momentum=st.floats(0, 0.999),
        nesterov=st.booleans(),
        epsilon=st.floats(1e-12, 1),
    ),
    schedule=st.builds(
        RateSchedule, name=st.sampled_from(["constant", "step", "cosine"]), warmup_epochs=st.floats(0, 9)
    ),
    augmentation=st.builds(Augmentation, random_crop_scale=ranges, random_crop_ratio=ranges, horizontal_flip=unit),
    dropout=st.none() | st.floats(0, 0.99),
    checkpoint=st.sampled_from(["best", "last"]),
)


@given(recipe=recipes)
def test_what_is_written_is_read_back(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "recipe.toml"
    path.write_text(recipe_toml(recipe), encoding="utf-8")
    assert read_recipe(path) == recipe


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("epoch = 3", r"unknown key 'epoch'\. Known here: protocol, epochs, "),
        ("learning_rte = 1", r"unknown key 'optimizer.learning_rte'\. Known here: name, learning_rate, "),
        ("label_smoothing = 1.5", r"label_smoothing = 1\.5 does not fit"),
        ("precision = 'half'", r"precision = 'half' does not fit.*bfloat16"),
        ("batch_size = 'many'", r"batch_size = 'many' does not fit"),
        ("epochs = = 3", r"not a recipe: .*line 1"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "recipe.toml"
    key = line.partition(" ")[0]
    lines = [row for row in recipe_toml(preset("linear")).splitlines() if not row.startswith(f"{key} =")]
    at = lines.index("[optimizer]") + 1 if key == "learning_rte" else 0
    path.write_text("\n".join([*lines[:at], line, *lines[at:]]))
    with pytest.raises(ForayError, match=told) as error:
        read_recipe(path)
    assert "recipe.toml" in str(error.value)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_toml(preset("linear")).replace("batch_size = 32\n", ""))
    with pytest.raises(ForayError, match="the key 'batch_size' is missing"):
        read_recipe(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ForayError, match=r"Cannot read the recipe .*nowhere\.toml: No such file"):
        read_recipe(tmp_path / "nowhere.toml")


def test_keys_that_do_not_go_together_are_told(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_toml(preset("partial")).replace('"partial"', '"finetune"'))
    with pytest.raises(
        ForayError, match=r"recipe\.toml: `unfreeze` is for the protocol partial, not for finetune: remove it"
    ):
        read_recipe(path)


def test_a_recipe_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbf" + recipe_toml(preset("finetune")).encode())
    assert read_recipe(path) == preset("finetune")
