"""Cross-fitted val: each half is predicted by the epoch that the other half chose, through deaths and early ends."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from foray.data import Dataset, ImageStore, Sample, decode_for_evaluation, open_dataset
from foray.data.appearance import NearPairs
from foray.data.dataset import ImageArray
from foray.evaluation.predictions import Predictions
from foray.evaluation.scores import Score
from foray.models import build_model
from foray.recipes import SGD
from foray.records import EpochRow, RunRecord
from foray.specs import Preprocessing
from foray.training import Interrupted, RunPlan
from foray.training.crossfit import CrossFit, val_half
from foray.training.epoch_choice import EpochChoice, choose_epoch
from foray.training.whole_network import predict_split
from tests.asking import plan_run, train_run
from tests.small_training import MODEL, coloured_squares, small_recipe

from .pair import Pair
from .same_run import SignalsAt, assert_same_run

PIXEL = ImageArray(np.zeros((1, 1, 3), dtype=np.uint8))


def val_of(*labels: int, **changes: list[str | None]) -> Dataset:
    """A data set that is all val, with ids 00, 01, ...; `changes`: of groups or contents, in order."""
    samples = [
        Sample(f"{i:02}", PIXEL, label, "val", **{key: values[i] for key, values in changes.items()})
        for i, label in enumerate(labels)
    ]
    return Dataset("made", "a test", tuple("abcdefghij"), tuple(samples), "given")


def rows_of(path: Path) -> list[EpochRow]:
    return [EpochRow.model_validate_json(line) for line in (path / "history.jsonl").read_text().splitlines()]


def row_of(epoch: int) -> EpochRow:
    return EpochRow(epoch=epoch, learning_rate=0, train_loss=0, train_top1=0, val_loss=0, val_top1=0, seconds=0)


def part(val: Predictions, own: np.ndarray) -> Predictions:
    return Predictions(val.image_ids[own], val.labels[own], val.probabilities[own])


class KeepsEveryEpoch:
    """Progress that copies each epoch's checkpoint when the next epoch begins, for a later look."""

    def __init__(self, run: Path, to: Path) -> None:
        self.run, self.to = run, to
        to.mkdir()

    def note(self, message: str) -> None:
        pass

    @contextlib.contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[KeepsEveryEpoch]:
        yield self

    def advance(self, n: int = 1, note: str = "") -> None:
        for path in (self.run / "checkpoint").glob("epoch-????.safetensors"):
            if not (self.to / path.name).exists():
                shutil.copy(path, self.to)


# The halves


def test_each_class_is_divided_equally_and_so_is_val() -> None:
    labels = [0] * 7 + [1] * 7 + [2] * 7 + [3] * 2 + [4, 5, 6]
    half = val_half(val_of(*labels))
    for label in range(7):
        own = half[np.array(labels) == label]
        assert abs(int((own == 0).sum()) - int((own == 1).sum())) <= 1
    assert abs(int((half == 0).sum()) - int((half == 1).sum())) <= 1


def test_what_belongs_together_is_in_one_half() -> None:
    groups = ["plant", None, "plant", None, None, "other", None, "other", None, None]
    contents = ["x", "y", "z", "y", "u", "v", "w", "s", "z", "t"]  # 2 and 8 are copies, so 8 is of the plant too
    half = val_half(val_of(*[0, 1] * 5, group=groups, content=contents))
    assert half[0] == half[2] == half[8]
    assert half[1] == half[3]
    assert half[5] == half[7]
    assert set(half.tolist()) == {0, 1}


def test_near_duplicates_are_in_one_half_unless_all_of_val_hangs_together() -> None:
    def near(*pairs: tuple[int, int]) -> NearPairs:
        first, second = np.array(pairs).T
        return NearPairs(tuple(f"bytes {i}" for i in range(12)), first, second, np.full(len(pairs), 0.99, np.float32))

    val = val_of(*[0, 1] * 6, content=[f"bytes {i}" for i in range(12)])
    pairs = [(0, 4), (1, 7), (2, 10)]
    half = val_half(replace(val, near=near(*pairs)))
    assert all(half[i] == half[j] for i, j in pairs)
    assert sorted(half.tolist()) == [0] * 6 + [1] * 6
    chain = val_half(replace(val, near=near(*[(i, i + 1) for i in range(10)])))
    assert sorted(chain.tolist()) == [0] * 6 + [1] * 6


