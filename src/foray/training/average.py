"""The exponential moving average of a network's weights (Polyak & Juditsky 1992; as in Szegedy et al. 2016,
arXiv:1512.00567, section 8): what is evaluated and kept when the recipe states `ema_decay`.

Batch-norm statistics are averaged as the weights are: those of a moment belong to the weights of that moment. What is
frozen is left alone, so that it stays as it is bit for bit.

The arithmetic is torch.optim.swa_utils'; its AveragedModel is not used, because it averages what is frozen and integer
counters too and takes the first weights in place of averaging them.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """A copy of `followed`, in inference mode, whose weights are the average. It takes no gradients."""

    def __init__(self, followed: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(followed).requires_grad_(False).eval()
        self._followed = followed
        self._pairs: list[tuple[Tensor, Tensor]] = []  # (average, followed), floating point
        self._counters: list[tuple[Tensor, Tensor]] = []
        self.choose()

    def choose(self) -> None:
        """Follows what is trained now; to be called when something was unfrozen."""
        pairs: list[tuple[Tensor, Tensor]] = []
        for ours, theirs in zip(self.network.modules(), self._followed.modules(), strict=True):
            own = zip(ours.parameters(recurse=False), theirs.parameters(recurse=False), strict=True)
            pairs += [(average, weight) for average, weight in own if weight.requires_grad]
            if theirs.training:
                pairs += zip(ours.buffers(recurse=False), theirs.buffers(recurse=False), strict=True)
        self._pairs = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After optimiser step `step` (counted from 0 over the whole run): average <- d average + (1 - d) weight.

        d is min(decay, (1 + step) / (10 + step)): a young average forgets the initial weights soon
        (tf.train.ExponentialMovingAverage's `num_updates`).
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, weights = [pair[0] for pair in self._pairs], [pair[1] for pair in self._pairs]
        get_ema_multi_avg_fn(decay)(averages, weights, step)
        for average, counter in self._counters:
            average.copy_(counter)
