"""`linear`: the frozen backbone runs once over the decoded images, and heads are fitted to its features.

Beside the head fitted to train, five more are fitted to four fifths of train and val each. Every train and val image
is then predicted by a head that has not seen it, in any of its views: `out_of_fold`, a selection split several times
the size of val. The epoch or the L2 penalty is selected again for each of the five, on train and val without the images
that the head will predict: no image influences a choice by which it is scored.

With `feature_views` K above 1, heads are fitted to K views of each of their images, the plain one among them (see
`views`). Train and val are augmented, since the five heads are fitted to both; test is not.
Nothing is resumed: a killed run finds the features on disk and fits its heads again, in seconds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foray.augmentation import Augment
from foray.data import Dataset, ImageStore, Split, decode_for_evaluation, decode_for_training
from foray.evaluation.predictions import Predictions, image_ids
from foray.evaluation.scores import Score
from foray.linear.features import AugmentedImages, DecodedImages, cached_features, cached_views
from foray.linear.folds import out_of_fold_positions
from foray.linear.heads import Head, HeadEpoch, train_heads
from foray.linear.logistic import PENALTIES, LogisticProblem, SolvedHead
from foray.models import Network
from foray.progress import SILENT, Progress
from foray.recipes import LinearRecipe
from foray.records import EpochRow, RunFolder
from foray.requests import Machine
from foray.training.checkpoint import History, TrainingState
from foray.training.crossfit import chooses_epoch
from foray.training.epoch_choice import best_epoch, choose_epoch, val_scores
from foray.training.loop import is_over
from foray.training.outcome import TrainingOutcome
from foray.training.plan import RunPlan


def train_linear(
    plan: RunPlan, dataset: Dataset, network: Network, folder: Path, machine: Machine, *, progress: Progress = SILENT
) -> TrainingOutcome:
    """Fits a classifier to the pretrained backbone of `network` and puts it into the network.

    `folder`: of the run, which gets the history. `machine`: with a device of torch's.
    """
    store = decode_for_evaluation(
        dataset, plan.preprocessing, cache_dir=machine.cache, workers=machine.workers, progress=progress
    )
    network.to(device=machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    views, engines = _features(plan, dataset, network, store, machine, progress)
    study = _Study(plan, dataset, network, views, History(RunFolder(folder).history), progress)
    fit = study.solve() if study.recipe.solver == "lbfgs" else study.train()
    out_of_fold = study.out_of_fold(fit.row)
    with torch.no_grad():
        network.classifier.weight.copy_(fit.head.weight)
        network.classifier.bias.copy_(fit.head.bias)
    return TrainingOutcome(
        network=network,
        predictions={
            "val": study.predict(fit.head, "val"),
            "out_of_fold": out_of_fold.predictions,
            "test": study.predict(fit.head, "test"),
        },
        best_epoch=fit.row,
        judged_epochs=out_of_fold.rows,
        seconds_per_epoch=[row.seconds for row in study.history.rows],
        train_precision="float32",
        feature_engine=f"{' and '.join(sorted(engines))} float32",
        notes=(*fit.notes, *out_of_fold.notes),
    )


def _features(
    plan: RunPlan, dataset: Dataset, network: Network, store: ImageStore, machine: Machine, progress: Progress
) -> tuple[Tensor, set[str]]:
    """Features (K, N, F) of K views of every image of the dataset, on the device, and the engines that ran.

    Test has its plain view alone: its other features are NaN, which no loss would survive.
    """
    assert plan.weights is not None  # plan_run has seen to it
    assert isinstance(plan.recipe, LinearRecipe)
    num_views = plan.recipe.feature_views
    plain, engine = cached_features(
        network, plan.weights.sha256, DecodedImages(store), plan.preprocessing,
        device=torch.device(machine.device), cache_dir=machine.cache, progress=progress,
    )  # fmt: skip
    views = np.full((num_views, *plain.shape), np.nan, dtype=np.float32)
    views[0], engines = plain, {engine}
    if num_views > 1:
        training = decode_for_training(
            dataset, plan.preprocessing, cache_dir=machine.cache, workers=machine.workers, progress=progress
        )
        pool = np.sort(np.concatenate([dataset.indices("train"), dataset.indices("val")]))
        augment = Augment(plan.recipe.augmentation, plan.preprocessing, seed=plan.seed)
        images = [AugmentedImages(training, pool, augment, view) for view in range(1, num_views)]
        views[1:, pool], others = cached_views(network, plan.weights.sha256, images, machine, progress)
        engines |= others
    return torch.from_numpy(views).to(machine.device), engines


@dataclass(frozen=True, eq=False)
class _Fit:
    """`row`: the line of the history, counted from 1, whose epoch or penalty `head` has."""

    head: Head
    row: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _OutOfFold:
    """`rows`: the lines of the history whose epoch or penalty each fold's head has."""

    predictions: Predictions
    rows: list[int]
    notes: tuple[str, ...]


