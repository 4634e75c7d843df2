"""Short quantisation-aware fine-tuning: the network learns to be right with rounded weights and activations.

It is taught by itself: the student, in simulated int8, is to give the probabilities that the float32 network gives
(Hinton et al. 2015, arXiv:1503.02531, at temperature 1), so that a few hundred steps on the train images do not wander
off. The tuned float32 weights are then quantised after training as any others, for every runtime alike.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from foray.data.network_input import normalize
from foray.export.quantization.fake_quantization import in_int8, observe_ranges
from foray.export.quantization.train_images import TrainImages
from foray.models import Network, fold_batch_norm
from foray.models.layers import StochasticDepth
from foray.native.allocator import kept_memory
from foray.native.kernels import prepare_kernels
from foray.progress import SILENT, Progress
from foray.specs import Preprocessing

_RANGE_IMAGES = 64


@dataclass(frozen=True)
class FineTuning:
    """`steps` of Adam on `batch_size` images, the learning rate falling from `learning_rate` to zero along a cosine."""

    steps: int = 200
    batch_size: int = 16
    learning_rate: float = 1e-5

    def __str__(self) -> str:
        return f"{self.steps} steps of {self.batch_size} images"


def fine_tune(
    network: Network,
    train: TrainImages,
    preprocessing: Preprocessing,
    plan: FineTuning,
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Network:
    """A copy of `network` with batch norm folded and weights tuned to int8; on the CPU, in float32.

    The same seed and number of threads give the same weights bit for bit.
    """
    prepare_kernels(progress)
    teacher = fold_batch_norm(network).float().cpu().requires_grad_(False)
    student = _trainable(copy.deepcopy(teacher))
    ranges = observe_ranges(teacher, train.sample(_RANGE_IMAGES, seed), preprocessing)
    optimizer = torch.optim.Adam(student.parameters(), lr=plan.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, plan.steps)
    generator = np.random.default_rng(seed)
    with (
        kept_memory(progress),
        in_int8(student, ranges, list(ranges)),
        progress.task("Quantisation-aware fine-tuning", plan.steps) as task,
    ):
        for _ in range(plan.steps):
            rows = generator.choice(train.rows, size=min(plan.batch_size, len(train)), replace=False)
            pixels = torch.from_numpy(np.ascontiguousarray(train.pixels[np.sort(rows)])).permute(0, 3, 1, 2)
            batch = normalize(pixels, preprocessing)
            with torch.no_grad():
                wanted = teacher(batch).log_softmax(1)
            loss = F.kl_div(student(batch).log_softmax(1), wanted, reduction="batchmean", log_target=True)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            task.advance(note=f"divergence {loss.item():.4f}")
    return student.requires_grad_(False).eval()


def _trainable(network: Network) -> Network:
    """`network` in train mode, so that no activation overwrites what its gradient needs, but without any dropping."""
    network.requires_grad_(True).train()
    for module in network.modules():
        if isinstance(module, nn.Dropout | StochasticDepth):
            module.eval()
    return network
