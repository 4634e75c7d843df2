"""What a comparison decides on: images that had no say in the training they are judged by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from foray.comparison import selection_of
from foray.evaluation.scores import Score
from foray.records import RunFolder
from foray.runs.outcomes import ModelOutcome
from foray.statistics import paired_loss
from foray.training.epoch_choice import choose_epoch
from tests.asking import plan_run, train_run
from tests.small_training import MODEL, coloured_squares, small_recipe

# Which predictions decide


def outcome_of(folder: Path, model: str, recipe, seeds: int = 1) -> ModelOutcome:
    """A model trained on the coloured squares."""
    squares, folders = coloured_squares(), [folder / f"{model}-{seed}" for seed in range(seeds)]
    records = [
        train_run(plan_run(model, squares, recipe, seed=seed), squares, path, device="cpu")
        for seed, path in enumerate(folders)
    ]
    return ModelOutcome(model, tuple(records), tuple(map(RunFolder, folders)))


def without_crossfit(outcome: ModelOutcome) -> ModelOutcome:
    """As an older version left it."""
    outcome.folders[0].predictions("val_crossfit").unlink()
    first, *others = outcome.records
    metrics = {split: found for split, found in first.metrics.items() if split != "val_crossfit"}
    older = first.model_copy(update={"metrics": metrics, "judged_epochs": []})
    older.save(outcome.folders[0].record)
    return ModelOutcome(outcome.model, (older, *others), outcome.folders)


def right(path: Path) -> np.ndarray:
    kept = np.load(path)
    return kept["probabilities"].argmax(axis=1) == kept["labels"]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, ModelOutcome]:
    folder, recipe = tmp_path_factory.mktemp("outcomes"), small_recipe(epochs=3, dropout=0.3)
    return {model: outcome_of(folder, model, recipe, seeds=2) for model in (MODEL, "mobilenet_v2_x0.25")}


def test_where_val_chose_the_epochs_the_cross_fitted_predictions_decide(outcomes) -> None:
    chosen_by = selection_of(outcomes, small_recipe(epochs=3, dropout=0.3))
    assert (chosen_by.split, chosen_by.cautions) == ("val_crossfit", [])
    for model, outcome in outcomes.items():
        files = [folder.predictions("val_crossfit") for folder in outcome.folders]
        assert np.array_equal(chosen_by.correct[model], [right(path) for path in files])


def test_runs_that_were_not_trained_alike_are_named(outcomes) -> None:
    """Where a comparison was continued on another machine."""
    first, second = outcomes[MODEL].records
    elsewhere = second.hardware.model_copy(update={"processor": "Another processor"})
    changed = second.model_copy(update={"train_precision": "bfloat16", "hardware": elsewhere})
    mixed = {**outcomes, MODEL: replace(outcomes[MODEL], records=(first, changed))}
    precisions, machines = selection_of(mixed, small_recipe(epochs=3, dropout=0.3)).cautions
    assert precisions.startswith(
        f"Not trained in one precision: {MODEL} in bfloat16 and float32; mobilenet_v2_x0.25 in float32. "
    )
    assert machines.startswith(f"Trained on several machines: {first.hardware.label()}; Another processor")


def test_where_the_last_epoch_is_kept_val_decides(tmp_path) -> None:
    recipe = small_recipe(checkpoint="last", epochs=1)
    outcome = outcome_of(tmp_path, MODEL, recipe)
    chosen_by = selection_of({MODEL: outcome}, recipe)
    assert (chosen_by.split, chosen_by.cautions) == ("val", [])
    assert np.array_equal(chosen_by.correct[MODEL], [right(outcome.folders[0].predictions("val"))])


def test_one_run_of_an_older_version_and_all_are_judged_on_val_with_a_caution(tmp_path) -> None:
    recipe = small_recipe(epochs=2)
    outcomes = {model: outcome_of(tmp_path, model, recipe) for model in (MODEL, "mobilenet_v2_x0.25")}
    outcomes[MODEL] = without_crossfit(outcomes[MODEL])
    chosen_by = selection_of(outcomes, recipe)
    assert chosen_by.split == "val"
    for model, outcome in outcomes.items():
        assert np.array_equal(chosen_by.correct[model], [right(outcome.folders[0].predictions("val"))])
    (caution,) = chosen_by.cautions
    assert "optimistic" in caution
    assert f"{MODEL}-0 has no cross-fitted predictions" in caution
    assert "--out" in caution


def test_linear_is_judged_out_of_fold_whatever_chose_its_epochs() -> None:
    assert selection_of({}, small_recipe(protocol="linear")).split == "out_of_fold"


# Simulated networks whose accuracy is known


class Epochs:
    """A network after each of `epochs` epochs: whether it got each image right, (E, N).

    An image is right where its ease, `accuracy` on average, and a normal number of the epoch's own with deviation
    `jitter` sum to more than 0. All epochs have the same true accuracy: which of them is kept is luck.
    """

    def __init__(self, rng, ease: np.ndarray, accuracy: float, jitter: float, epochs: int) -> None:
        spread = np.sqrt(1 + jitter**2)
        own = jitter * rng.standard_normal((epochs, len(ease)))
        self.correct = ndtri(accuracy) * spread + ease + own > 0
        self.accuracy = float(ndtr(ndtri(accuracy)))

    def best_on(self, images: np.ndarray) -> int:
        scores = [Score(top1=float(top1), loss=0.0) for top1 in self.correct[:, images].mean(axis=1)]
        return choose_epoch(scores, "best", None).epoch - 1

    def on_val(self) -> np.ndarray:
        """Right or wrong by the epoch that is best on all images, (1, N)."""
        everything = np.ones(self.correct.shape[1], dtype=np.bool_)
        return self.correct[[self.best_on(everything)]]

    def cross_fitted(self) -> np.ndarray:
        """By the epochs that are best on the other half of the images, (1, N)."""
        second = np.arange(self.correct.shape[1]) % 2 == 1
        first_chose, second_chose = self.best_on(~second), self.best_on(second)
        return np.where(second, self.correct[first_chose], self.correct[second_chose])[None]


WORLDS = 600
TOLERANCE = 0.01


@pytest.fixture(scope="module")
def worlds() -> list[tuple[Epochs, Epochs]]:
    """Pairs on 700 images: 90 % and calm, as where the rate ends at 0; and one point worse, with epochs that differ.

    The loss of the second is the tolerance, so that "not worse" is wrong, and no bound may say so in more than 5 %.
    """
    rng, pairs = np.random.default_rng(17), []
    for _ in range(WORLDS):
        ease, other = rng.standard_normal((2, 700))
        reference = Epochs(rng, ease, 0.90, jitter=0.04, epochs=20)
        candidate = Epochs(rng, 0.9 * ease + np.sqrt(1 - 0.9**2) * other, 0.90 - TOLERANCE, jitter=0.2, epochs=20)
        pairs.append((reference, candidate))
    return pairs


def test_best_on_val_is_optimistic_and_cross_fitted_is_not(worlds) -> None:
    for number, (least, most) in enumerate([(0.003, 0.005), (0.008, 0.011)]):
        networks = [pair[number] for pair in worlds]
        on_val = np.array([network.on_val().mean() - network.accuracy for network in networks])
        crossed = np.array([network.cross_fitted().mean() - network.accuracy for network in networks])
        assert least < on_val.mean() < most
        assert abs(crossed.mean()) < 3 * crossed.std() / np.sqrt(WORLDS)


def test_wrong_verdicts_by_val_are_many_and_by_cross_fitted_val_at_most_5_percent(worlds) -> None:
    def wrong(judged) -> float:
        results = [paired_loss(judged(ours), judged(theirs), TOLERANCE) for ours, theirs in worlds]
        return float(np.mean([result.status == "not_worse" for result in results]))

    noise = 2 * np.sqrt(0.05 * 0.95 / WORLDS)
    assert wrong(Epochs.on_val) > 0.1
    assert wrong(Epochs.cross_fitted) < 0.05 + noise
