"""Accuracy of the pick on images without duplicates among those it was fitted to, where splits share images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foray.data import Dataset
from foray.data.near_duplicates import find_leaks
from foray.records import Leak
from foray.runs.outcomes import ModelOutcome, estimate
from foray.runs.saved_predictions import read_predictions


def leaked_scores(dataset: Dataset, outcome: ModelOutcome | None, splits: Sequence[str]) -> list[Leak]:
    """One for each of `splits` that holds duplicates or near-duplicates of earlier images; none for out-of-fold
    predictions, whose folds keep duplicates together. `outcome`: of the pick, None where there is none.
    """
    leaks = find_leaks(dataset)
    if outcome is None or not leaks:
        return []
    found = []
    for split in splits:
        ids = leaks.test if split == "test" else leaks.val if split.startswith("val") else frozenset()
        leaked = np.array([id_ in ids for id_ in read_predictions(outcome.folders[0], split).image_ids.tolist()])
        if not leaked.any():
            continue
        correct = outcome.correct(split)  # (seeds, images)
        found.append(
            Leak(
                split=split,
                model=outcome.model,
                n=len(leaked),
                leaked=int(leaked.sum()),
                whole=estimate(correct),
                without=None if leaked.all() else estimate(correct[:, ~leaked]),
            )
        )
    return found
