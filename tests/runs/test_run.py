"""A run on disk: complete, found again, resumed bit for bit after a kill, never overwritten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from foray.errors import RunError
from foray.evaluation import compute_metrics
from foray.recipes import SGD, Augmentation, preset, read_recipe
from foray.records import EpochRow, RunRecord, folder_lock
from foray.runs import load_run
from foray.training import TrainingFailedError
from tests.asking import plan_run, train_run
from tests.small_training import MODEL, small_recipe

ROOT = Path(__file__).resolve().parents[2]


def lively_recipe(**changes: object):
    """Everything random at once: order, augmentation, dropout, stochastic depth."""
    return small_recipe(
        epochs=3, dropout=0.3, stochastic_depth_prob=0.2, **changes,
        augmentation=Augmentation(rotation_degrees=20, translate=0.1, horizontal_flip=0.5),
    )  # fmt: skip


def scratch_plan(dataset, **changes: object):
    return plan_run("mobilenet_v2_x0.25", dataset, lively_recipe(**changes), seed=4, deterministic=True)


@pytest.fixture(scope="module")
def finished(squares, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    return train_run(scratch_plan(squares), squares, folder), folder


def test_the_folder_holds_the_whole_contract(finished, squares) -> None:
    record, folder = finished
    assert RunRecord.load(folder / "record.json") == record
    assert (record.status, record.run_id, record.seed) == ("done", "one", 4)
    assert read_recipe(folder / "recipe.toml") == lively_recipe()
    rows = [EpochRow.model_validate_json(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [row.epoch for row in rows] == [1, 2, 3]
    assert record.seconds_per_epoch == [row.seconds for row in rows]
    assert record.best_epoch == max(rows, key=lambda row: (row.val_top1, -row.val_loss)).epoch
    assert record.architecture.small_image == "stride1_stem"
    assert record.architecture.params == sum(t.numel() for t in load_run(folder).network.parameters())
    assert record.train_precision == "float32"
    assert not list(folder.rglob(".*.safetensors.*"))


def test_metrics_are_those_of_the_predictions_on_disk(finished, squares) -> None:
    record, folder = finished
    assert list(record.metrics) == ["val", "val_crossfit", "test"]
    for split, metrics in record.metrics.items():
        kept = np.load(folder / "predictions" / f"{split}.npz", allow_pickle=False)
        assert kept["image_ids"].tolist() == [
            s.id for s in squares.samples if s.split == split.removesuffix("_crossfit")
        ]
        np.testing.assert_allclose(kept["probabilities"].sum(axis=1), 1.0, atol=1e-5)
        assert compute_metrics(split, squares.classes, kept["labels"], kept["probabilities"]) == metrics


def test_the_kept_epoch_is_the_best_on_val(finished, squares) -> None:
    record, folder = finished
    rows = [EpochRow.model_validate_json(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert record.metrics["val"].top1.value == max(row.val_top1 for row in rows)


def test_the_same_run_is_not_trained_twice(finished, squares) -> None:
    record, folder = finished
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}
    assert train_run(scratch_plan(squares), squares, folder) == record
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}


def test_another_run_is_not_overwritten(finished, squares) -> None:
    _, folder = finished
    with pytest.raises(RunError, match=r"a different run \(label_smoothing: 0.0 there, 0.1 here\)"):
        train_run(scratch_plan(squares, label_smoothing=0.1), squares, folder)
    with pytest.raises(RunError, match=r"data: squares \w+ there"):
        train_run(scratch_plan(squares), squares.without(["red/000"]), folder)
    other_seed = plan_run("mobilenet_v2_x0.25", squares, lively_recipe(), seed=5)
    with pytest.raises(RunError, match="seed: 4 there, 5 here"):
        train_run(other_seed, squares, folder)


def test_two_runs_do_not_share_a_folder(squares, tmp_path) -> None:
    with folder_lock(tmp_path / "run"), pytest.raises(RunError, match="Another run is using"):
        train_run(scratch_plan(squares), squares, tmp_path / "run")


def test_what_ends_a_run_early_stands_in_its_record(squares, tmp_path) -> None:
    class Interrupted(BaseException):
        pass

    class Progress:
        def note(self, message: str) -> None:
            pass

        def task(self, description: str, total: int | None, done: int = 0):
            if description.endswith("training"):
                raise KeyboardInterrupt
            from foray.progress import SILENT

            return SILENT.task(description, total)

    with pytest.raises(KeyboardInterrupt):
        train_run(scratch_plan(squares), squares, tmp_path / "run", progress=Progress())
    record = RunRecord.load(tmp_path / "run" / "record.json")
    assert record.status == "failed"
    assert "interrupted" in record.failure


def test_a_failed_run_says_why_and_is_no_run_to_predict_with(squares, small_weights, tmp_path) -> None:
    # The first step leaves weights near the largest float32, the second one's logits overflow.
    recipe = preset("linear", epochs=2).model_copy(update={"optimizer": SGD(learning_rate=3e38), "batch_size": 8})
    plan = plan_run(MODEL, squares, recipe, weights=small_weights)
    with pytest.raises(TrainingFailedError, match="not finite at epoch 1, batch 2"):
        train_run(plan, squares, tmp_path / "run")
    record = RunRecord.load(tmp_path / "run" / "record.json")
    assert record.status == "failed"
    assert "epoch 1, batch 2" in record.failure
    with pytest.raises(RunError, match="is not done: failed"):
        load_run(tmp_path / "run")


def test_a_damaged_checkpoint_is_named_and_not_trained_over(squares, tmp_path) -> None:
    folder = tmp_path / "run"
    record = train_run(scratch_plan(squares), squares, folder)
    record.model_copy(update={"status": "failed"}).save(folder / "record.json")
    for path in (folder / "checkpoint").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"Cannot read .*epoch-0003\.safetensors.*Delete the run's folder"):
        train_run(scratch_plan(squares), squares, folder)


def test_the_last_epoch_is_kept_where_the_recipe_says_so(squares, tmp_path) -> None:
    record = train_run(scratch_plan(squares, checkpoint="last"), squares, tmp_path / "run")
    assert record.best_epoch == 3
    last = load_file(tmp_path / "run" / "checkpoint" / "epoch-0003.safetensors")
    best = load_file(tmp_path / "run" / "best.safetensors")
    assert all(torch.equal(tensor, last[f"network.{key}"]) for key, tensor in best.items())


def test_the_callers_random_numbers_are_not_touched(squares, tmp_path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train_run(scratch_plan(squares), squares, tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)
