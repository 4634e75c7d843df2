"""The predictions by which models are selected: of images that influenced neither training nor the choice of epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foray.recipes import Recipe
from foray.runs.mixed import trained_differently
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

    Linear heads train in seconds, so they are scored out of fold on train and val. Other protocols use val: directly
    where it does not select the epoch, cross-fitted otherwise. If runs of an older version lack cross-fitted
    predictions, all models are scored on val, with a caution. Another caution names runs that were not trained alike.
    """
    split, found = _split(outcomes, recipe)
    correct = {name: outcome.correct(split) for name, outcome in outcomes.items()}
    records = {name: outcome.records for name, outcome in outcomes.items()}
    return Selection(split, correct, [*found, *trained_differently(records)])


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
        "Accuracies on val are optimistic, by about half a point with 700 images and by more for a model whose epochs "
        f"differ more, because val also selected the epoch. {without[0]}{more} has no cross-fitted predictions: it "
        "was started by an older version of foray, or all of its val images belong to one group. Runs trained again in "
        "another folder (--out) are scored on each half of val at the epoch that the other half chose."
    )
