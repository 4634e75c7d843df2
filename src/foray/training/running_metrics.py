"""Running mean of loss and accuracy over the batches of an epoch (augmented, with the weights of each step).

Sums stay on the device: reading a value from a GPU synchronises. They are read every step on a CPU and every 25 steps
on a GPU; the first step whose loss is not finite is still identified.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from foray.processes import ALONE, Processes
from foray.records.record import Record

LOOK_EVERY_STEPS = {"cpu": 1, "cuda": 25}


class RunningSums(Record):
    """What a checkpoint keeps of a tally."""

    loss: float = 0.0
    hits: int = 0
    n: int = 0


@dataclass(frozen=True, eq=False)
class NotFinite:
    """A batch whose loss is not finite. `step` counts from 0; `positions`: (N,) in the dataset."""

    step: int
    loss: float
    positions: Tensor


class RunningMetrics:
    """`loss` and `top1` are those of the last look. Targets: labels (N,), or shares (N, C), whose largest counts."""

    def __init__(self, device: torch.device, sums: RunningSums, processes: Processes = ALONE) -> None:
        self._every_steps = LOOK_EVERY_STEPS[device.type]
        self._loss = torch.tensor(sums.loss, dtype=torch.float64, device=device)
        self._hits = torch.tensor(sums.hits, dtype=torch.int64, device=device)
        self._n = sums.n
        self._processes = processes
        self._unseen: deque[tuple[int, Tensor, Tensor]] = deque()  # (step, loss, positions) since the last look
        self.sums = sums

    def add(self, step: int, loss: Tensor, logits: Tensor, targets: Tensor, positions: Tensor, total: int) -> None:
        """Counts a batch of `total` images in all processes: its mean loss (), this process's logits (N, C) and
        targets, and where its own images stand in the dataset (N,)."""
        labels = targets if targets.ndim == 1 else targets.argmax(dim=1)
        hits = (logits.argmax(dim=1) == labels).sum()
        self._processes.sum_([hits])
        self._loss += loss.double() * total
        self._hits += hits
        self._n += total
        self._unseen.append((step, loss, positions))

    @property
    def is_due(self) -> bool:
        """Whether it is time for a look."""
        return len(self._unseen) >= self._every_steps

    def look(self) -> NotFinite | None:
        """Reads the sums from the device; the first batch since the last read whose loss is not finite, if any."""
        unseen, self._unseen = self._unseen, deque()
        loss = float(self._loss.item())
        if not math.isfinite(loss):
            for step, of_batch, positions in unseen:
                if not math.isfinite(of_batch.item()):
                    return NotFinite(step, float(of_batch.item()), positions)
        self.sums = RunningSums(loss=loss, hits=int(self._hits.item()), n=self._n)
        return None

    @property
    def loss(self) -> float:
        return self.sums.loss / self.sums.n

    @property
    def top1(self) -> float:
        return self.sums.hits / self.sums.n
