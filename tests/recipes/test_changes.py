"""Single numbers of a recipe, changed by hand."""

from __future__ import annotations

import pytest

from foray.errors import ForayError
from foray.recipes import changed, preset


def test_values_are_read_as_in_toml_and_keys_of_tables_are_dotted() -> None:
    recipe = changed(
        preset("finetune"),
        ["epochs=3", "optimizer.name=sgd", "optimizer.momentum = 0.9", "augmentation.random_crop_scale=[0.5, 1.0]"],
    )
    assert (recipe.epochs, recipe.optimizer.name, recipe.optimizer.momentum) == (3, "sgd", 0.9)
    assert recipe.augmentation.random_crop_scale == (0.5, 1.0)
    assert recipe.schedule == preset("finetune").schedule


def test_nothing_changed_is_the_same_recipe() -> None:
    assert changed(preset("linear"), []) == preset("linear")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "write key=value"),
        ("epoch=3", "unknown key 'epoch'. Known here: .*epochs"),
        ("optimizer.lr=0.1", "unknown key 'optimizer.lr'. Known here: .*learning_rate"),
        ("optimiser.learning_rate=0.1", "no table 'optimiser'"),
        ("epochs.more=3", "no table 'epochs'"),
        ("epochs=many", "epochs = 'many' does not fit"),
        ("optimizer.learning_rate=-1", "learning_rate = -1 does not fit"),
        ("unfreeze=last:34", "`unfreeze` is for the protocol partial"),
    ],
)
def test_slips_are_told(setting: str, message: str) -> None:
    with pytest.raises(ForayError, match=message):
        changed(preset("finetune"), [setting])