def test_halves_depend_on_the_images_and_not_on_their_order() -> None:
    dataset = coloured_squares(per_class=40)
    half = dict(zip([dataset.samples[i].id for i in dataset.indices("val")], val_half(dataset).tolist(), strict=True))
    turned = replace(dataset, samples=dataset.samples[::-1])
    again = dict(zip([turned.samples[i].id for i in turned.indices("val")], val_half(turned).tolist(), strict=True))
    assert half == again


def test_one_group_cannot_be_halved() -> None:
    assert val_half(val_of(0, 0, 1, group=["plant"] * 3)) is None
    assert val_half(val_of(0)) is None


# The choice


SCORES = st.lists(
    st.tuples(st.sampled_from([0.25, 0.5, 0.75]), st.sampled_from([0.5, 1.0])).map(lambda pair: Score(*pair)),
    min_size=1,
    max_size=12,
)


@given(SCORES, st.sampled_from(["best", "last"]), st.sampled_from([None, 1, 2, 3]))
def test_the_choice_is_what_training_by_these_scores_alone_would_keep(scores, keep: str, patience: int | None) -> None:
    """Ties: the lower loss, then the earlier epoch. Epochs after the early end do not count."""
    seen: list[Score] = []
    stopped = False
    for score in scores:
        seen.append(score)
        best = max(range(len(seen)), key=lambda i: (seen[i].top1, -seen[i].loss, -i)) + 1
        if patience is not None and len(seen) - best >= patience:
            stopped = True
            break
    assert choose_epoch(scores, keep, patience) == EpochChoice(best if keep == "best" else len(seen), stopped)


@settings(max_examples=30)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from(["best", "last"]), st.sampled_from([None, 1, 2]),
    st.integers(0, 8),
)  # fmt: skip
def test_each_half_is_predicted_by_the_epoch_that_the_other_half_chose(
    seed: int, epochs: int, keep: str, patience: int | None, resumed_after: int
) -> None:
    """Whatever the epochs give, and also when training went on from a checkpoint."""
    rng = np.random.default_rng(seed)
    half, labels = rng.permutation(np.arange(15) % 2), rng.integers(0, 3, 15)
    ids = np.array([f"{i}" for i in range(15)])
    vals = [Predictions(ids, labels, rng.dirichlet([1, 1, 1], 15).astype(np.float32)) for _ in range(epochs)]
    crossfit, rows = CrossFit(half, keep, patience), []
    for epoch, val in enumerate(vals, start=1):
        rows.append(crossfit.scored(row_of(epoch), val))
        crossfit.add(rows, val)
        if epoch == resumed_after:
            kept, crossfit = crossfit.tensors(), CrossFit(half, keep, patience)
            assert crossfit.restore(kept, rows)
    expected = np.empty((15, 3), dtype=np.float32)
    chosen = []
    for own in (0, 1):
        chosen.append(choose_epoch([part(val, half == own).score for val in vals], keep, patience).epoch)
        expected[half != own] = vals[chosen[-1] - 1].probabilities[half != own]
    found = crossfit.result(vals[-1], rows, epochs)
    assert found.epochs == chosen
    assert np.array_equal(found.predictions.probabilities, expected)


def test_a_half_that_would_have_trained_on_is_named() -> None:
    """Half 0 gets better with every epoch, half 1 worse; all of val stays as it is and ends training after epoch 3."""
    labels, half = np.zeros(4, dtype=np.int64), np.array([0, 0, 1, 1])
    right, wrong = [0.9, 0.1], [0.1, 0.9]
    crossfit, rows = CrossFit(half, "best", 2), []
    for epoch, order in enumerate(
        ([wrong, wrong, right, right], [right, wrong, wrong, right], [right, right, wrong, wrong])
    ):
        val = Predictions(np.array(list("abcd")), labels, np.array(order, dtype=np.float32))
        rows.append(crossfit.scored(row_of(epoch + 1), val))
        crossfit.add(rows, val)
    found = crossfit.result(val, rows, epochs=10)
    assert found.epochs == [3, 1]
    assert found.predictions.probabilities.tolist() == np.array([wrong, wrong, wrong, wrong], np.float32).tolist()
    (note,) = found.notes
    assert "ended training after epoch 3; 1 of the two halves of val alone would have continued" in note
    assert crossfit.result(val, rows, epochs=3).notes == ()  # it was to end then


