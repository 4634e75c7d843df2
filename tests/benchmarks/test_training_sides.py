"""The steps that the training benchmarks time, at tiny sizes: every side trains what it says it trains."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import _foray_train as foray_side
from benchmarks.cifar_loop import outside_network
from benchmarks.protocols import Result, Run, met_targets, table


def asked(**changes: object) -> argparse.Namespace:
    options = {
        "network": "mobilenet_v2_x0.5", "folder": None, "images": 7, "batch_size": 4, "resolution": 32,
        "small_images": False, "device": "cpu", "data": "ours", "precision": "float32", "compile": False, "workers": 0,
        "resize_side": 36,
    }  # fmt: skip
    return argparse.Namespace(**(options | changes))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three images of two classes in train/, one of each in test/."""
    random = np.random.default_rng(0)
    for split, n in (("train", 3), ("test", 1)):
        for name in ("maize", "wheat"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path


def test_a_step_is_one_of_the_loop_and_moves_every_weight() -> None:
    given = asked()
    source = foray_side.source_of(given, torch.device("cpu"))
    network = foray_side.network_of(given, source.num_classes)
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    training = foray_side.Training(network, "float32")
    batch = next(source.batches_of_every_epoch())
    training.step(lambda: source.augment(batch.images, batch.epoch, batch.step), batch.labels)
    assert all(not torch.equal(weight, before[name]) for name, weight in network.named_parameters())
    assert training.loss_sum > 0


def test_batches_go_on_from_epoch_to_epoch_and_are_all_of_one_size() -> None:
    source = foray_side.source_of(asked(images=7, batch_size=3), torch.device("cpu"))
    batches = list(itertools.islice(source.batches_of_every_epoch(), 5))
    assert [(batch.epoch, batch.step) for batch in batches] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    assert {tuple(batch.images.shape) for batch in batches} == {(3, 3, 36, 36)}  # floor(32 px / 0.875)


def test_images_of_train_alone_are_trained_on(pictures: Path) -> None:
    given = asked(folder=pictures, batch_size=6)
    source = foray_side.source_of(given, torch.device("cpu"))
    assert source.num_classes == 2
    assert sorted(next(source.batches_of_every_epoch()).labels.tolist()) == [0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="6 images do not fill a batch of 7"):
        foray_side.source_of(asked(folder=pictures, batch_size=7), torch.device("cpu"))


@pytest.mark.parametrize("data", ["ours", "loader"])
def test_timm_steps_on_its_own_data_and_on_ours(timm: ModuleType, pictures: Path, data: str) -> None:
    from benchmarks.peers import timm_train

    allow, benchmark = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.benchmark
    work = timm_train.prepare(asked(folder=pictures, data=data, batch_size=2))
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.benchmark = allow, benchmark
    for task in ("step", "network"):
        work.tasks[task](2)
    assert work.about["data"] == data


def test_shares_of_time_outside_the_network() -> None:
    share = outside_network([50.0, 90.0, 101.0], [100.0, 100.0, 100.0])
    assert (share.median, share.high) == pytest.approx((0.1, 0.3))
    assert share.low == pytest.approx(0.05)  # of the third round none, not less than none


def result(seed: int, test_top1: float, minutes: float) -> Result:
    return Result("mobilenet_v2", "finetune", seed, 60 * minutes, 0.97, test_top1, 8, 10, 160, "float32")


def test_targets_are_about_medians_over_seeds() -> None:
    results = [result(0, 0.959, 5.0), result(1, 0.961, 5.5), result(2, 0.97, 7.0)]
    assert list(met_targets(results).values()) == [True, True]
    assert list(met_targets([result(0, 0.959, 6.1)]).values()) == [False, False]
    row = ["mobilenet_v2 finetune", "3", "160", "10", "97.0 (97.0-97.0)", "96.1 (95.9-97.0)", "5.5 (5.0-7.0)"]
    assert table(results) == [row]


def test_another_setting_is_another_run() -> None:
    runs = [
        Run("plants.zip", "weights", "mobilenet_v2", "finetune", seed, resolution, epochs, changes)
        for seed in (0, 1)
        for resolution in (None, 160)
        for epochs in (None, 4)
        for changes in ((), ("batch_size=16",))
    ]
    assert len({run.name for run in runs}) == len(runs)
    command = runs[-1].command(Path("out"))
    assert command[-6:] == ["--resolution", "160", "--epochs", "4", "--set", "batch_size=16"]
