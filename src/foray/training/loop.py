"""The one training loop: every protocol that runs images through the network goes through it, top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from foray.data import Batches
from foray.errors import ForayError
from foray.progress import SILENT, Progress
from foray.recipes import Recipe
from foray.records import EpochRow
from foray.training.checkpoint import Checkpoint, TrainingState
from foray.training.freezing import set_training_mode
from foray.training.metrics import Score
from foray.training.optimizers import create_optimizer
from foray.training.precision import ComputeFormat, compute_in
from foray.training.schedules import learning_rate


class TrainingFailedError(ForayError):
    """Training cannot go on: the loss is not a finite number."""


def fit(
    network: nn.Module,
    recipe: Recipe,
    batches: Batches,
    augment: Callable[[Tensor, int, int], Tensor],
    *,
    validate: Callable[[nn.Module], Score],
    checkpoint: Checkpoint,
    seed: int,
    compute_format: ComputeFormat = "float32",
    progress: Progress = SILENT,
) -> TrainingState:
    """Trains `network` in place from the checkpoint's epoch to the recipe's last one.

    `augment(images uint8 (N, 3, H, W), epoch, step)` gives the normalised batch. Everything random in an epoch follows
    from (`seed`, epoch), so a run that was killed and resumed ends with the same weights as one that was not.
    Raises TrainingFailedError naming the epoch and batch whose loss is not finite.
    """
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    optimizer = create_optimizer(recipe.optimizer, network)
    state = checkpoint.restore(network, optimizer)
    with progress.task("training", total=recipe.epochs * len(batches)) as task:
        task.advance(state.epoch * len(batches))
        for epoch in range(state.epoch, recipe.epochs):
            started = time.perf_counter()
            reseed(seed, epoch)
            set_training_mode(network)
            tally = _Tally()
            for step, (images, labels, _) in enumerate(batches.epoch(epoch)):
                rate = learning_rate(recipe, epoch * len(batches) + step, len(batches))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                with compute_in(compute_format, images.device):
                    logits = network(augment(images, epoch, step))
                loss = criterion(logits.float(), labels)
                tally.add(loss, logits, labels, epoch, step)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                task.advance(note=f"epoch {epoch + 1}/{recipe.epochs}  loss {tally.loss:.3f}")
            val = validate(network)
            if not math.isfinite(val.loss):
                raise TrainingFailedError(f"The loss on val is {val.loss} after epoch {epoch + 1}. {WAY_OUT}")
            seconds = time.perf_counter() - started
            row = EpochRow(
                epoch=epoch + 1, learning_rate=rate, train_loss=tally.loss, train_top1=tally.top1,
                val_loss=val.loss, val_top1=val.top1, seconds=seconds,
            )  # fmt: skip
            state = checkpoint.save(row, network, optimizer)
    return state


def reseed(seed: int, epoch: int) -> None:
    """Dropout and stochastic depth of an epoch draw from torch's generator, which starts anew from (seed, epoch)."""
    torch.manual_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0]))


def set_norm_momentum(network: nn.Module, momentum: float | None) -> None:
    """Gives every batch norm `momentum`; None leaves the architecture's."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and momentum is not None:
            module.momentum = momentum


WAY_OUT = "Lower the learning rate, or train with precision float32."


class _Tally:
    """Mean loss and accuracy of the batches of an epoch, as they pass (augmented, with the weights of that moment)."""

    def __init__(self) -> None:
        self._loss = 0.0
        self._hits = 0
        self._n = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, epoch: int, step: int) -> None:
        value = float(loss.item())
        if not math.isfinite(value):
            raise TrainingFailedError(f"The loss is {value} at epoch {epoch + 1}, batch {step + 1}. {WAY_OUT}")
        self._loss += value * len(labels)
        self._hits += int((logits.argmax(dim=1) == labels).sum())
        self._n += len(labels)

    @property
    def loss(self) -> float:
        return self._loss / self._n

    @property
    def top1(self) -> float:
        return self._hits / self._n
