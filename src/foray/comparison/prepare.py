"""Decodes all images before training, so that unreadable ones are found at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foray.comparison.plan import ComparisonPlan
from foray.data import UnreadableImagesError, decode_for_evaluation
from foray.progress import Progress


def readable_dataset(
    plan: ComparisonPlan, *, skip_unreadable: bool, cache_dir: Path | None, workers: int | None, progress: Progress
) -> ComparisonPlan:
    """The plan, with unreadable images left out when that was asked for, and every evaluation image decoded.

    Raises UnreadableImagesError, which names them, when there are some and `skip_unreadable` is False.
    """
    for preprocessing in dict.fromkeys(model.preprocessing for model in plan.models):
        try:
            decode_for_evaluation(plan.dataset, preprocessing, cache_dir=cache_dir, workers=workers, progress=progress)
        except UnreadableImagesError as error:
            if not skip_unreadable:
                raise
            progress.note(f"Left out {len(error.ids)} unreadable images.")
            remaining = replace(plan, dataset=plan.dataset.without(error.ids))
            return readable_dataset(
                remaining, skip_unreadable=True, cache_dir=cache_dir, workers=workers, progress=progress
            )
    return plan
