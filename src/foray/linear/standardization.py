"""Features shifted to mean 0 and scaled by one number, and a linear head freed of both again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_SMALLEST_DEVIATION = 1e-6  # features that are all equal stay finite


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
