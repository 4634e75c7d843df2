"""`linear`: the frozen backbone runs once over the decoded images, and heads are fitted to its features.

Beside the head fitted to train, five more are fitted to four fifths of train and val each. Every train and val image
is then predicted by a head that has not seen it, in any of its views: `out_of_fold`, a selection split several times
the size of val. How long each of the five trains, or which L2 penalty it has, is what the first head scores best with
on val without the images that the head will predict: no image has a say in a choice by which it is judged.

With `feature_views` K above 1, heads are fitted to K views of each of their images, the plain one among them (see
`views`). Train and val are augmented, since the five heads are fitted to both; test is not.
Nothing is resumed: a run that was killed finds the features on disk and fits its heads anew, in seconds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foray.data import Augment, Dataset, ImageStore, Split, decode_for_evaluation, decode_for_training
from foray.models import Network
from foray.records import EpochRow
from foray.training.checkpoint import History, TrainingState
from foray.training.choice import Choice, best_epoch, choose_epoch
from foray.training.crossfit import chooses_epoch, scores_on
from foray.training.evaluate import Predictions, image_ids
from foray.training.features import DecodedImages, cached_features
from foray.training.folds import out_of_fold_positions
from foray.training.heads import Head, HeadEpoch, train_heads
from foray.training.logistic import PENALTIES, LogisticProblem, Solution
from foray.training.loop import is_over
from foray.training.metrics import Score
from foray.training.outcome import Outcome, Workplace
from foray.training.plan import RunPlan
from foray.training.views import cached_views


def train_linear(plan: RunPlan, dataset: Dataset, network: Network, at: Workplace) -> Outcome:
    """Fits a classifier to the pretrained backbone of `network` and puts it into the network."""
    store = decode_for_evaluation(
        dataset, plan.preprocessing, cache_dir=at.cache_dir, workers=at.workers, progress=at.progress
    )
    network.to(device=at.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    views, engines = _features(plan, dataset, network, store, at)
    study = _Study(plan, dataset, network, views, at)
    fit = study.solve() if plan.recipe.solver == "lbfgs" else study.train()
    out_of_fold = study.out_of_fold(fit)
    with torch.no_grad():
        network.classifier.weight.copy_(fit.head.weight)
        network.classifier.bias.copy_(fit.head.bias)
    return Outcome(
        network=network,
        predictions={
            "val": study.predict(fit.head, "val"),
            "out_of_fold": out_of_fold,
            "test": study.predict(fit.head, "test"),
        },
        best_epoch=fit.row,
        judged_epochs=fit.fold_rows,
        seconds_per_epoch=[row.seconds for row in study.history.rows],
        train_precision="float32",
        feature_engine=f"{' and '.join(sorted(engines))} float32",
        notes=fit.notes,
    )


def _features(
    plan: RunPlan, dataset: Dataset, network: Network, store: ImageStore, at: Workplace
) -> tuple[Tensor, set[str]]:
    """Features (K, N, F) of K views of every image of the dataset, on the device, and the engines that ran.

    Test has its plain view alone: its other features are NaN, which no loss would survive.
    """
    assert plan.weights is not None  # plan_run has seen to it
    num_views = plan.recipe.feature_views
    plain, engine = cached_features(
        network, plan.weights.sha256, DecodedImages(store), plan.preprocessing,
        device=at.device, cache_dir=at.cache_dir, progress=at.progress,
    )  # fmt: skip
    views = np.full((num_views, *plain.shape), np.nan, dtype=np.float32)
    views[0], engines = plain, {engine}
    if num_views > 1:
        training = decode_for_training(
            dataset, plan.preprocessing, cache_dir=at.cache_dir, workers=at.workers, progress=at.progress
        )
        pool = np.sort(np.concatenate([dataset.indices("train"), dataset.indices("val")]))
        augment = Augment(plan.recipe.augmentation, plan.preprocessing, seed=plan.seed)
        views[1:, pool], others = cached_views(network, plan.weights.sha256, training, pool, augment, num_views - 1, at)
        engines |= others
    return torch.from_numpy(views).to(at.device), engines


@dataclass(frozen=True, eq=False)
class _Fit:
    """`row`: the line of the history, counted from 1, whose epoch or penalty `head` has; `fold_rows`: those of the
    out-of-fold heads."""

    head: Head
    row: int
    fold_rows: list[int]
    notes: tuple[str, ...] = ()


class _Trial:
    """What the first head scored, line by line of the history, on val and on val without each of `folds`."""

    def __init__(self, val: npt.NDArray[np.int64], folds: Sequence[npt.NDArray[np.int64]]) -> None:
        without = [np.isin(val, fold, invert=True) for fold in folds]
        self.is_whole = all(part.any() for part in without)
        # Where all of val is in one fold there is nothing else to choose that head by.
        self._parts = [part if part.any() else np.ones(len(val), dtype=np.bool_) for part in without]
        self.scores: list[Score] = []
        self._fold_scores: list[list[Score]] = [[] for _ in folds]

    def add(self, val: Predictions) -> Score:
        """Notes the next line, which predicts `val`; returns its score there."""
        for scores, score in zip(self._fold_scores, scores_on(val, self._parts), strict=True):
            scores.append(score)
        self.scores.append(val.score)
        return self.scores[-1]

    def fold_choices(self, keep: Literal["best", "last"], patience: int | None) -> list[Choice]:
        """The line that each out-of-fold head takes."""
        return [choose_epoch(scores, keep, patience) for scores in self._fold_scores]


class _Study:
    """Features (K, N, F) of K views of every image of a data set, and the heads that are fitted to them."""

    def __init__(self, plan: RunPlan, dataset: Dataset, network: Network, views: Tensor, at: Workplace) -> None:
        self.plan, self.dataset, self.views, self.at = plan, dataset, views, at
        self.labels = torch.from_numpy(dataset.labels).to(views.device)
        self.initial = Head(network.classifier.weight.detach().clone(), network.classifier.bias.detach().clone())
        self.history = History(at.folder / "history.jsonl")
        self.folds = out_of_fold_positions(dataset, plan.seed)
        self.trial = _Trial(dataset.indices("val"), self.folds)

    def train(self) -> _Fit:
        """The head trained on train by gradient, of the epoch that the recipe keeps; writes the history."""
        recipe = self.plan.recipe
        rows: list[EpochRow] = []
        kept: list[tuple[Head, int]] = []
        with self.at.progress.task("training the head", total=recipe.epochs) as task:

            def after_epoch(epoch: HeadEpoch, head: Head) -> bool:
                val = self.trial.add(self.predict(head, "val"))
                row = EpochRow(
                    epoch=epoch.epoch, learning_rate=epoch.learning_rate, seconds=epoch.seconds,
                    train_loss=epoch.train_loss, train_top1=epoch.train_top1, val_loss=val.loss, val_top1=val.top1,
                    val_weights="average" if recipe.ema_decay else "model",
                )  # fmt: skip
                rows.append(row)
                best = best_epoch(self.trial.scores)
                if recipe.checkpoint == "last" or best == row.epoch:
                    kept[:] = [(head, row.epoch)]
                task.advance(note=f"val {100 * val.top1:.1f} %")
                return is_over(recipe, TrainingState(epoch=row.epoch, best_epoch=best))

            members = [self.dataset.indices("train")]
            train_heads(
                self.views, self.labels, members, self.initial, recipe, seed=self.plan.seed, after_epoch=after_epoch
            )
        self.history.replace(rows)
        choices = self.trial.fold_choices(recipe.checkpoint, recipe.early_stopping_epochs)
        notes = []
        unfinished = sum(not choice.stopped for choice in choices)
        if unfinished and len(rows) < recipe.epochs:
            notes.append(
                f"early stopping by all of val ended training after epoch {len(rows)}; by val without their fold "
                f"{unfinished} of the {len(choices)} out-of-fold heads would have gone on, and have an epoch of those "
                "that ran"
            )
        return self._fit(*kept[0], choices, notes)

    def solve(self) -> _Fit:
        """The exact head on train with the L2 penalty that is best on val; the history has a line a penalty."""
        rows: list[EpochRow] = []
        solutions: list[Solution] = []
        with self.at.progress.task("solving for the head", total=len(PENALTIES)) as task:
            problem = self._problem(self.dataset.indices("train"))
            for penalty in PENALTIES:
                started = time.perf_counter()
                solution = problem.solve(penalty, start=solutions[-1] if solutions else None)
                solutions.append(solution)
                val = self.trial.add(self.predict(solution.head, "val"))
                row = EpochRow(
                    epoch=len(solutions), learning_rate=None, seconds=time.perf_counter() - started,
                    train_loss=solution.train_loss, train_top1=solution.train_top1, val_loss=val.loss,
                    val_top1=val.top1, l2_penalty=penalty,
                )  # fmt: skip
                rows.append(row)
                task.advance(note=f"L2 penalty {penalty:.3g}: val {100 * val.top1:.1f} %")
        self.history.replace(rows)
        chosen = best_epoch(self.trial.scores)
        choices = self.trial.fold_choices("best", None)
        penalties = sorted({PENALTIES[choice.epoch - 1] for choice in choices}, reverse=True)
        notes = _notes(solutions, solutions[chosen - 1], penalties)
        return self._fit(solutions[chosen - 1].head, chosen, choices, notes)

    def out_of_fold(self, fit: _Fit) -> Predictions:
        """Predictions for train and val, in dataset order, each from a head fitted to the other folds."""
        everything = np.sort(np.concatenate(self.folds))
        self.at.progress.note(f"fitting {len(self.folds)} heads to four fifths of train and val each")
        probabilities = np.empty((len(self.dataset.samples), self.plan.num_classes), dtype=np.float32)
        for row in sorted(set(fit.fold_rows)):
            folds = [fold for fold, own in zip(self.folds, fit.fold_rows, strict=True) if own == row]
            members = [np.setdiff1d(everything, fold, assume_unique=True) for fold in folds]
            for head, fold in zip(self._heads(members, row), folds, strict=True):
                probabilities[fold] = head.probabilities(self._plain(fold))
        return Predictions(
            image_ids(self.dataset, everything), self.dataset.labels[everything], probabilities[everything]
        )

    def _heads(self, members: Sequence[npt.NDArray[np.int64]], row: int) -> list[Head]:
        """A head fitted to the images at each of `members`, with the epochs or the penalty of line `row`."""
        if self.plan.recipe.solver == "lbfgs":
            return [self._problem(own).solve(PENALTIES[row - 1]).head for own in members]
        return train_heads(
            self.views, self.labels, members, self.initial, self.plan.recipe, seed=self.plan.seed, epochs=row
        )

    def _fit(self, head: Head, row: int, choices: Sequence[Choice], notes: Sequence[str]) -> _Fit:
        if not self.trial.is_whole and (self.plan.recipe.solver == "lbfgs" or chooses_epoch(self.plan.recipe)):
            notes = [*notes, "all images of val belong together: they chose what they are judged by out of fold"]
        return _Fit(head, row, [choice.epoch for choice in choices], tuple(notes))

    def predict(self, head: Head, split: Split) -> Predictions:
        """Predictions of one head for one split, in dataset order."""
        positions = self.dataset.indices(split)
        probabilities = head.probabilities(self._plain(positions))
        return Predictions(image_ids(self.dataset, positions), self.dataset.labels[positions], probabilities)

    def _plain(self, positions: npt.NDArray[np.int64]) -> Tensor:
        """Features of images as they are in evaluation, (N, F)."""
        return self.views[0, torch.from_numpy(positions).to(self.views.device)]

    def _problem(self, positions: npt.NDArray[np.int64]) -> LogisticProblem:
        return LogisticProblem(self.views, self.labels, positions, self.plan.recipe, self.plan.num_classes)


def _notes(solutions: list[Solution], chosen: Solution, fold_penalties: Sequence[float]) -> list[str]:
    others = " or ".join(f"{penalty:.3g}" for penalty in fold_penalties)
    notes = [
        f"lbfgs: of {len(solutions)} L2 penalties from {solutions[0].penalty:.3g} to {solutions[-1].penalty:.3g}, val "
        f"chose {chosen.penalty:.3g} (C = {1 / chosen.penalty:.3g} in scikit-learn's terms); the out-of-fold heads "
        f"have {others}, each by val without its fold"
    ]
    if not chosen.converged:
        notes.append("lbfgs: the head's gradient did not come below the tolerance")
    return notes
