"""The one training loop: every protocol that runs images through the network goes through it, top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foray.data import Batches
from foray.errors import ForayError
from foray.evaluation.precision import ComputeFormat
from foray.evaluation.predictions import Predictions
from foray.evaluation.scores import Score
from foray.models import Network
from foray.processes import ALONE, Processes
from foray.progress import SILENT, Progress
from foray.recipes import NetworkRecipe, Recipe
from foray.records import EpochRow
from foray.training.average import WeightAverage
from foray.training.checkpoint import Checkpoint, Learner, TrainingState
from foray.training.epoch_choice import stops_early
from foray.training.freezing import PartsFromTheTop, early_parts, set_training_mode
from foray.training.interruption import Interrupted, between_steps
from foray.training.micro_batches import MicroBatches
from foray.training.optimizers import create_optimizer
from foray.training.running_metrics import RunningMetrics
from foray.training.schedules import learning_rate, trained_parts, training_side

Augmenter = Callable[[Tensor, int, int, int, tuple[int, int]], Tensor]
Mixer = Callable[[Tensor, Tensor, int, int], tuple[Tensor, Tensor]]

WAY_OUT = "Lower the learning rate, or train with precision float32."
_NAMED_IMAGES = 4  # of a batch whose loss is not finite


class TrainingFailedError(ForayError):
    """Training cannot continue: the loss is not finite."""


def unmixed(images: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[Tensor, Tensor]:
    """The batch as it is."""
    return images, labels


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The images a network is trained on, and what is made of them before they are shown.

    batches: of this process's share.
    augment: `augment(images uint8 (N, 3, H, W), epoch, step, side, (start, total))` gives the normalised images
        (N, 3, side, side), rows start, start + 1, ... of a batch of `total`.
    resolution: the side they have in the end, pixels.
    mix: `mix(images, labels, epoch, step)` gives mixed images and labels (N,) or shares of classes (N, C).
    class_weights: (C,), what an image of a class counts in the loss.
    image_ids: of the dataset's samples, to name those of a batch.
    processes: those that share each batch.
    """

    batches: Batches
    augment: Augmenter
    resolution: int
    mix: Mixer = unmixed
    class_weights: Tensor | None = None
    image_ids: npt.NDArray[np.str_] | None = None
    processes: Processes = ALONE

    def shown(self, images: Tensor, labels: Tensor, epoch: int, step: int, side: int) -> tuple[Tensor, Tensor]:
        """One batch of this process, augmented to `side` pixels and mixed."""
        total = self.batches.size(step)
        part = (self.batches.share(total).start, total)
        return self.mix(self.augment(images, epoch, step, side, part), labels, epoch, step)


