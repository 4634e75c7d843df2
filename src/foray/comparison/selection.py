"""What trained models are chosen by: predictions of images that had no say in the training they are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foray.recipes import Recipe
from foray.runs.outcomes import ModelOutcome
from foray.training.crossfit import CROSSFIT, chooses_epoch


@dataclass(frozen=True, eq=False)
class Selection:
    """`correct`: by model (seeds, images) on `split`; `cautions`: to be read with what is chosen."""

    split: str
    correct: dict[str, npt.NDArray[np.bool_]]
    cautions: list[str]


def selection_of(outcomes: Mapping[str, ModelOutcome], recipe: Recipe) -> Selection:
    """The predictions that decide, the same kind for all models; test is not among them.

    A linear head costs seconds, so it is judged out of fold on train and val. Of other protocols it is val: as it is
    where it had no say in which epoch is kept, and otherwise cross-fitted. Runs that lack that, begun by an older
    version of foray, are judged on val with all others, with a caution.
    """
    split, found = _split(outcomes, recipe)
    correct = {name: outcome.correct(split) for name, outcome in outcomes.items()}
    return Selection(split, correct, found)


def _split(outcomes: Mapping[str, ModelOutcome], recipe: Recipe) -> tuple[str, list[str]]:
    if recipe.protocol == "linear":
        return "out_of_fold", []
    if not chooses_epoch(recipe):
        return "val", []
    without = [
        record.run_id for outcome in outcomes.values() for record in outcome.records if CROSSFIT not in record.metrics
    ]
    return ("val", [_optimistic(without)]) if without else (CROSSFIT, [])


def _optimistic(without: list[str]) -> str:
    more = f" and {len(without) - 1} more" if len(without) > 1 else ""
    return (
        "Accuracies on val are optimistic, by half a point or so with 700 images and by more for a model whose epochs "
        f"differ more: each is of the epoch that is best on val. {without[0]}{more} cannot be judged better, because "
        "it was begun by an older version of foray or all of its val images belong together. Runs trained anew, in "
        "another folder (--out), are judged by epochs that each half of val chose for the other half."
    )
