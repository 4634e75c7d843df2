"""What training a network comes to, whatever the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from foray.evaluation.predictions import Predictions
from foray.models import Network
from foray.progress import SILENT, Progress
from foray.training.distributed import ALONE, Processes


@dataclass(frozen=True)
class Workplace:
    """Where a run computes and caches; none of it changes what is computed, but for rounding.

    `identity`: of the run (`run_folder.run_identity`), which its checkpoint bears.
    """

    folder: Path
    device: torch.device
    cache_dir: Path
    workers: int | None = None
    progress: Progress = SILENT
    processes: Processes = ALONE
    identity: str | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
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
