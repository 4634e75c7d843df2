"""One experiment over official folds: how far its accuracy depends on which images are held out."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

import numpy as np

from foray.records.quantities import format_points, percent_number
from foray.reproduce.evidence import correct, evidence_of, with_interval
from foray.reproduce.pair_words import seeds_words
from foray.reproduce.results_folder import Result, RunResult
from foray.runs.outcomes import estimate


def over_folds(of_roles: Sequence[Sequence[Result]]) -> str:
    """What runs that differ in their fold alone came to together, in words; empty with fewer than two folds.

    Of each fold as many seeds, the first ones, as of the one with the fewest. The test images of all folds are pooled
    where no image is in two of them.
    """
    runs = {fold: runs for runs in of_roles if (fold := _fold(runs)) is not None}
    if len(runs) < 2:
        return ""
    seeds = min(map(len, runs.values()))
    alike = [list(runs[fold])[:seeds] for fold in sorted(runs)]
    on_val = [evidence_of(found).measured.value for found in alike]
    said = (
        f"Over {len(runs)} folds, {seeds_words(seeds)}: {percent_number(fmean(on_val))} % on val on average (standard "
        f"deviation {format_points(stdev(on_val))}; {percent_number(min(on_val))} to {percent_number(max(on_val))} %)"
    )
    scored = [correct(found, "test") for found in alike]
    ids = np.concatenate([ids for ids, _ in scored])
    if len(np.unique(ids)) < len(ids):
        return f"{said}."
    pooled = estimate(np.concatenate([right for _, right in scored], axis=1))
    return f"{said}, and {with_interval(pooled, ' %')} on the test images of all of them."


def _fold(results: Sequence[Result]) -> int | None:
    first = results[0]
    return first.record.dataset.fold if isinstance(first, RunResult) else None
