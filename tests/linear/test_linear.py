"""The protocol `linear` as whole runs: solved exactly, with views, with early stopping."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from foray.data import Dataset
from foray.evaluation.predictions import Predictions
from foray.evaluation.scores import Score
from foray.linear import features, linear
from foray.linear.folds import out_of_fold_positions
from foray.linear.heads import Head, train_heads
from foray.linear.logistic import PENALTIES, LogisticProblem
from foray.models import build_model
from foray.recipes import RECIPE_ADAPTER, SGD, Augmentation, Recipe, RMSprop, preset
from foray.records import EpochRow, RunRecord
from foray.weights import load_weights
from tests.asking import plan_run, train_run
from tests.small_training import MODEL


@pytest.fixture(autouse=True)
def _torch_engine(monkeypatch) -> None:
    monkeypatch.setattr(features, "openvino_fits", lambda device: False)  # it takes seconds to compile each network


def recipe_with(**changes: object) -> Recipe:
    """The preset as changed, for few images: small batches, a higher rate, no decay."""
    plain = {"batch_size": 8, "optimizer": RMSprop(learning_rate=1e-2), "epochs": 6}
    return RECIPE_ADAPTER.validate_python(preset("linear").model_dump() | plain | changes)


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
    assert any(f"val selected {chosen.l2_penalty:.3g}" in note for note in record.notes)
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
    if solver == "lbfgs":  # heads that choose the penalty of a fold's head see neither the fold nor val
        choosing, others = others[:5], others[5:]
        assert {frozenset(train - own) for own in choosing} == {frozenset(train - own) for own in others}
        assert not any(own & val for own in choosing)
    assert len(others) == 5
    assert not any(own & test for own in others)
    held_out = [(train | val) - own for own in others]
    assert sum(map(len, held_out)) == len(train | val)
    assert set().union(*held_out) == train | val


def test_training_stops_early_and_so_do_the_other_heads(squares, small_weights, tmp_path) -> None:
    """A rate of almost nothing: no epoch is better on val than the first."""
    recipe = recipe_with(optimizer=SGD(learning_rate=1e-30), early_stopping_epochs=2, checkpoint="best")
    record, rows = trained(recipe, squares, small_weights, tmp_path)
    assert len(rows) == 3
    assert record.best_epoch == 1


def test_balanced_and_weighted_heads_of_averaged_weights(squares, small_weights, tmp_path) -> None:
    recipe = recipe_with(class_weights="inverse", sampling="balanced", ema_decay=0.9, clip_norm=1.0, epochs=20)
    record, rows = trained(recipe, squares, small_weights, tmp_path)
    assert {row.val_weights for row in rows} == {"average"}
    assert record.metrics["test"].top1.value > 0.6


@pytest.mark.parametrize(
    "choosing",
    [
        {"solver": "lbfgs"},
        {"checkpoint": "best", "optimizer": SGD(learning_rate=0.3, momentum=0.9)},
        {"early_stopping_epochs": 1, "optimizer": SGD(learning_rate=0.3, momentum=0.9)},
    ],
    ids=["penalty", "best epoch", "last epoch before the early end"],
)
def test_no_label_of_a_fold_has_a_say_in_its_own_predictions(
    squares, small_weights, tmp_path, monkeypatch, choosing: dict
) -> None:
    """All labels of fold 2 are others: what its head is fitted with and predicts stays the same, bit for bit."""
    folds = out_of_fold_positions(squares, 1)
    monkeypatch.setattr(linear, "out_of_fold_positions", lambda dataset, seed: folds)  # labels stratify them
    samples = list(squares.samples)
    for i in folds[2]:
        samples[i] = replace(samples[i], label=(samples[i].label + 1) % 3)
    other = replace(squares, samples=tuple(samples)).fingerprinted()
    found = []
    for name, dataset in (("as they are", squares), ("others", other)):
        record, _ = trained(recipe_with(**choosing), dataset, small_weights, tmp_path / name)
        kept = np.load(tmp_path / name / "run" / "predictions" / "out_of_fold.npz")
        found.append((record.judged_epochs, dict(zip(kept["image_ids"].tolist(), kept["probabilities"], strict=True))))
    (rows, before), (other_rows, after) = found
    assert rows[2] == other_rows[2]
    own = [squares.samples[i].id for i in folds[2]]
    assert all(np.array_equal(before[id_], after[id_]) for id_ in own)
    assert not all(np.array_equal(before[id_], after[id_]) for id_ in before if id_ not in own)


def test_all_of_val_in_one_fold_chooses_for_it_and_the_record_says_so(squares, small_weights, tmp_path) -> None:
    samples = tuple(replace(s, group="one day") if s.split == "val" else s for s in squares.samples)
    together = replace(squares, samples=samples).fingerprinted()
    record, _ = trained(recipe_with(checkpoint="best"), together, small_weights, tmp_path)
    assert [note for note in record.notes if "all images of train or of val belong to one group" in note]
    assert record.metrics["out_of_fold"].n == 48


def test_out_of_fold_heads_have_the_epochs_that_train_and_val_without_their_fold_chose(
    squares, small_weights, tmp_path
) -> None:
    """Done again by hand, head by head, from the run's own features: computed anew they would differ in rounding, which
    standardisation makes large, because the features of random weights are nearly constant."""
    recipe = recipe_with(optimizer=SGD(learning_rate=0.3, momentum=0.9), checkpoint="best", epochs=8)
    record, _ = trained(recipe, squares, small_weights, tmp_path)
    plan = plan_run(MODEL, squares, recipe, weights=small_weights, seed=1)
    network = build_model(plan.spec, num_classes=3, small_image=plan.small_image, seed=1)
    load_weights(network, plan.weights)
    [cached] = (tmp_path / "cache" / "features").glob("*/*.npy")
    views, labels = torch.from_numpy(np.load(cached))[None], torch.from_numpy(squares.labels)
    initial = Head(network.classifier.weight.detach().clone(), network.classifier.bias.detach().clone())
    folds, val = out_of_fold_positions(squares, 1), squares.indices("val")
    kept = np.load(tmp_path / "run" / "predictions" / "out_of_fold.npz")
    where = {name: i for i, name in enumerate(kept["image_ids"].tolist())}
    chosen = []
    for fold in folds:
        outside, own = np.setdiff1d(val, fold), []
        train_heads(
            views, labels, [np.setdiff1d(squares.indices("train"), fold)], initial, recipe, seed=1,
            after_epoch=lambda _, head, at=outside, own=own: bool(own.append(score_of(head, views, squares, at))),
        )  # fmt: skip
        chosen.append(max(range(8), key=lambda i: (own[i].top1, -own[i].loss, -i)) + 1)
        others = np.sort(np.concatenate([other for other in folds if other is not fold]))
        (head,) = train_heads(views, labels, [others], initial, recipe, seed=1, epochs=chosen[-1])
        rows = [where[squares.samples[i].id] for i in fold]
        np.testing.assert_allclose(
            kept["probabilities"][rows], head.probabilities(views[0, torch.from_numpy(fold)]), atol=1e-4
        )
    assert record.judged_epochs == chosen


def score_of(head: Head, views: torch.Tensor, dataset: Dataset, at: np.ndarray) -> Score:
    probabilities = head.probabilities(views[0, torch.from_numpy(at)])
    return Predictions(at.astype(str), dataset.labels[at], probabilities).score


def test_a_recipe_that_keeps_the_last_epoch_trains_every_head_as_long(squares, small_weights, tmp_path) -> None:
    record, _ = trained(recipe_with(), squares, small_weights, tmp_path)
    assert record.judged_epochs == [6] * 5