def fit(
    network: nn.Module,
    recipe: NetworkRecipe,
    data: TrainingData,
    *,
    seed: int,
    validate: Callable[[nn.Module], Predictions],
    checkpoint: Checkpoint,
    compute_format: ComputeFormat = "float32",
    progress: Progress = SILENT,
) -> TrainingState:
    """Trains `network` in place from the checkpoint's step to the recipe's last epoch, or until early stopping.

    `validate(network)`: predicts val. Everything random in a step follows from (`seed`, epoch, step), so a run that was
    stopped and resumed ends with the same weights as one that was not.

    Each of several processes calls this with `data` of its share. Together they see the images and follow the
    gradient that one process would; dropout and stochastic depth draw other numbers, and images mix within a share.

    Raises TrainingFailedError naming the epoch and batch whose loss is not finite, and Interrupted, the step under way
    saved, on Ctrl-C or SIGTERM.
    """
    batches, processes = data.batches, data.processes
    # Over all that is ever trained: gradual unfreezing freezes what comes later only afterwards.
    optimizer = create_optimizer(recipe.optimizer, network)
    learner = Learner(network, optimizer, WeightAverage(network, recipe.ema_decay) if recipe.ema_decay else None)
    state = checkpoint.restore(learner)
    gradients = MicroBatches(
        network, summed_loss(recipe, data.class_weights, batches.device),
        size=recipe.micro_batch_size, halved_size=state.micro_batch_size, compute_format=compute_format,
        processes=processes,
    )  # fmt: skip
    parts = _TrainedParts(learner, gradients, recipe, len(batches), progress)
    noise = partial(reseed, seed, *processes.own_entropy)
    is_patient = processes.count > 1
    steps, done = recipe.epochs * len(batches), state.epoch * len(batches) + state.step
    with progress.task("training", steps, done) as task, between_steps(is_patient) as stop:
        while not is_over(recipe, state):
            epoch, side = state.epoch, training_side(recipe, state.epoch, data.resolution)
            log = _EpochLog(state, batches.device, processes)
            parts.begin_epoch()
            for step, (images, labels, positions) in islice(enumerate(batches.epoch(epoch)), state.step, None):
                now, total = epoch * len(batches) + step, batches.size(step)
                parts.begin_step(now)
                images, targets = data.shown(images, labels, epoch, step, side)
                loss, logits = gradients.backward(images, targets, total=total, reseed=partial(noise, epoch, step))
                parts.update(now)
                log.tally.add(step, loss, logits, targets, positions, total)
                stops = processes.any(stop.is_made)  # read once: a request that comes later waits for the next step
                saves = stops or checkpoint.is_due
                note = ""  # the latest stays
                if saves or log.tally.is_due or step + 1 == len(batches):
                    _require_finite(log.tally, epoch, data.image_ids)
                    note = f"epoch {epoch + 1}/{recipe.epochs}  loss {log.tally.loss:.3f}"
                task.advance(note=note)
                if saves:
                    checkpoint.save(log.state_after(step + 1, gradients), learner)
                if stops:
                    processes.barrier()  # none ends before that is written
                    raise Interrupted(f"in epoch {epoch + 1} after batch {step + 1} of {len(batches)}")
            try:
                with stop.at_once():
                    val = _validated(validate, learner, epoch)
            except KeyboardInterrupt:
                checkpoint.save(log.state_after(len(batches), gradients), learner)
                raise Interrupted(f"in the validation of epoch {epoch + 1}") from None
            rate = learning_rate(recipe, (epoch + 1) * len(batches) - 1, len(batches))
            row = log.row(rate, val.score, learner)
            state = checkpoint.save_epoch(log.state_after(0, gradients), row, val, learner)
    return state


def _validated(validate: Callable[[nn.Module], Predictions], learner: Learner, epoch: int) -> Predictions:
    val = validate(learner.judged)
    if not math.isfinite(val.score.loss):
        raise TrainingFailedError(f"The loss on val is {val.score.loss} after epoch {epoch + 1}. {WAY_OUT}")
    return val


def is_over(recipe: Recipe, state: TrainingState) -> bool:
    """Whether the last epoch is done, or early stopping applies."""
    return state.epoch >= recipe.epochs or stops_early(state.epoch, state.best_epoch, recipe.early_stopping_epochs)


def summed_loss(recipe: Recipe, class_weights: Tensor | None, device: torch.device) -> nn.CrossEntropyLoss:
    """Cross-entropy summed over the images of a batch, of labels (N,) or shares of classes (N, C).

    Summed and not averaged: with class weights PyTorch's mean divides by the sum of the weights of the batch's labels,
    so the weight of an image would depend on the rest of the batch, and on how labels are mixed.
    """
    weight = class_weights.to(device) if class_weights is not None else None
    return nn.CrossEntropyLoss(weight, label_smoothing=recipe.label_smoothing, reduction="sum")


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives every group the rate, times the group's own `rate_factor`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_factor", 1.0)


def reseed(*entropy: int) -> None:
    """Dropout and stochastic depth draw from torch's generator, which starts anew from (seed, epoch, step)."""
    torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]))


