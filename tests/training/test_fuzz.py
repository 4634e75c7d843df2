"""Whatever a file that foray reads back holds, reading it gives an answer or a ForayError."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import nn

from foray.costs import load_profiles, save_profiles
from foray.data.cache import StoreIndex
from foray.data.content import _load as load_content
from foray.errors import ForayError
from foray.evaluation.prediction_shards import TopPredictions, read_shard, write_shard
from foray.linear.features import _keep, _kept
from foray.models import build_model
from foray.records import Comparison, CostProfile, EpochRow, RunFolder, RunRecord
from foray.records.reproduction import ExperimentInfo
from foray.records.sealing import unsealed
from foray.report.comparison_folder import read_folder
from foray.reproduce.results_folder import RunResult
from foray.runs.identity import earlier_record
from foray.runs.saved_predictions import read_predictions
from foray.specs import get_spec
from foray.training.checkpoint import Checkpoint, History, Learner, TrainingState
from foray.weights import load_network_weights, save_network
from tests.fuzzing import Edit, edits, fuzzed, gives_an_answer_or_a_foray_error, value_edits
from tests.report.example import write_comparison
from tests.small_training import HALF_RIGHT

Reader = Callable[[], object]
READERS = (
    "record.json", "comparison.json", "experiment.json", "state.json", "index.json", "content", "history.jsonl",
    "history to go on with", "device.json", "predictions", "kept predictions", "features", "shard",
    "checkpoint", "weights",
)  # fmt: skip


def without_digest(path: Path) -> None:
    """Makes of it what foray wrote before there were digests, which lets damage through to whoever parses it."""
    path.write_bytes(unsealed(path.read_bytes()))


def small_learner() -> Learner:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    return Learner(network, optimizer)


def checkpoint_in(folder: Path) -> tuple[Path, Reader]:
    learner, row = small_learner(), EpochRow.model_validate(ROW)
    Checkpoint(folder, keep="last").save_epoch(TrainingState(), row, HALF_RIGHT, learner)
    state = TrainingState.load(folder / "checkpoint" / "state.json").model_copy(update={"files": {}, "history": None})
    state.save(folder / "checkpoint" / "state.json")
    return folder / "checkpoint" / "epoch-0001.safetensors", lambda: Checkpoint(folder, keep="last").restore(learner)


ROW = {
    "epoch": 1, "learning_rate": 0.1, "train_loss": 1.0, "train_top1": 0.5, "val_loss": 1.0, "val_top1": 0.5,
    "seconds": 2.0,
}  # fmt: skip


def reader_of(kind: str, comparison: Path, folder: Path) -> tuple[Path, Reader]:
    """A whole file of the kind, in the folder of a comparison or in an empty one, and what reads it."""
    run = next((comparison / "runs").iterdir())
    record = RunRecord.load(run / "record.json")
    n, classes = record.metrics["test"].n, len(record.dataset.classes)
    ids, labels = np.array([f"{i}.png" for i in range(n)]), np.zeros(n, np.int64)
    probabilities = np.full((n, classes), 1 / classes, np.float32)
    if kind == "record.json":
        path, reader = run / "record.json", lambda: earlier_record(RunFolder(run), record)
    elif kind == "comparison.json":
        path, reader = comparison / "comparison.json", lambda: read_folder(comparison)
    elif kind == "experiment.json":
        path = folder / "experiment.json"
        ExperimentInfo(role="a", scale="mini", source="b", command="c", files={"d": "e"}).save(path)
        reader = lambda: ExperimentInfo.load(path)  # noqa: E731
    elif kind == "device.json":
        path = folder / "device.json"
        cost = CostProfile(model="mobilenet_v2", resolution=224, params=1, macs=1, latency_p50_ms=2.5)
        save_profiles(path, "a device", [cost])
        reader = lambda: load_profiles(path)  # noqa: E731
    elif kind == "state.json":
        checkpoint_in(folder)
        path, reader = folder / "checkpoint" / "state.json", lambda: Checkpoint(folder, keep="last").state()
    elif kind == "index.json":
        path = folder / "index.json"
        StoreIndex(format_version=2, key="ab" * 32, shape=(2, 4, 4, 3), pillow="11", digests="0f" * 8).save(path)
        reader = lambda: StoreIndex.load(path)  # noqa: E731
    elif kind == "content":
        path = folder / "content.json"
        path.write_bytes(b'{\n "digest": "' + b"0" * 64 + b'","/a/b.jpg": ["ab", [1, 2, 3]]}')
        return path, lambda: load_content(path)
    elif kind == "history.jsonl":
        path, reader = run / "history.jsonl", lambda: RunFolder(run).read_history(record)
        return path, reader
    elif kind == "history to go on with":
        path = run / "history.jsonl"
        return path, lambda: History(path).load(3)
    elif kind == "predictions":
        path = run / "predictions" / "test.npz"
        path.parent.mkdir()
        np.savez(path, image_ids=ids, labels=labels, probabilities=probabilities)
        return path, lambda: read_predictions(RunFolder(run), "test")
    elif kind == "kept predictions":
        path = folder / "predictions.npz"
        np.savez(path, test_ids=ids, test_labels=labels, test_predicted=labels)
        info = ExperimentInfo(role="a", scale="mini", source="b", command="c")
        return path, lambda: RunResult(info, record, (), folder).correct("test")
    elif kind == "features":
        _keep(folder / "features", "torch", probabilities)
        return folder / "features" / "torch.npy", lambda: _kept(folder / "features", "torch", (n, classes))
    elif kind == "shard":
        path = folder / "shard.npz"
        write_shard(path, TopPredictions(np.zeros((4, 5), np.int16), np.zeros((4, 5), np.float32), np.array([""] * 4)))
        return path, lambda: read_shard(path, 4)
    elif kind == "checkpoint":
        return checkpoint_in(folder)
    else:
        network = build_model(get_spec("mobilenet_v1_x0.25"), num_classes=3, seed=0)
        path = folder / "best.safetensors"
        save_network(network, path)
        return path, lambda: load_network_weights(network, path)
    without_digest(path)
    return path, reader


@pytest.fixture(scope="module")
def readers(tmp_path_factory) -> dict[str, tuple[Path, Reader, bytes]]:
    found = {}
    comparison = write_comparison(tmp_path_factory.mktemp("fuzz"))
    for kind in READERS:
        path, reader = reader_of(kind, comparison, tmp_path_factory.mktemp("fuzz"))
        found[kind] = (path, reader, path.read_bytes())
    return found


@pytest.mark.parametrize("kind", READERS)
@fuzzed(150)
@given(edit=edits() | value_edits())
def test_reading_gives_an_answer_or_a_foray_error(readers, kind: str, edit: Edit) -> None:
    path, reader, _ = readers[kind]
    gives_an_answer_or_a_foray_error(path, reader, edit)


@pytest.mark.parametrize("kind", READERS)
def test_whole_files_are_read(readers, kind: str) -> None:
    _, reader, _ = readers[kind]
    if kind in ("predictions", "kept predictions"):  # the example's record is of other predictions
        with pytest.raises(ForayError, match=r"record\.json"):
            reader()
    else:
        reader()


def test_comparisons_of_the_example_have_digests(tmp_path: Path) -> None:
    path = write_comparison(tmp_path) / "comparison.json"
    assert path.read_bytes() != unsealed(path.read_bytes(), needed=True)
    assert Comparison.load(path).id == "3f1c9a"
