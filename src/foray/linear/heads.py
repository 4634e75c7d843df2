"""Linear heads on cached features: softmax regression by gradient steps, several heads at once as one batched problem.

On features of a frozen backbone in inference mode and without augmentation an epoch through the network and an epoch
over cached features are the same computation, so this is `loop.fit` for the head alone: the same order of images, the
same optimiser and loss. Of several views of an image an epoch shows one: image i in epoch e (both from 0) its view
(e + i) mod K, so that every batch mixes views and K epochs show each once.
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
from torch import Tensor, nn
from torch.nn import functional

from foray.data.batches import balanced_order, epoch_order
from foray.recipes import LinearRecipe
from foray.training.average import WeightAverage
from foray.training.class_weights import class_weights
from foray.training.loop import WAY_OUT, TrainingFailedError, reseed, set_learning_rate
from foray.training.optimizers import optimizer_over
from foray.training.schedules import learning_rate

_SMALLEST_DEVIATION = 1e-6  # features that are all equal stay finite


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
    """Result of an epoch for one head. `epoch` counts from 1."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_top1: float
    seconds: float


def train_heads(
    views: Tensor,
    labels: Tensor,
    members: Sequence[npt.NDArray[np.int64]],
    initial: Head,
    recipe: LinearRecipe,
    *,
    seed: int,
    epochs: int | None = None,
    after_epoch: Callable[[HeadEpoch, Head], bool] | None = None,
) -> list[Head]:
    """Trains one head on each array of image positions in `members`, all from `initial`.

    `views` (K, N, F), the features of K views of each image, and `labels` (N,) are on one device. Heads with equally
    many batches per epoch share one batched problem. `epochs` stops before the recipe's end. `after_epoch` sees the
    first head, and answers whether its training is over. Raises TrainingFailedError.
    """
    heads: dict[int, Head] = {}
    num_batches = [math.ceil(len(positions) / recipe.batch_size) for positions in members]
    for steps in sorted(set(num_batches)):
        group = [i for i, n in enumerate(num_batches) if n == steps]
        with _one_thread():
            problem = _Heads(views, labels, [members[i] for i in group], initial, recipe, seed)
            for epoch in range(epochs or recipe.epochs):
                row = problem.train_epoch(epoch)
                if after_epoch and group[0] == 0 and after_epoch(row, problem.head(0)):
                    break
            heads |= {i: problem.head(at) for at, i in enumerate(group)}
    return [heads[i] for i in range(len(members))]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Such small steps are not faster on more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Heads:
    """H heads with equally many batches per epoch: weights (H, F, C), biases (H, 1, C)."""

    def __init__(
        self,
        views: Tensor,
        labels: Tensor,
        members: Sequence[npt.NDArray[np.int64]],
        initial: Head,
        recipe: LinearRecipe,
        seed: int,
    ) -> None:
        self.num_views, self.num_images = views.shape[:2]
        self.features, self.labels, self.members = views.flatten(0, 1), labels, members  # row of view v: v N + position
        self.recipe, self.seed = recipe, seed
        self.scalings = [Standardization.of(self._own_features(own)) for own in members if recipe.standardize_features]
        if self.scalings:
            deviations = torch.stack([scaling.deviation for scaling in self.scalings]).view(-1, 1, 1)
            self.offset = -torch.stack([scaling.mean for scaling in self.scalings]).unsqueeze(1) / deviations
            self.factor = 1 / deviations
        self.class_weights = self._class_weights(len(initial.bias))
        num = len(members)
        self.parameters = nn.ParameterDict(
            {
                "weights": initial.weight.T.expand(num, -1, -1).clone(memory_format=torch.contiguous_format),
                "biases": initial.bias.expand(num, 1, -1).clone(memory_format=torch.contiguous_format),
            }
        )
        self.weights, self.biases = self.parameters["weights"], self.parameters["biases"]
        self.average = WeightAverage(self.parameters, recipe.ema_decay) if recipe.ema_decay else None
        decay = recipe.optimizer.weight_decay
        self.optimizer = optimizer_over(
            recipe.optimizer,
            [{"params": [self.weights], "weight_decay": decay}, {"params": [self.biases], "weight_decay": 0.0}],
        )

    def train_epoch(self, epoch: int) -> HeadEpoch:
        """One pass of every head over its own images."""
        started = time.perf_counter()
        reseed(self.seed, epoch)
        batches, shares = self._batches(epoch)
        steps = batches.shape[1]
        losses, hits = [], []
        for step in range(steps):
            now = epoch * steps + step
            rate = learning_rate(self.recipe, now, steps)
            set_learning_rate(self.optimizer, rate)
            positions, share = batches[:, step], shares[:, step]  # (H, B): an image's share of its batch's mean loss
            labels = self.labels[positions]
            logits = torch.baddbmm(self.biases, self._inputs(positions, epoch), self.weights)  # (H, B, C)
            loss = (self._losses(logits, labels) * share).sum(dim=1)  # (H,)
            loss.sum().backward()  # the heads share no weight, so the sum's gradient is each one's own
            if self.recipe.clip_norm is not None:
                self._clip(self.recipe.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            if self.average:
                self.average.update(now)
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
        """Head `at`, averaged where the recipe says so, for features as they are: the standardisation is folded in."""
        kept = self.average.network if self.average else self.parameters
        assert isinstance(kept, nn.ParameterDict)
        weight, bias = kept["weights"][at].detach().clone(), kept["biases"][at, 0].detach().clone()
        if self.scalings:
            weight, bias = self.scalings[at].fold(weight, bias)
        return Head(weight.T.contiguous(), bias)

    def _own_features(self, positions: npt.NDArray[np.int64]) -> Tensor:
        """All views of one head's images, (K n, F)."""
        rows = positions + self.num_images * np.arange(self.num_views)[:, None]
        return self.features[torch.from_numpy(rows.ravel()).to(self.features.device)]

    def _class_weights(self, num_classes: int) -> Tensor | None:
        """(H, C), each head's by its own images."""
        labels = self.labels.cpu().numpy()
        found = [class_weights(self.recipe, labels[own], num_classes) for own in self.members]
        stated = [weights for weights in found if weights is not None]
        return torch.stack(stated).to(self.features) if stated else None

    def _losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each image, (H, B), of logits (H, B, C); weighted as `loop.summed_loss` weights it."""
        smoothing = self.recipe.label_smoothing
        if self.class_weights is None:
            losses = functional.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=smoothing
            )
            return losses.view_as(labels)
        by_head = zip(logits, labels, self.class_weights, strict=True)
        return torch.stack(
            [
                functional.cross_entropy(its_logits, its_labels, weight, reduction="none", label_smoothing=smoothing)
                for its_logits, its_labels, weight in by_head
            ]
        )

    def _clip(self, largest: float) -> None:
        """Shortens each head's own gradient to the norm `largest`, as torch.nn.utils.clip_grad_norm_ does."""
        gradients = [parameter.grad for parameter in (self.weights, self.biases) if parameter.grad is not None]
        norms = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1).norm(dim=1)  # (H,)
        factors = (largest / (norms + 1e-6)).clamp(max=1.0).view(-1, 1, 1)
        for gradient in gradients:
            gradient.mul_(factors)

    def _order(self, members: npt.NDArray[np.int64], epoch: int) -> npt.NDArray[np.int64]:
        """The members in the order of an epoch, or as many draws of them with every class equally often."""
        if self.recipe.sampling == "balanced":
            return members[balanced_order(self.labels.cpu().numpy()[members], self.seed, epoch)]
        return members[epoch_order(len(members), self.seed, epoch)]

    def _batches(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Positions (H, steps, B) and shares of the same shape; a short last batch is filled up with share 0."""
        size = self.recipe.batch_size
        steps = math.ceil(len(self.members[0]) / size)
        positions = np.zeros((len(self.members), steps * size), dtype=np.int64)
        shares = np.zeros(positions.shape, dtype=np.float32)
        for at, members in enumerate(self.members):
            n = len(members)
            positions[at, :n] = self._order(members, epoch)
            positions[at, n:] = members[0]
            shares[at, :n] = 1 / size
            shares[at, (steps - 1) * size : n] = 1 / (n - (steps - 1) * size)
        shape = (len(self.members), steps, size)
        device = self.features.device
        return torch.from_numpy(positions.reshape(shape)).to(device), torch.from_numpy(shares.reshape(shape)).to(device)

    def _inputs(self, positions: Tensor, epoch: int) -> Tensor:
        view = (epoch + positions) % self.num_views
        inputs = self.features[view * self.num_images + positions]  # (H, B, F)
        if self.scalings:
            inputs = torch.addcmul(self.offset, inputs, self.factor)  # one pass over memory
        if self.recipe.dropout:
            inputs = functional.dropout(inputs, self.recipe.dropout)
        return inputs


@dataclass(frozen=True, eq=False)
class Standardization:
    """x -> (x - mean) / deviation, of features (N, F): mean (F,), deviation ().

    One deviation keeps the proportions between features, in which the backbone says what matters, and brings different
    backbones to one scale, so that one rate, one weight decay and one L2 penalty serve them all.
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Standardization:
        """To mean 0 and, on average over the features, variance 1."""
        variance = features.var(dim=0, correction=0).mean()
        return cls(features.mean(dim=0), variance.sqrt().clamp(min=_SMALLEST_DEVIATION))

    def fold(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """A head (F, C), (C,) for standardised features as one for features as they are, computed in float64."""
        # (x - m) / d W + b = x (W / d) + (b - m W / d)
        folded = weight.double() / self.deviation.double()
        return folded.to(weight.dtype), (bias.double() - self.mean.double() @ folded).to(bias.dtype)

    @classmethod
    def shift_only(cls, features: Tensor) -> Standardization:
        """To mean 0."""
        return cls(features.mean(dim=0), torch.ones((), dtype=features.dtype, device=features.device))
