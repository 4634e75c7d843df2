"""mixup and cutmix: each image of a batch, and its label, mixed with another one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from foray.augmentation.draws import Stream, generator
from foray.recipes.recipe import Augmentation


class Mix:
    """Mixes batches as a recipe says, the same for the same (seed, epoch, step).

    mixup (Zhang et al. 2018, arXiv:1710.09412): lambda x image + (1 - lambda) x partner, lambda from Beta(alpha,
    alpha). cutmix (Yun et al. 2019, arXiv:1905.04899, equations 1 and 2): a box of the partner, its sides sqrt(1 -
    lambda) of the image's, its centre uniform, cut at the border, replaces the image's; lambda then becomes the share
    of pixels that are left. With both alphas set, a batch draws one of the two with equal probability. lambda and the
    box are common to a batch, whose partners are a permutation of it.
    """

    def __init__(self, augmentation: Augmentation, num_classes: int, *, seed: int) -> None:
        self.augmentation = augmentation
        self.num_classes = num_classes
        self.seed = seed

    def __call__(self, images: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Float (N, 3, R, R) and int64 (N,) -> images, mixed in place, and the share of each class, float32 (N, C).

        A batch that is not mixed comes back as it is, its labels int64 (N,). CrossEntropyLoss takes both.
        """
        chosen = self.augmentation
        if chosen.mixup_alpha == 0 and chosen.cutmix_alpha == 0:
            return images, labels
        random = generator((self.seed, epoch, step), Stream.MIXING)
        mixed, kind, *centre = random.random(4)
        if mixed >= chosen.mix_probability:
            return images, labels
        partners = torch.from_numpy(random.permutation(len(images))).to(images.device)
        cuts = chosen.mixup_alpha == 0 or (chosen.cutmix_alpha > 0 and kind < 0.5)
        alpha = chosen.cutmix_alpha if cuts else chosen.mixup_alpha
        share = float(random.beta(alpha, alpha))
        if cuts:
            share = _cutmix(images, partners, share, (centre[0], centre[1]))
        else:
            images.lerp_(images[partners], 1.0 - share)
        return images, self._targets(labels, partners, share)

    def _targets(self, labels: Tensor, partners: Tensor, share: float) -> Tensor:
        own = functional.one_hot(labels, self.num_classes).float()
        rounded = np.float32(share)  # with its complement in single precision too, the two add to exactly 1
        return own * float(rounded) + own[partners] * float(np.float32(1) - rounded)


def _cutmix(images: Tensor, partners: Tensor, share: float, centre: tuple[float, float]) -> float:
    """Replaces a box in place; returns the share of pixels that are left. `centre`: x and y, in [0, 1)."""
    height, width = images.shape[2:]
    top, bottom = _interval(height, share, centre[1])
    left, right = _interval(width, share, centre[0])
    box = images[:, :, top:bottom, left:right]
    box.copy_(box[partners])
    return 1.0 - (bottom - top) * (right - left) / (height * width)


def _interval(side: int, share: float, centre: float) -> tuple[int, int]:
    """First and last + 1 pixel of a box along one side, by the authors' code: whole pixels, cut at the border."""
    half = int(side * np.sqrt(1.0 - share)) // 2
    middle = int(centre * side)
    return max(middle - half, 0), min(middle + half, side)
