"""Class weights of the loss, for data with rare classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foray.recipes import Recipe


def class_weights(recipe: Recipe, labels: Tensor | npt.NDArray[np.int64], num_classes: int) -> Tensor | None:
    """Weights (C,), float32 on the CPU, of the classes of the train images' `labels` (N,); None for `none`.

    With n_c images of class c, w_c is proportional to 1 / n_c (`inverse`), or to the inverse of the effective number
    of images, (1 - beta) / (1 - beta^n_c) (`effective`; Cui et al. 2019, arXiv:1901.05555, eq. 2): beta near 0 is no
    weighting, beta near 1 is `inverse`. The mean over the train images is 1: sum_c n_c w_c = N. A class without a train
    image has weight 0. For `torch.nn.CrossEntropyLoss(weight=..., reduction="sum")`, divided by the number of images.
    """
    if recipe.class_weights == "none":
        return None
    counts = np.bincount(np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels), minlength=num_classes)
    present = counts > 0
    n = counts[present].astype(np.float64)
    # 1 - beta^n without cancellation; the numerator 1 - beta is common to all classes and goes with the normalisation
    effective_number = n if recipe.class_weights == "inverse" else -np.expm1(n * np.log(recipe.effective_beta))
    weights = np.zeros(num_classes)
    weights[present] = 1 / effective_number
    weights *= counts.sum() / (counts @ weights)
    return torch.from_numpy(weights.astype(np.float32))
