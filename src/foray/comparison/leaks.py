"""What the pick scores on images that have no copy among those it was fitted to, where the splits share pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foray.comparison.outcomes import ModelOutcome, estimate, read_predictions
from foray.data import Dataset
from foray.data.near_duplicates import find_leaks
from foray.records import Leak


def leaked_scores(dataset: Dataset, outcome: ModelOutcome | None, splits: Sequence[str]) -> list[Leak]:
    """Of each of `splits` that holds copies or near copies of earlier images; none of out-of-fold predictions, whose
    folds keep copies together. `outcome`: of the pick, None where there is none.
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
