"""Cross-fitting: each half of val is scored at the epoch that the other half selected, because val selects the epoch.

The kept epoch is the best of many on val, so its accuracy there is too high: by half a point or so with 700 images, and
by more the more a network's epochs differ. An epoch chosen on one half of val has seen no label of the other half, and
its accuracy there is that of new images. Both halves together are predictions for all of val. The halves are the same
for all models and seeds of a data set.

Early stopping also applies to each half by itself. Where all of val stopped training before a half would have, that
half selects among the epochs that were trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foray.data import Dataset
from foray.data.near_duplicates import ties_of
from foray.data.split_units import val_halves
from foray.evaluation.predictions import Predictions
from foray.recipes import Recipe
from foray.records import EpochRow
from foray.records.metrics import HalfScore
from foray.training.epoch_choice import EpochChoice, choose_epoch

CROSSFIT = "val_crossfit"  # the split's name in records and of its file of predictions
_SEED = 0  # of the halves, whatever the seed of the run
_HALF = "half"
_OTHERS = ("second", "first")  # the half that half 0, half 1 predicts


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """`predictions`: of val, each image by the epoch that the half without it chose. `epochs`: which half 0 and half 1
    chose. `notes`: what a reader of the record should know."""

    predictions: Predictions
    epochs: list[int]
    notes: tuple[str, ...]


def chooses_epoch(recipe: Recipe) -> bool:
    """Whether val selects the epoch."""
    return recipe.checkpoint == "best" or recipe.early_stopping_epochs is not None


def val_half(dataset: Dataset) -> npt.NDArray[np.int64] | None:
    """Half, 0 or 1, of each image of val (N,), in dataset order; None when all of them must stay together.

    Classes are divided equally; images that share a group or their bytes are in one half, and so are near-duplicates.
    """
    val = [dataset.samples[i] for i in dataset.indices("val")]
    placed = val_halves(val, _SEED, ties_of(val, dataset.near))
    half = np.array([placed[sample.id] for sample in val], dtype=np.int64)
    return half if len(set(placed.values())) == 2 else None


class CrossFit:
    """The epoch that each half of val would keep so far, and its predictions for the other half.

    `half` (N,): see `val_half`. `keep` and `patience` (epochs): those of the recipe.
    """

    def __init__(self, half: npt.NDArray[np.int64], keep: Literal["best", "last"], patience: int | None) -> None:
        self._keep, self._patience = keep, patience
        self._divide(half)
        # By the epoch of half 0 those of half 1, and the reverse
        self._others = [np.empty((0, 0), dtype=np.float32), np.empty((0, 0), dtype=np.float32)]

    def _divide(self, half: npt.NDArray[np.int64]) -> None:
        self._half, self._members = half, (half == 0, half == 1)

    def scored(self, row: EpochRow, val: Predictions) -> EpochRow:
        """`row` with what its epoch scored on each half."""
        first, second = (
            Predictions(val.image_ids[own], val.labels[own], val.probabilities[own]).score for own in self._members
        )
        scores = HalfScore(top1=first.top1, loss=first.loss), HalfScore(top1=second.top1, loss=second.loss)
        return row.model_copy(update={"val_halves": scores})

    def add(self, rows: Sequence[EpochRow], val: Predictions) -> None:
        """Notes the last epoch of `rows`, which predicts `val`, where a half would keep it."""
        for chooser, choice in enumerate(self._choices(rows)):
            if choice.epoch == len(rows):
                self._others[chooser] = val.probabilities[self._members[1 - chooser]]

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: the halves, and the predictions of each by what the other chose."""
        others = {name: torch.from_numpy(rows) for name, rows in zip(_OTHERS, self._others, strict=True)}
        return {_HALF: torch.from_numpy(self._half), **others}

    def restore(self, tensors: Mapping[str, Tensor], rows: Sequence[EpochRow]) -> bool:
        """Takes up what `tensors` gave when `rows` were the epochs, with the halves that it was begun with.

        False where they lack what is needed: in checkpoints of older versions.
        """
        if not rows:
            return True  # no epoch was finished, so nothing is missing
        if not {_HALF, *_OTHERS} <= tensors.keys() or any(row.val_halves is None for row in rows):
            return False
        self._divide(tensors[_HALF].numpy())
        self._others = [tensors[name].numpy() for name in _OTHERS]
        return True

    def result(self, val: Predictions, rows: Sequence[EpochRow], epochs: int) -> CrossFitted:
        """For the images of `val`, after the epochs `rows`, which are all of the recipe's `epochs` or ended early."""
        probabilities = np.empty_like(val.probabilities)
        for chooser in (0, 1):
            probabilities[self._members[1 - chooser]] = self._others[chooser]
        choices = self._choices(rows)
        return CrossFitted(
            predictions=Predictions(val.image_ids, val.labels, probabilities),
            epochs=[choice.epoch for choice in choices],
            notes=_early_end(choices, len(rows)) if len(rows) < epochs else (),
        )

    def _choices(self, rows: Sequence[EpochRow]) -> tuple[EpochChoice, EpochChoice]:
        scores = [row.val_halves for row in rows if row.val_halves is not None]
        first, second = (choose_epoch([pair[own] for pair in scores], self._keep, self._patience) for own in (0, 1))
        return first, second


def _early_end(choices: Sequence[EpochChoice], epochs: int) -> tuple[str, ...]:
    """What to say where all of val ended training after so many epochs."""
    unfinished = sum(not choice.stopped for choice in choices)
    if not unfinished:
        return ()
    return (
        f"early stopping on all of val ended training after epoch {epochs}; {unfinished} of the two halves of "
        "val alone would have continued; they selected among the epochs that were trained",
    )
