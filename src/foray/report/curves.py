"""Learning curves: each seed, and the mean over the seeds that reached an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from foray.records import EpochRow
from foray.report.comparison_folder import Entrant

Series = tuple[tuple[int, float], ...]  # (epoch, value)


@dataclass(frozen=True)
class Curve:
    """One quantity over the epochs (numbered from 1): `seeds` one series a run, `mean` over those with a value."""

    seeds: tuple[Series, ...]
    mean: Series


@dataclass(frozen=True)
class LearningCurves:
    """What one candidate's runs went through; `position` in the comparison fixes its colour."""

    model: str
    position: int
    train_top1: Curve
    val_top1: Curve
    train_loss: Curve
    val_loss: Curve


def learning_curves(entrants: Sequence[Entrant]) -> list[LearningCurves]:
    """The curves of every candidate that has at least one finished run with epochs."""
    return [
        LearningCurves(
            model=entrant.name,
            position=position,
            train_top1=_curve(entrant, lambda row: row.train_top1),
            val_top1=_curve(entrant, lambda row: row.val_top1),
            train_loss=_curve(entrant, lambda row: row.train_loss),
            val_loss=_curve(entrant, lambda row: row.val_loss),
        )
        for position, entrant in enumerate(entrants)
        if any(run.history for run in entrant.runs)
    ]


def _curve(entrant: Entrant, value_of: Callable[[EpochRow], float | None]) -> Curve:
    seeds: list[Series] = []
    by_epoch: dict[int, list[float]] = {}
    for run in entrant.runs:
        measured = tuple((row.epoch, value) for row in run.history if (value := value_of(row)) is not None)
        seeds.append(measured)
        for epoch, value in measured:
            by_epoch.setdefault(epoch, []).append(value)
    mean = tuple((epoch, fmean(values)) for epoch, values in sorted(by_epoch.items()))
    return Curve(tuple(seeds), mean)
