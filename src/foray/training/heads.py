"""Linear heads on cached features: softmax regression, several heads trained at once as one batched problem.

On features of a frozen backbone in inference mode and without augmentation an epoch through the network and an epoch
over cached features are the same computation, so this is `loop.fit` for the head alone: the same order of images, the
same optimiser and loss.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from foray.data.batches import epoch_order
from foray.recipes import Recipe
from foray.training.loop import WAY_OUT, TrainingFailedError, reseed
from foray.training.optimizers import optimizer_over
from foray.training.schedules import learning_rate


@dataclass(frozen=True, eq=False)
class Head:
    """logits = features @ weight.T + bias, for features as they are: weight (C, F), bias (C,)."""

    weight: Tensor
    bias: Tensor

    def probabilities(self, features: Tensor) -> npt.NDArray[np.float32]:
        """Class probabilities (N, C) of `features` (N, F)."""
        probabilities = functional.linear(features, self.weight, self.bias).softmax(dim=1)
        return probabilities.cpu().numpy()


@dataclass(frozen=True)
class HeadEpoch:
    """What an epoch came to for one head. `epoch` counts from 1."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_top1: float
    seconds: float


def train_heads(
    features: Tensor,
    labels: Tensor,
    members: Sequence[npt.NDArray[np.int64]],
    initial: Head,
    recipe: Recipe,
    *,
    seed: int,
    epochs: int | None = None,
    after_epoch: Callable[[HeadEpoch, Head], None] | None = None,
) -> list[Head]:
    """Trains one head on each array of positions in `members`, all from `initial`.

    `features` (N, F) and `labels` (N,) are on one device. Heads with equally many batches an epoch share one batched
    problem. `epochs` stops before the recipe's end. `after_epoch` sees the first head. Raises TrainingFailedError.
    """
    heads: dict[int, Head] = {}
    num_batches = [math.ceil(len(positions) / recipe.batch_size) for positions in members]
    for steps in sorted(set(num_batches)):
        group = [i for i, n in enumerate(num_batches) if n == steps]
        with _one_thread():
            problem = _Heads(features, labels, [members[i] for i in group], initial, recipe, seed)
            for epoch in range(epochs or recipe.epochs):
                row = problem.train_epoch(epoch)
                if after_epoch and group[0] == 0:
                    after_epoch(row, problem.head(0))
            heads |= {i: problem.head(at) for at, i in enumerate(group)}
    return [heads[i] for i in range(len(members))]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Steps this small are no faster on more threads, which would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Heads:
    """H heads with equally many batches an epoch: weights (H, F, C), biases (H, 1, C)."""

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        members: Sequence[npt.NDArray[np.int64]],
        initial: Head,
        recipe: Recipe,
        seed: int,
    ) -> None:
        self.features, self.labels, self.members, self.recipe, self.seed = features, labels, members, recipe, seed
        self.scaling = self._train_scaling() if recipe.standardize_features else None
        num = len(members)
        self.weights = initial.weight.detach().T.expand(num, -1, -1).clone(memory_format=torch.contiguous_format)
        self.biases = initial.bias.detach().expand(num, 1, -1).clone(memory_format=torch.contiguous_format)
        decay = recipe.optimizer.weight_decay
        self.optimizer = optimizer_over(
            recipe.optimizer,
            [
                {"params": [self.weights.requires_grad_()], "weight_decay": decay},
                {"params": [self.biases.requires_grad_()], "weight_decay": 0.0},
            ],
        )

    def train_epoch(self, epoch: int) -> HeadEpoch:
        """One pass of every head over its own images."""
        started = time.perf_counter()
        reseed(self.seed, epoch)
        batches, shares = self._batches(epoch)
        steps = batches.shape[1]
        losses, hits = [], []
        for step in range(steps):
            rate = learning_rate(self.recipe, epoch * steps + step, steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            positions, share = batches[:, step], shares[:, step]  # (H, B): an image's share of its batch's mean loss
            labels = self.labels[positions]
            logits = torch.baddbmm(self.biases, self._inputs(positions), self.weights)  # (H, B, C)
            loss = functional.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=self.recipe.label_smoothing
            ).view_as(share)
            loss = (loss * share).sum(dim=1)  # (H,): the heads share no weight, so the sum's gradient is each one's own
            loss.sum().backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
            hits.append(((logits.argmax(dim=2) == labels) & (share > 0)).sum(dim=1))
        by_step = torch.stack(losses, dim=1).double()  # (H, steps)
        if not bool(by_step.isfinite().all()):
            step = int((~by_step.isfinite()).any(dim=0).nonzero()[0])
            raise TrainingFailedError(f"The loss is not finite at epoch {epoch + 1}, batch {step + 1}. {WAY_OUT}")
        sizes = (shares > 0).sum(dim=2)  # (H, steps)
        means = (by_step * sizes).sum(dim=1) / sizes.sum(dim=1)
        top1 = torch.stack(hits, dim=1).sum(dim=1) / sizes.sum(dim=1)
        return HeadEpoch(epoch + 1, rate, float(means[0]), float(top1[0]), time.perf_counter() - started)

    def head(self, at: int) -> Head:
        """Head `at`, for features as they are: the standardisation is folded in."""
        weight, bias = self.weights[at].detach().clone(), self.biases[at, 0].detach().clone()
        if self.scaling:
            # (x - m) / d W + b = x (W / d) + (b - m W / d)
            mean, deviation = (moment[at].double() for moment in self.scaling)
            folded = weight.double() / deviation
            weight, bias = folded.to(weight.dtype), (bias.double() - (mean @ folded)[0]).to(bias.dtype)
        return Head(weight.T.contiguous(), bias)

    def _batches(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Positions (H, steps, B) and shares of the same shape; a short last batch is filled up with share 0."""
        size = self.recipe.batch_size
        steps = math.ceil(len(self.members[0]) / size)
        positions = np.zeros((len(self.members), steps * size), dtype=np.int64)
        shares = np.zeros(positions.shape, dtype=np.float32)
        for at, members in enumerate(self.members):
            n = len(members)
            positions[at, :n] = members[epoch_order(n, self.seed, epoch)]
            shares[at, :n] = 1 / size
            shares[at, (steps - 1) * size : n] = 1 / (n - (steps - 1) * size)
        shape = (len(self.members), steps, size)
        device = self.features.device
        return torch.from_numpy(positions.reshape(shape)).to(device), torch.from_numpy(shares.reshape(shape)).to(device)

    def _inputs(self, positions: Tensor) -> Tensor:
        inputs = self.features[positions]  # (H, B, F)
        if self.scaling:
            mean, deviation = self.scaling
            inputs = torch.addcmul(-mean / deviation, inputs, 1 / deviation)  # one pass over memory
        if self.recipe.dropout:
            inputs = functional.dropout(inputs, self.recipe.dropout)
        return inputs

    def _train_scaling(self) -> tuple[Tensor, Tensor]:
        """Mean (H, 1, F) and one deviation over all features (H, 1, 1), of each head's own images.

        One deviation keeps the proportions between features, in which the backbone says what matters, and brings
        different backbones to one scale, so that one rate and one weight decay serve them all.
        """
        device = self.features.device
        own = [self.features[torch.from_numpy(positions).to(device)] for positions in self.members]
        means = torch.stack([features.mean(dim=0) for features in own]).unsqueeze(1)
        variances = torch.stack([features.var(dim=0, correction=0).mean() for features in own])
        return means, variances.sqrt().clamp(min=1e-6).view(-1, 1, 1)
