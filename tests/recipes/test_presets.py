"""The presets keep what the study and images of digits need."""

from __future__ import annotations

from typing import get_args

import pytest

from foray.errors import ForayError
from foray.recipes import Protocol, preset, presets


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_every_protocol_has_a_preset_whose_docstring_is_a_recipe(protocol: str) -> None:
    assert preset(protocol).protocol == protocol
    doc = getattr(presets, protocol).__doc__
    assert all(heading in doc for heading in ("Command:", "Result:", "Time:", "Hardware:"))
    assert f"--protocol {protocol}" in doc


def test_linear_is_the_studys_optimiser_without_augmentation() -> None:
    recipe = preset("linear")
    optimizer = recipe.optimizer
    assert (optimizer.name, optimizer.learning_rate, recipe.batch_size) == ("rmsprop", 1e-3, 32)
    assert (optimizer.convention, optimizer.rho, optimizer.epsilon) == ("keras", None, None)  # its defaults
    assert recipe.augmentation.is_identity
    assert recipe.checkpoint == "last"  # val does not choose an epoch, so it stays an estimate


@pytest.mark.parametrize("protocol", ["scratch", "finetune"])
def test_short_trainings_do_not_keep_the_statistics_of_other_images(protocol: str) -> None:
    assert preset(protocol).bn_momentum == 0.1


@pytest.mark.parametrize("protocol", ["scratch", "finetune"])
def test_photos_are_mirrored_and_cropped_and_small_images_are_not(protocol: str) -> None:
    photos, small = preset(protocol).augmentation, preset(protocol, small_images=True).augmentation
    assert photos.horizontal_flip == 0.5
    assert photos.random_crop_scale[0] < 1.0
    assert (small.horizontal_flip, small.vertical_flip, small.random_crop_scale) == (0.0, 0.0, (1.0, 1.0))
    assert small.translate > 0


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_epochs_replace_the_presets_and_nothing_else(protocol: str) -> None:
    assert preset(protocol, epochs=7) == preset(protocol).model_copy(update={"epochs": 7})


@pytest.mark.parametrize("epochs", [0, -3])
def test_a_run_has_at_least_one_epoch(epochs: int) -> None:
    with pytest.raises(ForayError, match=f"at least 1, not {epochs}"):
        preset("scratch", epochs=epochs)
