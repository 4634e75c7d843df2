"""What is settled before a run, and what is refused then."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from foray.errors import DataError, ForayError, UnknownNameError, WeightsError
from foray.recipes import preset
from tests.asking import plan_run, recipe_for
from tests.small_training import MODEL, coloured_squares, small_recipe

LINEAR = preset("linear", epochs=1)


@pytest.mark.parametrize(
    ("side", "given", "resolution", "small_image", "crop_pct"),
    [
        (8, None, 32, "stride1_stem", 1.0),  # digits
        (28, None, 32, "stride1_stem", 1.0),
        (64, None, 64, "stride1_stem", 1.0),
        (65, None, 224, "none", 0.875),
        (65, 64, 64, "stride1_stem", 0.875),
        (8, 96, 96, "none", 1.0),
    ],
)
def test_resolution_from_scratch(side, given, resolution, small_image, crop_pct) -> None:
    plan = plan_run("mobilenet_v2", coloured_squares(per_class=5, side=side), small_recipe(), resolution=given)
    assert (plan.preprocessing.resolution, plan.small_image) == (resolution, small_image)
    assert plan.preprocessing.crop_pct == crop_pct
    assert plan.weights is None
    assert plan.spec.name == "mobilenet_v2"


def test_weights_bring_their_variant_and_preprocessing(squares, small_weights) -> None:
    plan = plan_run(MODEL, squares, LINEAR, weights=small_weights)
    assert (plan.requested, plan.spec.name) == (MODEL, "tf_" + MODEL)
    assert plan.preprocessing == plan.weights.preprocessing
    assert plan.preprocessing.resolution == 32
    assert plan.small_image == "none"  # the weights' own resolution is a small one


def test_small_images_are_enlarged_to_the_resolution_of_the_weights_and_used_whole(
    squares, small_weights, tmp_path
) -> None:
    folder = shutil.copytree(small_weights, tmp_path / "weights")
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["crop_pct"] = 0.875
    (folder / "config.json").write_text(json.dumps(config))
    plan = plan_run(MODEL, squares, LINEAR, weights=folder, resolution=96)
    assert (plan.preprocessing.resolution, plan.preprocessing.crop_pct) == (96, 1.0)
    assert plan.small_image == "upsampled"
    photos = plan_run(MODEL, coloured_squares(per_class=5, side=65), LINEAR, weights=folder, resolution=96)
    assert (photos.preprocessing.crop_pct, photos.small_image) == (0.875, "none")


def test_small_images_get_the_recipe_without_flips_and_photos_the_one_with() -> None:
    assert recipe_for(coloured_squares(per_class=5, side=28), "scratch").augmentation.horizontal_flip == 0
    assert recipe_for(coloured_squares(per_class=5, side=100), "scratch", epochs=3).augmentation.horizontal_flip == 0.5


@pytest.mark.parametrize("protocol", ["linear", "finetune"])
def test_protocols_that_need_weights_say_so(squares, protocol: str) -> None:
    with pytest.raises(ForayError, match=rf"`protocol` {protocol} starts from pretrained weights.*`weights`"):
        plan_run(MODEL, squares, preset(protocol))


def test_what_does_not_fit_together_is_refused(squares, small_weights) -> None:
    with pytest.raises(ForayError, match="starts from fresh weights"):
        plan_run(MODEL, squares, small_recipe(), weights=small_weights)
    with pytest.raises(UnknownNameError, match="mobilenet_v2"):
        plan_run("mobilenet_v22", squares, LINEAR)
    with pytest.raises(WeightsError, match="mobilenet_v2"):
        plan_run("mobilenet_v2", squares, LINEAR, weights=small_weights)
    with pytest.raises(ForayError, match="`resolution` must be at least 1, not 0"):
        plan_run(MODEL, squares, small_recipe(), resolution=0)
    with pytest.raises(ForayError, match="`seed` must not be negative"):
        plan_run(MODEL, squares, small_recipe(), seed=-1)


def test_a_dataset_that_is_for_evaluation_only_is_not_trained_on(squares) -> None:
    only_test = replace(squares, samples=tuple(s for s in squares.samples if s.split == "test"))
    with pytest.raises(DataError, match="no train and no val images"):
        plan_run(MODEL, only_test, small_recipe())


def test_a_scaled_name_states_its_resolution_and_keeps_its_graph() -> None:
    small, photos = coloured_squares(per_class=5, side=8), coloured_squares(per_class=5, side=100)
    for data, crop_pct in ((small, 1.0), (photos, 0.875)):
        plan = plan_run("mobilenet_v2@w0.35,r48", data, small_recipe())
        assert (plan.preprocessing.resolution, plan.preprocessing.crop_pct) == (48, crop_pct)
        assert plan.small_image == "none"  # the solver costed the network with the stem it has
        assert plan.spec.name == "mobilenet_v2@d1,w0.35,r48"


def test_a_resolution_against_the_name_is_refused() -> None:
    data = coloured_squares(per_class=5, side=100)
    with pytest.raises(ForayError, match="is 48 px by its name, and `resolution` says 64"):
        plan_run("mobilenet_v2@w0.35,r48", data, small_recipe(), resolution=64)
    assert plan_run("mobilenet_v2@w0.35,r48", data, small_recipe(), resolution=48).preprocessing.resolution == 48


@pytest.mark.parametrize(("name", "given", "least"), [("mobilenet_v2", 15, 16), ("xception", 9, 16)])
def test_resolutions_below_the_stride_are_refused(name: str, given: int, least: int) -> None:
    """The stem does not stride at small sizes: half the stride is enough there."""
    data = coloured_squares(per_class=5, side=8)
    with pytest.raises(ForayError, match=f"`resolution` {least} or more"):
        plan_run(name, data, small_recipe(), resolution=given)
    assert plan_run(name, data, small_recipe(), resolution=least).preprocessing.resolution == least


def test_what_cannot_be_unfrozen_is_said_before_anything_runs(squares, small_weights) -> None:
    with pytest.raises(ForayError, match="as Keras counts them"):
        plan_run(MODEL, squares, preset("partial", unfreeze="last:999"), weights=small_weights)