class _Study:
    """Features (K, N, F) of K views of every image of a data set, and the heads that are fitted to them."""

    def __init__(
        self, plan: RunPlan, dataset: Dataset, network: Network, views: Tensor, history: History, progress: Progress
    ) -> None:
        assert isinstance(plan.recipe, LinearRecipe)
        self.recipe = plan.recipe
        self.plan, self.dataset, self.views, self.history, self.progress = plan, dataset, views, history, progress
        self.labels = torch.from_numpy(dataset.labels).to(views.device)
        self.initial = Head(network.classifier.weight.detach().clone(), network.classifier.bias.detach().clone())
        self.folds = out_of_fold_positions(dataset, plan.seed)

    def train(self) -> _Fit:
        """The head trained on train by gradient, of the epoch that the recipe keeps; writes the history."""
        recipe = self.recipe
        rows: list[EpochRow] = []
        kept: list[_Fit] = []
        with self.progress.task("training the head", total=recipe.epochs) as task:

            def after_epoch(epoch: HeadEpoch, head: Head) -> bool:
                val = self.predict(head, "val").score
                row = EpochRow(
                    epoch=epoch.epoch, learning_rate=epoch.learning_rate, seconds=epoch.seconds,
                    train_loss=epoch.train_loss, train_top1=epoch.train_top1, val_loss=val.loss, val_top1=val.top1,
                    val_weights="average" if recipe.ema_decay else "model",
                )  # fmt: skip
                rows.append(row)
                best = best_epoch(val_scores(rows))
                if recipe.checkpoint == "last" or best == row.epoch:
                    kept[:] = [_Fit(head, row.epoch)]
                task.advance(note=f"val {100 * val.top1:.1f} %")
                return is_over(recipe, TrainingState(epoch=row.epoch, best_epoch=best))

            members = [self.dataset.indices("train")]
            train_heads(
                self.views, self.labels, members, self.initial, recipe, seed=self.plan.seed, after_epoch=after_epoch
            )
        self.history.replace(rows)
        return kept[0]

    def solve(self) -> _Fit:
        """The exact head on train with the L2 penalty that is best on val; the history has one line per penalty."""
        rows: list[EpochRow] = []
        solutions: list[SolvedHead] = []
        with self.progress.task("fitting the head", total=len(PENALTIES)) as task:
            problem = self._problem(self.dataset.indices("train"))
            for penalty in PENALTIES:
                started = time.perf_counter()
                solution = problem.solve(penalty, start=solutions[-1] if solutions else None)
                solutions.append(solution)
                val = self.predict(solution.head, "val").score
                row = EpochRow(
                    epoch=len(solutions), learning_rate=None, seconds=time.perf_counter() - started,
                    train_loss=solution.train_loss, train_top1=solution.train_top1, val_loss=val.loss,
                    val_top1=val.top1, l2_penalty=penalty,
                )  # fmt: skip
                rows.append(row)
                task.advance(note=f"L2 penalty {penalty:.3g}: val {100 * val.top1:.1f} %")
        self.history.replace(rows)
        chosen = best_epoch(val_scores(rows))
        return _Fit(solutions[chosen - 1].head, chosen, _notes(solutions, solutions[chosen - 1]))

    def out_of_fold(self, row: int) -> _OutOfFold:
        """Predictions for train and val, in dataset order, each from a head fitted to the other folds.

        `row`: what the first head has, and all others where val chooses nothing.
        """
        rows, notes = self._fold_rows(row) if self._val_chooses else ([row] * len(self.folds), [])
        everything = np.sort(np.concatenate(self.folds))
        self.progress.note(f"fitting {len(self.folds)} heads to four fifths of train and val each")
        probabilities = np.empty((len(self.dataset.samples), self.plan.num_classes), dtype=np.float32)
        for chosen in sorted(set(rows)):
            folds = [fold for fold, own in zip(self.folds, rows, strict=True) if own == chosen]
            members = [np.setdiff1d(everything, fold, assume_unique=True) for fold in folds]
            for head, fold in zip(self._heads(members, chosen), folds, strict=True):
                probabilities[fold] = head.probabilities(self._plain(fold))
        return _OutOfFold(self._predictions(everything, probabilities[everything]), rows, tuple(notes))

    def _fold_rows(self, row: int) -> tuple[list[int], list[str]]:
        """The line that val chooses for each fold's head, the fold's images left out of train and val, and notes."""
        train, val = self.dataset.indices("train"), self.dataset.indices("val")
        rows, notes = [], []
        with self.progress.task("choosing for each fold", total=len(self.folds)) as task:
            for fold in self.folds:
                own, judged = np.setdiff1d(train, fold), np.setdiff1d(val, fold)
                if own.size and judged.size:
                    rows.append(choose_epoch(self._scores(own, judged), *self._rule).epoch)
                else:
                    rows.append(row)
                    notes = [
                        "all images of train or of val belong to one group: the selection used the images it is "
                        "scored on"
                    ]
                task.advance()
        if self.recipe.solver == "lbfgs":
            penalties = " or ".join(f"{PENALTIES[chosen - 1]:.3g}" for chosen in sorted(set(rows)))
            notes.append(f"lbfgs: the out-of-fold heads have an L2 penalty of {penalties}, selected without their fold")
        return rows, notes

    def _scores(self, train: npt.NDArray[np.int64], val: npt.NDArray[np.int64]) -> list[Score]:
        """What a head fitted to the images at `train` scores on those at `val`, line by line of a history."""
        scores: list[Score] = []
        if self.recipe.solver == "lbfgs":
            problem, solution = self._problem(train), None
            for penalty in PENALTIES:
                solution = problem.solve(penalty, start=solution)
                scores.append(self._predict_at(solution.head, val).score)
            return scores

        def after_epoch(_: HeadEpoch, head: Head) -> bool:
            scores.append(self._predict_at(head, val).score)
            return choose_epoch(scores, *self._rule).stopped

        train_heads(
            self.views, self.labels, [train], self.initial, self.recipe, seed=self.plan.seed,
            after_epoch=after_epoch,
        )  # fmt: skip
        return scores

    @property
    def _val_chooses(self) -> bool:
        return self.recipe.solver == "lbfgs" or chooses_epoch(self.recipe)

    @property
    def _rule(self) -> tuple[Literal["best", "last"], int | None]:
        """Which line is kept, and after how many without a better one training ends."""
        recipe = self.recipe
        return ("best", None) if recipe.solver == "lbfgs" else (recipe.checkpoint, recipe.early_stopping_epochs)

    def _heads(self, members: Sequence[npt.NDArray[np.int64]], row: int) -> list[Head]:
        """A head fitted to the images at each of `members`, with the epochs or the penalty of line `row`."""
        if self.recipe.solver == "lbfgs":
            return [self._problem(own).solve(PENALTIES[row - 1]).head for own in members]
        return train_heads(self.views, self.labels, members, self.initial, self.recipe, seed=self.plan.seed, epochs=row)

    def predict(self, head: Head, split: Split) -> Predictions:
        """Predictions of one head for one split, in dataset order."""
        return self._predict_at(head, self.dataset.indices(split))

    def _predict_at(self, head: Head, positions: npt.NDArray[np.int64]) -> Predictions:
        return self._predictions(positions, head.probabilities(self._plain(positions)))

    def _predictions(self, positions: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]) -> Predictions:
        return Predictions(image_ids(self.dataset, positions), self.dataset.labels[positions], probabilities)

    def _plain(self, positions: npt.NDArray[np.int64]) -> Tensor:
        """Features of images as they are in evaluation, (N, F)."""
        return self.views[0, torch.from_numpy(positions).to(self.views.device)]

    def _problem(self, positions: npt.NDArray[np.int64]) -> LogisticProblem:
        return LogisticProblem(self.views, self.labels, positions, self.recipe, self.plan.num_classes)


def _notes(solutions: list[SolvedHead], chosen: SolvedHead) -> tuple[str, ...]:
    notes = [
        f"lbfgs: of {len(solutions)} L2 penalties from {solutions[0].penalty:.3g} to {solutions[-1].penalty:.3g}, "
        f"val selected {chosen.penalty:.3g} (C = {1 / chosen.penalty:.3g} in scikit-learn's terms)"
    ]
    if not chosen.converged:
        notes.append("lbfgs: the head's gradient did not come below the tolerance")
    return tuple(notes)
