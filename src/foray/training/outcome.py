"""The result of training a network, for every protocol."""

from __future__ import annotations

from dataclasses import dataclass

from foray.evaluation.predictions import Predictions
from foray.models import Network


@dataclass(frozen=True, eq=False)
class TrainingOutcome:
    """`network`: with the weights that are kept; `predictions`: by split, "test" among them; epochs count from 1."""

    network: Network
    predictions: dict[str, Predictions]
    best_epoch: int
    judged_epochs: list[int]  # see RunRecord
    seconds_per_epoch: list[float]
    train_precision: str
    feature_engine: str | None = None
    earlier_seconds: float = 0.0  # in epochs and steps that were made before this session
    notes: tuple[str, ...] = ()  # what a reader of the record should know
