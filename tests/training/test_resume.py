"""A run that was killed or interrupted ends bit for bit as one that was not; `resume` needs its folder alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from foray.api import train
from foray.errors import RunError
from foray.records import RunRecord
from foray.runs import resume
from foray.training import Interrupted
from foray.training.checkpoint import Checkpoint
from tests.asking import plan_run, train_run
from tests.caches import new_cache
from tests.small_training import MODEL, coloured_squares, small_recipe

from .lives import RECIPES
from .same_run import SignalsAt, assert_same_run, without_seconds

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lives(tmp_path_factory, small_weights) -> Path:
    """Every recipe of `lives`, trained in peace and through its deaths."""
    folder = tmp_path_factory.mktemp("lives")
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.lives", folder, small_weights],
        env=os.environ | {"OMP_NUM_THREADS": "1", "FORAY_CACHE": str(new_cache(folder / "cache"))},
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_killed_again_and_again_ends_as_one_that_was_not(lives: Path, name: str) -> None:
    deaths = json.loads((lives / name / "deaths.json").read_text())
    assert len(deaths) >= 2
    assert_same_run(lives / name / "deaths", lives / name / "peace")
    left = [path.name for path in (lives / name / "deaths").rglob("*") if path.is_file()]
    assert not [path for path in left if path.startswith(".") and path != ".lock"]


def test_the_kill_points_are_of_every_kind(lives: Path) -> None:
    kinds = {kind for name in RECIPES for kind in json.loads((lives / name / "deaths.json").read_text())}
    assert kinds == {"at a step", "half written", "before the rename", "after the rename"}


def test_early_stopping_counts_on_through_deaths(lives: Path) -> None:
    rows = without_seconds(lives / "rmsprop" / "deaths" / "history.jsonl")
    best = max(rows, key=lambda row: (row["val_top1"], -row["val_loss"]))["epoch"]
    assert len(rows) < RECIPES["rmsprop"].epochs
    assert len(rows) == best + 2


def test_the_average_is_what_is_kept_and_said_to_be_validated(lives: Path) -> None:
    run = lives / "adamw" / "peace"
    assert {row["val_weights"] for row in without_seconds(run / "history.jsonl")} == {"average"}
    assert {row["val_weights"] for row in without_seconds(lives / "sgd" / "peace" / "history.jsonl")} == {"model"}
    epoch = RunRecord.load(run / "record.json").best_epoch
    kept, checkpoint = (
        load_file(run / "best.safetensors"),
        load_file(run / "checkpoint" / f"epoch-{epoch:04d}.safetensors"),
    )
    assert all(torch.equal(tensor, checkpoint[f"average.{key}"]) for key, tensor in kept.items())
    assert any(not torch.equal(tensor, checkpoint[f"network.{key}"]) for key, tensor in kept.items())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("steps", [7, 10], ids=["within an epoch", "at the end of an epoch"])
def test_an_interrupted_run_saves_its_step_and_goes_on_from_there(
    squares, lives: Path, tmp_path, number: signal.Signals, steps: int
) -> None:
    plan = plan_run("mobilenet_v2_x0.25", squares, RECIPES["adamw"], seed=4, deterministic=True)
    folder = tmp_path / "run"
    handlers = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(Interrupted, match=r"in epoch 2 after batch|in the validation of epoch 2") as stopped:
        train_run(plan, squares, folder, device="cpu", progress=SignalsAt(number, steps))
    assert handlers == [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert stopped.value.folder == folder
    assert "interrupted" in RunRecord.load(folder / "record.json").failure
    state = Checkpoint(folder, keep="best").state()
    assert 5 * state.epoch + state.step >= steps  # 36 images at batch 8
    assert 5 * state.epoch + state.step <= steps + 1
    train_run(plan, squares, folder, device="cpu")
    assert_same_run(folder, lives / "adamw" / "peace")


def test_a_second_signal_does_not_wait_for_the_step() -> None:
    from foray.training.interruption import between_steps

    with between_steps() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_made
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """nohup ignores SIGHUP so that the run outlives its terminal."""
    from foray.training.interruption import between_steps, stop_signals_as_ctrl_c

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals_as_ctrl_c(), between_steps() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.is_made
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def pictures(tmp_path) -> Path:
    """The coloured squares as PNG files."""
    for sample in coloured_squares().samples:
        path = tmp_path / "squares" / sample.split / f"{sample.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sample.image.pixels).save(path)
    return tmp_path / "squares"


def interrupted(data: Path, out: Path, **options: object) -> Path:
    """Folder of a run that was stopped in its second epoch."""
    recipe = small_recipe(**{"epochs": 3, "dropout": 0.3} | options.pop("recipe", {}))
    with pytest.raises(Interrupted) as stopped:
        train(data, MODEL, recipe=recipe, out=out, device="cpu", progress=SignalsAt(signal.SIGINT, 7), **options)
    return stopped.value.folder


def test_resume_needs_the_folder_given_to_out_or_the_runs_own(pictures, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # the run is taken up from elsewhere
    options = {"seed": 3, "deterministic": True, "resolution": 24}
    first = interrupted(Path("squares"), Path("first"), **options)
    second = interrupted(Path("squares"), Path("second"), **options)
    recipe = small_recipe(epochs=3, dropout=0.3)
    whole = train("squares", MODEL, recipe=recipe, out="whole", device="cpu", **options)
    first, second = first.absolute(), second.absolute()
    monkeypatch.chdir(ROOT)
    assert resume(first.parent).status == "done"
    record = resume(second)
    assert (record.seed, record.deterministic, record.architecture.resolution) == (3, True, 24)
    assert resume(second) == record  # done: nothing is trained
    for folder in (first, second):
        assert_same_run(folder, tmp_path / "whole" / whole.run_id)


def test_resume_asks_which_of_several_runs(pictures, tmp_path) -> None:
    out = tmp_path / "out"
    first, second = interrupted(pictures, out, seed=1), interrupted(pictures, out, seed=2)
    with pytest.raises(RunError, match=f"2 unfinished runs: {first}, {second}. Name one"):
        resume(out)
    resume(first)
    assert resume(out).run_id == second.name  # the one that is left
    with pytest.raises(RunError, match="2 runs, all of them done"):
        resume(out)
    with pytest.raises(RunError, match=r"There is no run in .*elsewhere"):
        resume(tmp_path / "elsewhere")


def test_changed_images_and_weights_are_refused(pictures, small_weights, tmp_path) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(small_weights, weights)
    run = interrupted(pictures, tmp_path / "out", weights=weights, recipe={"protocol": "finetune"})
    state = load_file(weights / "model.safetensors")
    from safetensors.torch import save_file

    save_file({key: tensor + 1 for key, tensor in state.items()}, weights / "model.safetensors")
    with pytest.raises(RunError, match=r"the weights of .*weights.* have changed since it started \(SHA-256"):
        resume(run)
    save_file(state, weights / "model.safetensors")
    next((pictures / "train" / "red").iterdir()).unlink()
    with pytest.raises(RunError, match=r"the images of .*squares have changed since it started"):
        resume(run)


def test_a_run_that_cropped_enlarged_images_goes_on_cropping(pictures, small_weights, tmp_path, monkeypatch) -> None:
    options = {"weights": small_weights, "recipe": {"protocol": "finetune"}, "resolution": 96}
    with monkeypatch.context() as earlier:
        earlier.setattr("foray.training.plan.SMALL_IMAGE_CROP", 0.875)
        run = interrupted(pictures, tmp_path / "out", **options)
    record = resume(run)
    assert (record.status, record.architecture.small_image) == ("done", "upsampled")
    assert record.preprocessing.crop_pct == 0.875


@pytest.mark.parametrize("left", ["the checkpoint", "the record alone"])
def test_a_run_that_drew_a_large_classifier_goes_on_with_it(squares, tmp_path, left: str) -> None:
    plan = plan_run("efficientnet@d0.1,w0.1,r32", squares, small_recipe(epochs=2), deterministic=True)
    earlier = replace(plan, large_classifier=True)
    whole = train_run(earlier, squares, tmp_path / "whole", device="cpu")
    small = train_run(plan, squares, tmp_path / "small", device="cpu")
    assert (whole.architecture.large_classifier, small.architecture.large_classifier) == (True, False)
    rows = [without_seconds(tmp_path / name / "history.jsonl") for name in ("whole", "small")]
    assert rows[0][0]["train_loss"] > 1.2 * rows[1][0]["train_loss"]

    folder = tmp_path / "run"
    with pytest.raises(Interrupted):
        train_run(earlier, squares, folder, device="cpu", progress=SignalsAt(signal.SIGINT, 2))
    record = RunRecord.load(folder / "record.json")
    unstated = record.architecture.model_copy(update={"large_classifier": None})  # as an earlier version wrote it
    record.model_copy(update={"architecture": unstated}).save(folder / "record.json")
    if left == "the record alone":
        shutil.rmtree(folder / "checkpoint")
    train_run(plan, squares, folder, device="cpu")
    assert_same_run(folder, tmp_path / "whole")


def test_runs_of_a_comparison_are_gone_on_with_by_their_own_command(squares, tmp_path) -> None:
    plan = plan_run(MODEL, squares, small_recipe(epochs=3))
    with pytest.raises(Interrupted):
        train_run(plan, squares, tmp_path / "run", device="cpu", progress=SignalsAt(signal.SIGINT, 2))
    with pytest.raises(RunError, match="was not started by foray train"):
        resume(tmp_path / "run")


def test_the_same_seed_gives_the_same_bits_and_another_does_not(squares, lives: Path, tmp_path) -> None:
    plan = plan_run("mobilenet_v2_x0.25", squares, RECIPES["adamw"], seed=4, deterministic=True)
    train_run(plan, squares, tmp_path / "again", device="cpu")
    assert_same_run(tmp_path / "again", lives / "adamw" / "peace")
    other = plan_run("mobilenet_v2_x0.25", squares, RECIPES["adamw"], seed=5, deterministic=True)
    train_run(other, squares, tmp_path / "other", device="cpu")
    assert without_seconds(tmp_path / "other" / "history.jsonl") != without_seconds(
        tmp_path / "again" / "history.jsonl"
    )
