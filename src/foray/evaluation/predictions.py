"""Class probabilities of a split, always in float32 and in inference mode, every image counted exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foray.data import Batches, Dataset
from foray.evaluation.precision import float32_exactly
from foray.evaluation.scores import Score, mean_loss
from foray.models import Network, fold_batch_norm
from foray.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class Predictions:
    """One split: ids (N,), labels (N,), class probabilities (N, C)."""

    image_ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]

    @property
    def score(self) -> Score:
        """Accuracy and mean loss."""
        return Score(top1=float(self.correct.mean()), loss=mean_loss(self.labels, self.probabilities))

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether the most probable class is the label, (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.labels)


def image_ids(dataset: Dataset, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    """Ids of the samples at `positions`, (N,)."""
    return np.array([dataset.samples[i].id for i in positions], dtype=np.str_)


def predict_batches(
    network: nn.Module,
    batches: Batches,
    normalize: Callable[[Tensor], Tensor],
    num_classes: int,
    *,
    progress: Progress = SILENT,
) -> Tensor:
    """Class probabilities (N, C), on the CPU, of the images of `batches`, which may be none, in order.

    `normalize`: uint8 (N, 3, R, R) -> float32. The network is left in inference mode; a copy of it with folded batch
    norms does the work, which takes a fifth to a third less time. The last batch may be smaller and counts only its own
    images.
    """
    network.eval()
    folded = fold_batch_norm(network) if isinstance(network, Network) else network
    probabilities = [torch.empty(0, num_classes)]
    with torch.inference_mode(), float32_exactly(), progress.task("evaluating", total=len(batches.indices)) as task:
        for images, labels, _ in batches.epoch(0):
            probabilities.append(folded(normalize(images)).softmax(dim=1).cpu())
            task.advance(len(labels))
    return torch.cat(probabilities)
