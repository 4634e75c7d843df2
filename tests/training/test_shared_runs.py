"""Whole runs that two real processes share."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

from foray.data import decode_for_evaluation
from foray.errors import ForayError, RunError
from foray.models import build_model
from foray.processes import ALONE, Processes, ProcessLostError
from foray.progress import SILENT, Progress
from foray.recipes import AdamW, Augmentation, RateSchedule, Recipe, preset
from foray.records import RunRecord
from foray.runs.trained import load_run
from foray.specs import Preprocessing, get_spec
from foray.training.freezing import unfreeze_part
from foray.training.whole_network import predict_split
from foray.weights import load_weights
from tests.asking import plan_run, train_run
from tests.small_training import MODEL, coloured_squares, small_recipe

from .pair import Pair
from .test_freezing import hashes, moved

AUGMENTED = Augmentation(horizontal_flip=0.5, translate=0.1, rotation_degrees=10, policy="trivialaugment")


class KillsTheSecond:
    """Progress whose process, if it is the second, kills itself at a step of the second epoch."""

    def __init__(self, processes: Processes) -> None:
        self._is_doomed = processes.rank == 1
        self._steps = 0

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[KillsTheSecond]:
        yield self

    def advance(self, n: int = 1, note: str = "") -> None:
        self._steps += note.startswith("epoch 2")
        if self._is_doomed and self._steps == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    def note(self, message: str) -> None:
        pass


def train_together(
    processes: Processes, recipe: Recipe, folder: Path, weights: Path | None = None, dies: bool = False
) -> RunRecord:
    """Trains the small network on the squares."""
    dataset = coloured_squares()
    plan = plan_run(MODEL, dataset, recipe, weights=weights, resolution=None if weights else 24)
    progress: Progress = KillsTheSecond(processes) if dies else SILENT
    return train_run(
        plan, dataset, folder, device="cpu", cache_dir=folder.parent / "cache", processes=processes, progress=progress
    )


def train_and_watch(processes: Processes, recipe: Recipe, folder: Path) -> tuple[RunRecord, list[str]]:
    """The record, and the files that this process opened for writing, created or renamed."""
    touched: list[str] = []
    is_watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if not is_watching or event not in ("open", "os.rename", "os.remove", "os.mkdir"):
            return
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
        reads = event == "open" and not int(arguments[2]) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)  # type: ignore[call-overload]
        if path.startswith(str(folder.parent)) and not reads:
            touched.append(path)

    sys.addaudithook(watch)
    record = train_together(processes, recipe, folder)
    is_watching = False
    return record, touched


def test_one_process_writes_and_both_know_the_result(pair: Pair, tmp_path) -> None:
    (record, written), (other, also_written) = pair.run(
        train_and_watch, small_recipe(augmentation=AUGMENTED), tmp_path / "run"
    )
    assert record.processes == 2
    assert written
    assert also_written == []
    assert other.metrics == record.metrics
    assert RunRecord.load(tmp_path / "run" / "record.json") == record
    with pytest.raises(RunError, match="processes: 2 there, 1 here"):
        train_together(ALONE, small_recipe(augmentation=AUGMENTED), tmp_path / "run")


def predict_together(processes: Processes, split: str, cache: Path) -> tuple[list[str], np.ndarray, list[int]]:
    """Predictions for a split, and where the images stand that this process looked at."""
    seen: list[int] = []
    dataset = coloured_squares(per_class=11)
    preprocessing = Preprocessing(resolution=24, crop_pct=1.0)
    store = decode_for_evaluation(dataset, preprocessing, cache_dir=cache)
    network = build_model(get_spec(MODEL), num_classes=3, seed=0).eval()
    by_pixels = {store.pixels[i].tobytes(): i for i in range(len(store))}

    def note(_: object, inputs: tuple[torch.Tensor]) -> None:
        for image in inputs[0]:
            pixels = (image.permute(1, 2, 0) * torch.tensor(preprocessing.std) + torch.tensor(preprocessing.mean)) * 255
            seen.append(by_pixels[pixels.round().byte().contiguous().numpy().tobytes()])

    network.register_forward_pre_hook(note)
    predictions = predict_split(
        network, split=split, dataset=dataset, store=store, preprocessing=preprocessing, device=torch.device("cpu"),
        processes=processes,
    )  # fmt: skip
    return predictions.image_ids.tolist(), predictions.probabilities, seen


@pytest.mark.parametrize("split", ["train", "val"])
def test_each_image_is_judged_once_and_predictions_are_in_order(pair: Pair, tmp_path, split: str) -> None:
    ids, probabilities, seen = predict_together(ALONE, split, tmp_path)
    (first_ids, first, one), (second_ids, second, other) = pair.run(predict_together, split, tmp_path)
    assert first_ids == second_ids == ids
    assert np.array_equal(first, second)
    assert np.allclose(first, probabilities, atol=1e-6)
    assert one + other == seen  # in order, each once
    assert len(set(seen)) == len(seen) == len(ids)
    assert abs(len(one) - len(other)) <= 1


def test_what_is_frozen_stays_bit_for_bit(pair: Pair, small_weights, tmp_path) -> None:
    recipe = preset("partial", epochs=2, unfreeze="last:7", small_images=True)
    record, _ = pair.run(train_together, recipe, tmp_path / "run", small_weights)
    fresh = build_model(get_spec("tf_mobilenet_v1_x0.25"), num_classes=3, seed=0)
    load_weights(fresh, plan_run(MODEL, coloured_squares(), recipe, weights=small_weights).weights)
    changed = moved(load_run(tmp_path / "run").network, hashes(fresh))
    assert record.unfrozen == unfreeze_part(fresh, "last:7")
    assert changed == {key for key in fresh.state_dict() if any(key.startswith(f"{n}.") for n in record.unfrozen)}


def without_seconds(run: Path) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


def test_a_run_whose_process_was_killed_goes_on_and_ends_as_one_that_was_not(pair: Pair, tmp_path) -> None:
    recipe = small_recipe(augmentation=AUGMENTED, epochs=3, dropout=0.3, ema_decay=0.9)
    doomed = Pair()
    lost, killed = doomed.answers(train_together, recipe, tmp_path / "run", None, True)
    doomed.close()
    assert isinstance(killed, EOFError)
    assert isinstance(lost, ProcessLostError)
    assert RunRecord.load(tmp_path / "run" / "record.json").status == "failed"
    assert len(without_seconds(tmp_path / "run")) == 1

    pair.run(train_together, recipe, tmp_path / "run")
    pair.run(train_together, recipe, tmp_path / "peace")
    assert without_seconds(tmp_path / "run") == without_seconds(tmp_path / "peace")
    ours, theirs = (load_file(tmp_path / name / "best.safetensors") for name in ("run", "peace"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def learn(processes: Processes, seed: int, folder: Path) -> tuple[list[float], float]:
    """Loss on train in each of six epochs on noisy squares, and accuracy on test."""
    squares = coloured_squares(per_class=75, noise=120.0)
    optimizer = AdamW(learning_rate=0.005, weight_decay=0.01)
    schedule = RateSchedule(name="cosine", warmup_epochs=1)
    recipe = small_recipe(optimizer=optimizer, schedule=schedule, epochs=6, batch_size=27, bn_momentum=0.3)
    recipe = recipe.model_copy(update={"precision": "float32"})  # bfloat16 rounds more than seeds differ
    plan = plan_run(MODEL, squares, recipe, resolution=24, seed=seed)
    record = train_run(plan, squares, folder, device="cpu", cache_dir=folder.parent / "cache", processes=processes)
    return [float(str(row["train_loss"])) for row in without_seconds(folder)], record.metrics["test"].top1.value


def test_two_processes_learn_as_one_does(pair: Pair, tmp_path) -> None:
    alone = [learn(ALONE, seed, tmp_path / f"one-{seed}") for seed in range(3)]
    shared = [pair.run(learn, seed, tmp_path / f"two-{seed}")[0] for seed in range(3)]
    losses = np.array([[loss for loss, _ in runs] for runs in (alone, shared)])  # (1 or 2 processes, seed, epoch)
    # Rounding alone parts the two runs of a seed. It grows from epoch to epoch, and stays below what seeds differ by.
    apart, of_seeds = losses[1] - losses[0], losses[0].std(axis=0, ddof=1)
    assert root_mean_square(apart[:, 0]) < 0.1 * of_seeds[0]
    assert root_mean_square(apart) < 0.5 * root_mean_square(of_seeds)
    accuracies = [[accuracy for _, accuracy in runs] for runs in (alone, shared)]
    assert stats.ttest_ind(*accuracies).pvalue > 0.05


def root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def test_linear_is_for_one_process(small_weights, tmp_path) -> None:
    with pytest.raises(ForayError, match="linear runs the backbone once"):
        train_together(Processes(0, 2, "cpu"), preset("linear"), tmp_path / "run", small_weights)
