"""Frozen blocks run once where every epoch shows the same, and the run is that in which they run every time."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from foray.data import Dataset, decode_for_evaluation, normalize
from foray.evaluation.inference_engine import relative_error
from foray.models import build_model
from foray.recipes import SGD, preset
from foray.recipes.presets import PHOTOS
from foray.recipes.recipe import PartialRecipe, RateSchedule
from foray.records import RunRecord
from foray.runs.trained import load_run
from foray.specs import Preprocessing, get_spec
from foray.training import Interrupted, frozen_start
from foray.training.freezing import unfreeze_part
from foray.training.frozen_start import frozen_blocks, frozen_maps, is_same_every_epoch
from foray.training.loop import set_norm_momentum
from foray.weights import load_weights
from tests.asking import plan_run, train_run
from tests.small_training import MODEL

from .same_run import SignalsAt, assert_same_run
from .test_freezing import EVERY_FAMILY

UNFREEZE = "last:7"


def recipe(**changes: object) -> PartialRecipe:
    asked = {
        "epochs": 3, "batch_size": 8, "optimizer": SGD(learning_rate=0.05, momentum=0.9), "dropout": 0.2,
        "schedule": RateSchedule(name="constant"), "unfreeze": UNFREEZE, "ema_decay": 0.9,
        "precision": "float32",  # some processors train in bfloat16, whose rounding is larger than the tolerance
    }  # fmt: skip
    return PartialRecipe(**asked | changes)


def trained(folder: Path, squares: Dataset, weights: Path, **options: object) -> RunRecord:
    plan = plan_run(MODEL, squares, recipe(), weights=weights)
    return train_run(plan, squares, folder, device="cpu", cache_dir=folder.parent / "cache", **options)


@pytest.mark.parametrize(
    ("unfreeze", "blocks"),
    [("last:34", 13), ("head", 17), ("stages.0", 0), ("stages.2,head", 3), ("last:154", 0), ("stem", 0)],
)
def test_the_frozen_start_ends_before_what_is_trained(unfreeze: str, blocks: int) -> None:
    """MobileNetV2 has stages of 1, 2, 3, 4, 3, 3 and 1 blocks; the study's last 34 layers begin in the 14th."""
    with torch.device("meta"):
        network = build_model(get_spec("mobilenet_v2"))
    unfreeze_part(network, unfreeze)
    assert len(network.blocks) == 17
    assert frozen_blocks(network) == blocks


@pytest.mark.parametrize("name", EVERY_FAMILY)
def test_maps_in_place_of_images_give_the_same_logits(name: str, squares: Dataset) -> None:
    network = build_model(get_spec(name), num_classes=3, seed=0)
    preprocessing = Preprocessing(resolution=64, crop_pct=1.0)
    store = decode_for_evaluation(squares, preprocessing)
    images = normalize(torch.from_numpy(np.array(store.pixels[:9])).permute(0, 3, 1, 2), preprocessing)
    set_norm_momentum(network, 1.0)
    with torch.inference_mode():
        network.train()(images)  # batch norm takes the statistics of these images, so that nothing fades or grows
        expected = network.eval()(images)
        for blocks in {1, len(network.blocks) // 2, len(network.blocks)}:
            maps = frozen_maps(network, store, lambda shown: normalize(shown, preprocessing), blocks)
            assert maps is not None
            assert (len(maps.pixels), maps.pixels.dtype) == (len(squares.samples), np.float32)
            network.skipped = blocks
            found = network(torch.from_numpy(maps.pixels[:9]).permute(0, 3, 1, 2))
            network.skipped = 0
            assert relative_error(found.numpy(), expected.numpy()) < 1e-4


def test_the_run_is_the_one_that_sends_every_image_through_the_whole_network(
    squares, small_weights, tmp_path, monkeypatch
) -> None:
    record = trained(tmp_path / "maps", squares, small_weights)
    monkeypatch.setattr(frozen_start, "_MEMORY_SHARE", 2**60)  # too little memory for any map
    other = trained(tmp_path / "images", squares, small_weights)
    said = "the first 12 blocks, which are frozen, were run once"
    assert (said in record.notes, said in other.notes) == (True, False)
    for split in ("val", "test"):
        ours, theirs = (np.load(tmp_path / run / "predictions" / f"{split}.npz") for run in ("maps", "images"))
        assert ours["image_ids"].tolist() == theirs["image_ids"].tolist()
        assert_close(ours["probabilities"], theirs["probabilities"], rtol=0, atol=1e-3)
    assert other.metrics["test"].top1 == record.metrics["test"].top1


def test_what_is_frozen_stays_bit_for_bit_and_the_kept_network_takes_images(squares, small_weights, tmp_path) -> None:
    record = trained(tmp_path / "run", squares, small_weights)
    kept = load_run(tmp_path / "run").network
    assert kept.skipped == 0
    fresh = build_model(kept.spec, num_classes=3, seed=0)
    load_weights(fresh, plan_run(MODEL, squares, recipe(), weights=small_weights).weights)
    before, after = fresh.state_dict(), kept.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert record.unfrozen == unfreeze_part(fresh, UNFREEZE)
    assert moved == {key for key in before if any(key.startswith(f"{layer}.") for layer in record.unfrozen)}


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(squares, small_weights, tmp_path) -> None:
    trained(tmp_path / "peace", squares, small_weights)
    with pytest.raises(Interrupted):
        trained(tmp_path / "stopped", squares, small_weights, progress=SignalsAt(signal.SIGINT, 7))
    trained(tmp_path / "stopped", squares, small_weights)
    assert_same_run(tmp_path / "stopped", tmp_path / "peace")


def test_where_epochs_show_different_images_nothing_is_run_once() -> None:
    assert is_same_every_epoch(recipe())
    for changes in ({"augmentation": PHOTOS}, {"training_resolution": 0.9}, {"progressive_resolution": 0.8}):
        assert not is_same_every_epoch(recipe(**changes))
    assert not is_same_every_epoch(preset("finetune"))
