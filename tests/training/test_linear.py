"""The protocol `linear` as whole runs: solved exactly, with views, with early stopping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from foray.recipes import Augmentation, Optimizer, Recipe, preset
from foray.records import EpochRow, RunRecord
from foray.training import features, linear, plan_run, train_run
from foray.training.logistic import PENALTIES, LogisticProblem

from .conftest import MODEL


@pytest.fixture(autouse=True)
def _torch_engine(monkeypatch) -> None:
    monkeypatch.setattr(features, "openvino_fits", lambda device: False)  # it takes seconds to compile each network


def recipe_with(**changes: object) -> Recipe:
    """The preset as changed, for few images: small batches, a higher rate, no decay."""
    plain = {"batch_size": 8, "optimizer": Optimizer(name="rmsprop", learning_rate=1e-2), "epochs": 6}
    return Recipe.model_validate(preset("linear").model_dump() | plain | changes)


def trained(recipe: Recipe, dataset, weights, folder: Path) -> tuple[RunRecord, list[EpochRow]]:
    plan = plan_run(MODEL, dataset, recipe, weights=weights, seed=1)
    record = train_run(plan, dataset, folder / "run", device="cpu", cache_dir=folder / "cache")
    lines = (folder / "run" / "history.jsonl").read_text().splitlines()
    return record, [EpochRow.model_validate_json(line) for line in lines]


@pytest.mark.parametrize("num_views", [1, 3])
def test_the_exact_head_has_the_penalty_that_val_chose(squares, small_weights, tmp_path, num_views: int) -> None:
    augmentation = Augmentation() if num_views == 1 else Augmentation(horizontal_flip=0.5, brightness=0.2)
    recipe = recipe_with(solver="lbfgs", feature_views=num_views, augmentation=augmentation)
    record, rows = trained(recipe, squares, small_weights, tmp_path)
    assert [row.l2_penalty for row in rows] == list(PENALTIES)
    assert [row.learning_rate for row in rows] == [None] * len(PENALTIES)
    chosen = rows[record.best_epoch - 1]
    assert chosen.val_top1 == record.metrics["val"].top1.value == max(row.val_top1 for row in rows)
    assert any(f"val chose {chosen.l2_penalty:.3g}" in note for note in record.notes)
    counts = record.dataset.counts
    assert record.metrics["out_of_fold"].n == counts["train"] + counts["val"]
    assert record.metrics["out_of_fold"].top1.value > 0.6  # one in three by chance
    assert record.metrics["test"].top1.value > 0.6


def test_exact_heads_do_not_depend_on_the_seed(squares, small_weights, tmp_path) -> None:
    recipe, heads = recipe_with(solver="lbfgs"), []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        plan = plan_run(MODEL, squares, recipe, weights=small_weights, seed=seed)
        train_run(plan, squares, folder, device="cpu", cache_dir=tmp_path)
        heads.append(load_file(folder / "best.safetensors")["classifier.weight"])
    assert np.array_equal(*heads)


@pytest.mark.parametrize("solver", ["lbfgs", "gradient"])
def test_no_head_is_scored_on_an_image_it_was_fitted_to_in_any_view(
    squares, small_weights, tmp_path, monkeypatch, solver: str
) -> None:
    """Each fold's heads see the positions of the other folds alone, and a position stands for all views of an image."""
    seen: list[np.ndarray] = []
    if solver == "lbfgs":

        class Watched(LogisticProblem):
            def __init__(self, views, labels, positions, recipe, num_classes) -> None:
                assert views.shape[:2] == (2, len(labels))
                seen.append(positions)
                super().__init__(views, labels, positions, recipe, num_classes)

        monkeypatch.setattr(linear, "LogisticProblem", Watched)
    else:
        train_heads = linear.train_heads

        def watched(views, labels, members, *arguments, **options):
            assert views.shape[:2] == (2, len(labels))
            seen.extend(members)
            return train_heads(views, labels, members, *arguments, **options)

        monkeypatch.setattr(linear, "train_heads", watched)
    recipe = recipe_with(solver=solver, feature_views=2, augmentation=Augmentation(horizontal_flip=0.5), epochs=2)
    trained(recipe, squares, small_weights, tmp_path)
    train, val, test = (set(squares.indices(split).tolist()) for split in ("train", "val", "test"))
    first, *others = (set(own.tolist()) for own in seen)
    assert first == train
    assert len(others) == 5
    assert not any(own & test for own in others)
    held_out = [(train | val) - own for own in others]
    assert sum(map(len, held_out)) == len(train | val)
    assert set().union(*held_out) == train | val


def test_training_stops_early_and_so_do_the_other_heads(squares, small_weights, tmp_path) -> None:
    """A rate of almost nothing: no epoch is better on val than the first."""
    recipe = recipe_with(
        optimizer=Optimizer(name="sgd", learning_rate=1e-30), early_stopping_epochs=2, checkpoint="best"
    )
    record, rows = trained(recipe, squares, small_weights, tmp_path)
    assert len(rows) == 3
    assert record.best_epoch == 1


def test_balanced_and_weighted_heads_of_averaged_weights(squares, small_weights, tmp_path) -> None:
    recipe = recipe_with(class_weights="inverse", sampling="balanced", ema_decay=0.9, clip_norm=1.0, epochs=20)
    record, rows = trained(recipe, squares, small_weights, tmp_path)
    assert {row.val_weights for row in rows} == {"average"}
    assert record.metrics["test"].top1.value > 0.6
