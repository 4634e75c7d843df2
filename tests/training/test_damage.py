"""What is read back from a run and is not what the run wrote is refused, by name, with a way out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from foray.errors import RunError, WeightsError
from foray.records import RunFolder, RunRecord
from foray.runs import load_run, predict
from foray.runs.saved_predictions import read_predictions
from foray.weights import save_network
from tests.asking import plan_run, train_run
from tests.damage import flip_a_bit
from tests.small_training import small_recipe

NAME = "mobilenet_v2_x0.25"


def seeded(squares, seed: int):
    return plan_run(NAME, squares, small_recipe(), seed=seed, deterministic=True)


@pytest.fixture(scope="module")
def both(squares, tmp_path_factory) -> Path:
    """Two runs that differ in their seed alone: `0` and `1`."""
    folder = tmp_path_factory.mktemp("both")
    for seed in (0, 1):
        train_run(seeded(squares, seed), squares, folder / str(seed), device="cpu")
    return folder


@pytest.fixture
def runs(both: Path, tmp_path: Path) -> Path:
    """A copy of the two to damage."""
    shutil.copytree(both, tmp_path / "runs")
    return tmp_path / "runs"


def forget_digests(run: Path) -> None:
    """Makes of it a run of an earlier version of foray."""
    for path in (run / "record.json", run / "checkpoint" / "state.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        for key in ("digest", "files", "run", "history"):
            content.pop(key, None)
        path.write_text(json.dumps(content), encoding="utf-8")


def cut_test(run: Path, n: int = 5) -> None:
    """Writes the predictions of the first `n` test images alone."""
    path = run / "predictions" / "test.npz"
    with np.load(path) as whole:
        arrays = {name: whole[name][:n] for name in whole.files}
    np.savez(path, **arrays)


def test_the_record_has_the_digest_of_every_file_with_results(both: Path) -> None:
    run = both / "0"
    record = RunRecord.load(run / "record.json")
    files = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    without = {
        name for name in files if name.startswith(("checkpoint/", ".")) or name in ("record.json", "recipe.toml")
    }
    assert set(record.files) == files - without
    assert {"best.safetensors", "history.jsonl", "predictions/test.npz", "predictions/val.npz"} <= set(record.files)


def test_a_run_without_digests_loads(runs: Path, squares) -> None:
    forget_digests(runs / "0")
    trained = load_run(runs / "0")
    assert trained.record.files == {}
    assert len(read_predictions(RunFolder(runs / "0"), "test").labels) == trained.record.metrics["test"].n
    assert len(RunFolder(runs / "0").read_history(trained.record)) == 2
    assert train_run(seeded(squares, 0), squares, runs / "0", device="cpu") == trained.record


def test_flipped_bits_of_the_weights_are_noticed(runs: Path) -> None:
    flip_a_bit(runs / "0" / "best.safetensors", -5000)
    with pytest.raises(RunError, match=r"best\.safetensors is damaged.*Delete .*0, and run the command"):
        load_run(runs / "0")


def test_weights_of_another_seed_are_noticed(runs: Path) -> None:
    shutil.copy(runs / "1" / "best.safetensors", runs / "0" / "best.safetensors")
    with pytest.raises(RunError, match=r"best\.safetensors is damaged"):
        load_run(runs / "0")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_predict_nothing(runs: Path, value: float) -> None:
    network = load_run(runs / "0").network
    with torch.no_grad():
        network.classifier.bias[1] = value
    save_network(network, runs / "0" / "best.safetensors")
    forget_digests(runs / "0")
    with pytest.raises(
        WeightsError, match=r"best\.safetensors hold values that are NaN or infinite, in classifier\.bias"
    ):
        predict(runs / "0", [])


def test_predictions_cut_short_are_noticed(runs: Path) -> None:
    cut_test(runs / "0")
    with pytest.raises(RunError, match=r"test\.npz is damaged: its SHA-256 differs from the recorded one"):
        read_predictions(RunFolder(runs / "0"), "test")


def test_predictions_cut_short_are_noticed_without_digests(runs: Path) -> None:
    cut_test(runs / "0")
    forget_digests(runs / "0")
    with pytest.raises(
        RunError, match=r"test\.npz is damaged: it has \d of 5 images right, and record\.json has \d+ of 12"
    ):
        read_predictions(RunFolder(runs / "0"), "test")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("probabilities", lambda found: np.full_like(found, np.nan), "not finite"),
        ("probabilities", lambda found: found[:, :2], "for 3 classes"),
        ("labels", lambda found: found + 7, "labels of no class"),
        ("labels", lambda found: found.astype(np.float32), "a wrong type"),
        ("image_ids", lambda found: np.repeat(found[:1], len(found)), "an image twice"),
        ("image_ids", lambda found: found[:, None], "of shapes"),
    ],
)
def test_arrays_that_are_no_predictions_are_refused_without_digests(runs: Path, name: str, change, words: str) -> None:
    path = runs / "0" / "predictions" / "test.npz"
    with np.load(path) as whole:
        arrays = {key: whole[key] for key in whole.files}
    np.savez(path, **(arrays | {name: change(arrays[name])}))
    forget_digests(runs / "0")
    with pytest.raises(RunError, match=rf"test\.npz is damaged: .*{words}"):
        read_predictions(RunFolder(runs / "0"), "test")


def test_a_changed_digit_of_the_history_is_noticed(runs: Path) -> None:
    record = RunRecord.load(runs / "0" / "record.json")
    path = runs / "0" / "history.jsonl"
    path.write_text(path.read_text().replace('"val_top1":0.', '"val_top1":1.', 1))
    with pytest.raises(RunError, match=r"history\.jsonl is damaged"):
        RunFolder(runs / "0").read_history(record)


def test_a_changed_digit_of_the_record_is_noticed(runs: Path) -> None:
    path = runs / "0" / "record.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(RunError, match=r"record\.json is damaged.*Delete the folder of the run"):
        load_run(runs / "0")


def test_a_record_with_fewer_names_than_outputs_is_refused(runs: Path) -> None:
    forget_digests(runs / "0")
    path = runs / "0" / "record.json"
    content = json.loads(path.read_text())
    content["dataset"]["classes"] = content["dataset"]["classes"][:2]
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"record\.json is damaged.*3 outputs for 2 classes"):
        load_run(runs / "0")


# --- what an unfinished run goes on from ------------------------------------------------------------------------------


@pytest.fixture
def unfinished(runs: Path) -> Path:
    """The two, as if they had been stopped after their last epoch."""
    for run in (runs / "0", runs / "1"):
        record = RunRecord.load(run / "record.json")
        record.model_copy(update={"status": "failed", "files": {}}).save(run / "record.json")
    return runs


def test_flipped_bits_of_a_checkpoint_are_noticed(unfinished: Path, squares) -> None:
    flip_a_bit(unfinished / "0" / "checkpoint" / "epoch-0002.safetensors", -5000)
    with pytest.raises(
        RunError, match=r"Cannot read .*epoch-0002\.safetensors: its SHA-256 differs from the recorded one"
    ):
        train_run(seeded(squares, 0), squares, unfinished / "0", device="cpu")


def test_a_run_does_not_go_on_from_the_checkpoint_of_another_seed(unfinished: Path, squares) -> None:
    shutil.rmtree(unfinished / "0" / "checkpoint")
    shutil.copytree(unfinished / "1" / "checkpoint", unfinished / "0" / "checkpoint")
    with pytest.raises(RunError, match=r"0/checkpoint is the checkpoint of another run\. Delete the run's folder"):
        train_run(seeded(squares, 0), squares, unfinished / "0", device="cpu")


def test_a_run_does_not_go_on_with_the_weights_of_another_seed(unfinished: Path, squares) -> None:
    name = "checkpoint/epoch-0002.safetensors"
    shutil.copy(unfinished / "1" / name, unfinished / "0" / name)
    with pytest.raises(
        RunError, match=r"Cannot read .*epoch-0002\.safetensors: its SHA-256 differs from the recorded one"
    ):
        train_run(seeded(squares, 0), squares, unfinished / "0", device="cpu")


def test_a_run_does_not_go_on_from_a_changed_history(unfinished: Path, squares) -> None:
    shutil.copy(unfinished / "1" / "history.jsonl", unfinished / "0" / "history.jsonl")
    with pytest.raises(RunError, match=r"history\.jsonl is damaged"):
        train_run(seeded(squares, 0), squares, unfinished / "0", device="cpu")


def test_an_unfinished_run_without_digests_goes_on(unfinished: Path, both: Path, squares) -> None:
    forget_digests(unfinished / "0")
    train_run(seeded(squares, 0), squares, unfinished / "0", device="cpu")
    ours, theirs = (load_file(folder / "0" / "best.safetensors") for folder in (unfinished, both))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