def test_a_run_goes_on_with_the_halves_that_it_was_begun_with() -> None:
    """They may have been another version's: an epoch is never scored on images that it is to predict."""
    vals = [
        Predictions(np.array(list("abcd")), np.zeros(4, dtype=np.int64), np.array(rows, dtype=np.float32))
        for rows in ([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]], [[0.1, 0.9], [0.1, 0.9], [0.9, 0.1], [0.9, 0.1]])
    ]
    begun = CrossFit(np.array([0, 0, 1, 1]), "best", None)
    rows = [begun.scored(row_of(1), vals[0])]
    begun.add(rows, vals[0])
    resumed = CrossFit(np.array([0, 1, 0, 1]), "best", None)
    assert resumed.restore(begun.tensors(), rows)
    for crossfit in (begun, resumed):
        both = [*rows, crossfit.scored(row_of(2), vals[1])]
        crossfit.add(both, vals[1])
        found = crossfit.result(vals[1], both, 2)
        assert found.epochs == [1, 2]  # each is all right on its own half and all wrong on the other
        assert found.predictions.score.top1 == 0.0


# Whole runs


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """An eighth of the handwritten digits."""
    everything = open_dataset("digits")
    return everything.without([sample.id for i, sample in enumerate(everything.samples) if i % 8])


def test_the_file_holds_what_evaluating_the_two_chosen_epochs_again_gives(digits, tmp_path) -> None:
    """On some handwritten digits, with averaged weights and a rate so high that epochs differ: the same bits."""
    store = decode_for_evaluation(digits, Preprocessing(resolution=32, crop_pct=1.0))
    half = val_half(digits)
    recipe = small_recipe(epochs=6, batch_size=16, ema_decay=0.5, optimizer=SGD(learning_rate=0.3, momentum=0.9))
    for seed in range(5):  # until the halves choose different epochs, which arithmetic decides
        plan = plan_run(MODEL, digits, recipe, seed=seed, deterministic=True)
        run, weights = tmp_path / f"run {seed}", tmp_path / f"weights {seed}"
        record = train_run(plan, digits, run, device="cpu", progress=KeepsEveryEpoch(run, weights))
        kept, rows = np.load(run / "predictions" / "val_crossfit.npz"), rows_of(run)
        top1 = (kept["probabilities"].argmax(axis=1) == kept["labels"]).mean()
        assert record.metrics["val_crossfit"].top1.value == top1
        for own, epoch in enumerate(record.judged_epochs):
            assert epoch == choose_epoch([row.val_halves[own] for row in rows], "best", None).epoch
            path = weights if epoch < len(rows) else run / "checkpoint"
            again = evaluated_again(load_file(path / f"epoch-{epoch:04d}.safetensors"), plan, digits, store)
            assert np.array_equal(kept["image_ids"], again.image_ids)
            assert np.array_equal(kept["probabilities"][half != own], again.probabilities[half != own])
            score, noted = part(again, half == own).score, rows[epoch - 1].val_halves[own]
            assert (score.top1, score.loss) == (noted.top1, noted.loss)
        if record.judged_epochs[0] != record.judged_epochs[1]:
            break
    assert record.judged_epochs[0] != record.judged_epochs[1]


def evaluated_again(
    tensors: dict[str, torch.Tensor], plan: RunPlan, dataset: Dataset, store: ImageStore
) -> Predictions:
    """val by the averaged weights of a checkpoint."""
    network = build_model(plan.spec, num_classes=plan.num_classes, small_image=plan.small_image)
    averaged = {key.removeprefix("average."): value for key, value in tensors.items() if key.startswith("average.")}
    network.load_state_dict(averaged)
    return predict_split(
        network.to(memory_format=torch.channels_last), split="val", dataset=dataset, store=store,
        preprocessing=plan.preprocessing, device=torch.device("cpu"),
    )  # fmt: skip


def test_the_halves_are_the_same_for_all_models_and_seeds(squares, tmp_path) -> None:
    halves = []
    for model, seed in ((MODEL, 0), (MODEL, 1), ("mobilenet_v2_x0.25", 0)):
        folder = tmp_path / f"{model}-{seed}"
        train_run(plan_run(model, squares, small_recipe(epochs=1), seed=seed), squares, folder, device="cpu")
        halves.append(load_file(folder / "checkpoint" / "epoch-0001.safetensors")["crossfit.half"].tolist())
    assert halves[0] == halves[1] == halves[2] == val_half(squares).tolist()