def set_norm_momentum(network: nn.Module, momentum: float | None) -> None:
    """Gives every batch norm `momentum`; None leaves the architecture's."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and momentum is not None:
            module.momentum = momentum


class _EpochLog:
    """State of the current epoch, which may have started in an earlier process."""

    def __init__(self, begun: TrainingState, device: torch.device, processes: Processes) -> None:
        self._begun = begun
        self._started = time.perf_counter()
        self.tally = RunningMetrics(device, begun.tally, processes)

    def state_after(self, step: int, gradients: MicroBatches) -> TrainingState:
        """How far the run has come, `step` steps of this epoch being made."""
        return self._begun.model_copy(
            update={
                "step": step,
                "epoch_seconds": self._seconds,
                "tally": self.tally.sums,
                "micro_batch_size": gradients.halved_size,
            }
        )

    def row(self, rate: float, val: Score, learner: Learner) -> EpochRow:
        """The line of the history."""
        return EpochRow(
            epoch=self._begun.epoch + 1, learning_rate=rate, train_loss=self.tally.loss, train_top1=self.tally.top1,
            val_loss=val.loss, val_top1=val.top1, seconds=self._seconds,
            val_weights="average" if learner.average else "model",
        )  # fmt: skip

    @property
    def _seconds(self) -> float:
        return self._begun.epoch_seconds + time.perf_counter() - self._started


class _TrainedParts:
    """The layers trained at a step: they are in training mode, averaged by the EMA, and known to `gradients`."""

    def __init__(
        self, learner: Learner, gradients: MicroBatches, recipe: NetworkRecipe, steps_per_epoch: int, progress: Progress
    ) -> None:
        self._learner, self._gradients, self._recipe = learner, gradients, recipe
        self._steps_per_epoch, self._progress = steps_per_epoch, progress
        self._parts: PartsFromTheTop | None = None
        self._names: list[str] = []
        self._late = 0
        if recipe.gradual_unfreezing_epochs is not None or recipe.freeze_early_epochs is not None:
            assert isinstance(learner.network, Network)  # whose parts have an order
            self._parts = PartsFromTheTop(learner.network)
            self._late = len(self._parts) - early_parts(learner.network)
            self._names = self._parts.train(len(self._parts))

    def begin_epoch(self) -> None:
        """Validation has left the network in inference mode."""
        set_training_mode(self._learner.network)
        self._gradients.choose()
        if self._learner.average:
            self._learner.average.choose()

    def begin_step(self, step: int) -> None:
        """Sets the learning rate of optimiser step `step`, counted over the whole run; freezes and unfreezes layers."""
        set_learning_rate(self._learner.optimizer, learning_rate(self._recipe, step, self._steps_per_epoch))
        if self._parts is None:
            return
        count = trained_parts(self._recipe, step, self._steps_per_epoch, late=self._late)
        names = self._parts.train(len(self._parts) if count is None else count)
        if names != self._names:
            self._names = names
            self._progress.note(f"Trained from here on: {', '.join(names)}")
            self.begin_epoch()

    def update(self, step: int) -> None:
        """One step of the optimiser along the gradients, and of the EMA."""
        network, optimizer, average = self._learner.network, self._learner.optimizer, self._learner.average
        if self._recipe.clip_norm:
            nn.utils.clip_grad_norm_(network.parameters(), self._recipe.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if average:
            average.update(step)


def _require_finite(tally: RunningMetrics, epoch: int, image_ids: npt.NDArray[np.str_] | None) -> None:
    found = tally.look()
    if found is None:
        return
    images = ""
    if image_ids is not None:
        named = [str(image_ids[i]) for i in found.positions[:_NAMED_IMAGES].tolist()]
        more = len(found.positions) - len(named)
        images = f" ({', '.join(named)}{f' and {more} more images' if more else ''})"
    raise TrainingFailedError(
        f"The loss is {found.loss} at epoch {epoch + 1}, batch {found.step + 1}{images}. {WAY_OUT}"
    )
