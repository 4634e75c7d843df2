"""Selection of the epoch by its score on val: one rule for all of val, for a half of it, and for heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from foray.evaluation.scores import Score
from foray.records import EpochRow


class Scored(Protocol):
    """Score of an epoch: accuracy, and mean cross-entropy in nats."""

    @property
    def top1(self) -> float: ...

    @property
    def loss(self) -> float: ...


@dataclass(frozen=True)
class EpochChoice:
    """The kept `epoch`, from 1. `stopped`: early stopping ended training, or would have ended it by then."""

    epoch: int
    stopped: bool


def best_epoch(scores: Sequence[Scored]) -> int:
    """The epoch, from 1, with the highest accuracy; ties: the lower loss, then the earlier epoch."""
    return 1 + max(range(len(scores)), key=lambda i: _merit(scores[i]))


def stops_early(epoch: int, best: int, patience: int | None) -> bool:
    """Early stopping: whether there was no improvement for `patience` epochs after epoch `epoch`; None: never."""
    return patience is not None and epoch - best >= patience


def choose_epoch(scores: Sequence[Scored], keep: Literal["best", "last"], patience: int | None) -> EpochChoice:
    """The epoch that is kept, with early stopping and selection by `scores` only.

    `scores`: of epochs 1, 2, ..., at least one; those after the early end are not looked at.
    """
    best = 1
    for epoch, score in enumerate(scores, start=1):
        if _merit(score) > _merit(scores[best - 1]):
            best = epoch
        if stops_early(epoch, best, patience):
            return EpochChoice(best if keep == "best" else epoch, stopped=True)
    return EpochChoice(best if keep == "best" else len(scores), stopped=False)


def val_scores(rows: Sequence[EpochRow]) -> list[Score]:
    """What each epoch scored on all of val."""
    return [Score(top1=row.val_top1 or 0.0, loss=row.val_loss or 0.0) for row in rows]


def _merit(score: Scored) -> tuple[float, float]:
    return score.top1, -score.loss