def test_val_that_chose_nothing_is_not_cross_fitted(squares, tmp_path) -> None:
    plan = plan_run(MODEL, squares, small_recipe(checkpoint="last"))
    record = train_run(plan, squares, tmp_path / "run", device="cpu")
    assert list(record.metrics) == ["val", "test"]
    assert record.judged_epochs == []
    assert not any("cross-fitted" in note for note in record.notes)
    assert rows_of(tmp_path / "run")[0].val_halves is None


@pytest.mark.parametrize("keep", ["best", "last"])
def test_each_half_ends_training_for_itself(digits, tmp_path, keep: str) -> None:
    """The last epoch of a run that stopped early was chosen on val, whichever epoch is kept."""
    recipe = small_recipe(
        epochs=20, early_stopping_epochs=1, checkpoint=keep, batch_size=16,
        optimizer=SGD(learning_rate=0.2, momentum=0.9),
    )  # fmt: skip
    for seed in (0, 1):
        folder = tmp_path / f"{seed}"
        record = train_run(plan_run(MODEL, digits, recipe, seed=seed), digits, folder, device="cpu")
        rows = rows_of(folder)
        choices = [choose_epoch([row.val_halves[own] for row in rows], keep, 1) for own in (0, 1)]
        assert len(rows) < 20
        assert record.judged_epochs == [choice.epoch for choice in choices]
        said = [note for note in record.notes if "of the two halves of val alone would have continued" in note]
        assert bool(said) == (not all(choice.stopped for choice in choices))


def test_a_run_begun_by_an_older_version_goes_on_and_says_that_it_is_not_cross_fitted(squares, tmp_path) -> None:
    recipe = small_recipe(epochs=3, dropout=0.3)
    plan = plan_run(MODEL, squares, recipe, seed=3, deterministic=True)
    folder = tmp_path / "run"
    with pytest.raises(Interrupted):
        train_run(plan, squares, folder, device="cpu", progress=SignalsAt(signal.SIGINT, 7))
    for path in (folder / "checkpoint").glob("*.safetensors"):
        save_file({k: v for k, v in load_file(path).items() if not k.startswith("crossfit.")}, path)
    lines = [row.model_dump_json(exclude={"val_halves"}) + "\n" for row in rows_of(folder)]
    (folder / "history.jsonl").write_text("".join(lines))
    state = json.loads((folder / "checkpoint" / "state.json").read_text())
    older = {key: state[key] for key in ("epoch", "step", "best_epoch", "elapsed_seconds", "epoch_seconds", "tally")}
    (folder / "checkpoint" / "state.json").write_text(json.dumps(older))
    record = train_run(plan, squares, folder, device="cpu")
    assert (record.status, list(record.metrics)) == ("done", ["val", "test"])
    assert [note for note in record.notes if "the run was started by an older version of foray" in note]
    whole = tmp_path / "whole"
    train_run(plan, squares, whole, device="cpu")
    ours, theirs = (load_file(run / "best.safetensors") for run in (folder, whole))
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


def test_a_record_of_an_older_version_is_read(squares, tmp_path) -> None:
    plan = plan_run(MODEL, squares, small_recipe(epochs=1))
    record = train_run(plan, squares, tmp_path / "run", device="cpu")
    older = record.model_dump_json(exclude={"judged_epochs"})
    assert RunRecord.model_validate_json(older).judged_epochs == []


def train_together(processes, folder: Path) -> RunRecord:
    torch.set_num_threads(1)
    plan = plan_run(MODEL, coloured_squares(), small_recipe(epochs=3, dropout=0.3), seed=3, deterministic=True)
    return train_run(plan, coloured_squares(), folder, device="cpu", processes=processes)


def test_two_processes_have_the_same_cross_fit_and_take_it_up_again(pair: Pair, tmp_path) -> None:
    first, second = pair.run(train_together, tmp_path / "run")
    assert first.metrics == second.metrics
    assert first.judged_epochs == second.judged_epochs
    shutil.copytree(tmp_path / "run", tmp_path / "again")
    record = RunRecord.load(tmp_path / "again" / "record.json")
    record.model_copy(update={"status": "failed", "run_id": "again"}).save(tmp_path / "again" / "record.json")
    again, _ = pair.run(train_together, tmp_path / "again")  # nothing is left to train: it is read from the checkpoint
    assert again.metrics == first.metrics
    assert_same_run(tmp_path / "again", tmp_path / "run")
