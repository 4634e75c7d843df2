"""Softmax regression with an L2 penalty on cached features, to convergence: the exact linear head.

    J(W, b) = sum_i 1/K sum_v l(x_iv W + b, y_i) + penalty / 2 |W|^2

over images i and their K views v, with l the cross-entropy that `loop.summed_loss` sums (class weights, label
smoothing). scikit-learn's LogisticRegression minimises the same with C = 1 / penalty. J is strictly convex in W, so the
head depends on no seed, rate or order. It is a sum over images: more images weigh more against the same penalty.

L-BFGS (Nocedal & Wright 2006, algorithm 7.5; SciPy's, in float64) runs in the principal axes of the features, each
scaled so that the curvature of J is about 1 along it. That is what makes it fast: features of a backbone are so
correlated that in their own coordinates it takes about four times the steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from foray.linear.heads import Head, Standardization
from foray.recipes import LinearRecipe
from foray.training.class_weights import class_weights
from foray.training.loop import TrainingFailedError

# From strong to weak, so that each solution is a good start for the next: 1000 to 0.1 (C = 0.001 to 10 in
# scikit-learn's terms), two per decade.
PENALTIES: tuple[float, ...] = tuple(10.0 ** (3 - i / 2) for i in range(9))

# Largest entry of the gradient of J where its curvature is about 1: J is then within its square of the minimum or so.
GRADIENT_TOLERANCE = 1e-3
_MOST_STEPS = 2000


@dataclass(frozen=True, eq=False)
class SolvedHead:
    """`train_loss`: mean of l over the images, without the penalty; `train_top1`: over all views.

    `converged`: whether the gradient came below the tolerance.
    """

    head: Head
    penalty: float
    train_loss: float
    train_top1: float
    converged: bool


class LogisticProblem:
    """J for the images at `positions` of `views` (K, N, F) with `labels` (N,), on the device they are on.

    Features are standardised where the recipe says so, class weights and smoothing are the recipe's. Raises
    TrainingFailedError for features that are not finite.
    """

    def __init__(
        self, views: Tensor, labels: Tensor, positions: npt.NDArray[np.int64], recipe: LinearRecipe, num_classes: int
    ) -> None:
        where = torch.from_numpy(positions).to(views.device)
        own = views[:, where].flatten(0, 1).double()  # (K n, F)
        if not bool(own.isfinite().all()):
            raise TrainingFailedError("Features are not finite, so no head can be fitted. Check the weights.")
        self._dtype = views.dtype
        # The intercept is free, so the mean changes nothing but the conditioning: it always goes.
        self._scaling = Standardization.of(own) if recipe.standardize_features else Standardization.shift_only(own)
        self._labels = labels[where].repeat(len(views))
        weights = class_weights(recipe, labels[where], num_classes)
        weights = torch.ones(num_classes) if weights is None else weights
        smoothed = (1 - recipe.label_smoothing) * torch.eye(num_classes) + recipe.label_smoothing / num_classes
        # What the log-probabilities of a view are weighted with, (K n, C), and the sums of those weights, (K n, 1)
        self._targets = (smoothed * weights).to(own)[self._labels] / len(views)
        self._shares = self._targets.sum(dim=1, keepdim=True)
        self._num_images = len(positions)
        inputs = (own - self._scaling.mean) / self._scaling.deviation
        squares, self._axes = torch.linalg.eigh(inputs.T @ (self._shares * inputs))
        self._squares = squares.clamp(min=0)  # (F,): sum of squares along each axis
        self._inputs = inputs @ self._axes

    def solve(
        self, penalty: float, start: SolvedHead | None = None, *, tolerance: float = GRADIENT_TOLERANCE
    ) -> SolvedHead:
        """The minimum of J, sought from `start`, or from a head of zeros."""
        initial = self._along_axes(start.head) if start else self._inputs.new_zeros(self._shape)
        scale = self._root_curvatures(initial, penalty)

        def scaled_objective(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            value, gradient = self._objective(torch.from_numpy(flat).to(scale).view(self._shape) / scale, penalty)
            return value, (gradient / scale).flatten().cpu().numpy()

        found = minimize(
            scaled_objective, (initial * scale).flatten().cpu().numpy(), jac=True, method="L-BFGS-B",
            options={"gtol": tolerance, "ftol": 0.0, "maxiter": _MOST_STEPS, "maxfun": 2 * _MOST_STEPS},
        )  # fmt: skip
        parameters = torch.from_numpy(found.x).to(scale).view(self._shape) / scale
        converged = float(np.abs(found.jac).max()) <= tolerance
        return self._solution(parameters, penalty, converged)

    @property
    def _shape(self) -> tuple[int, int]:
        """Of the parameters: weights along the axes, and the intercepts as the last row, (F + 1, C)."""
        return self._inputs.shape[1] + 1, self._targets.shape[1]

    def _objective(self, parameters: Tensor, penalty: float) -> tuple[float, Tensor]:
        """J and its gradient."""
        weight = parameters[:-1]
        log_probabilities = functional.log_softmax(torch.addmm(parameters[-1], self._inputs, weight), dim=1)
        loss = -(self._targets * log_probabilities).sum() + penalty / 2 * weight.square().sum()
        errors = log_probabilities.exp_().mul_(self._shares).sub_(self._targets)  # by the logits, (K n, C)
        gradient = torch.cat([torch.addmm(penalty * weight, self._inputs.T, errors), errors.sum(dim=0, keepdim=True)])
        if not math.isfinite(value := float(loss)):
            raise TrainingFailedError(f"The loss of the linear head is {value}. Set standardize_features to true.")
        return value, gradient

    def _root_curvatures(self, parameters: Tensor, penalty: float) -> Tensor:
        """Square root of J's curvature along each parameter, (F + 1, 1), with one p (1 - p) for all: its mean."""
        probabilities = torch.addmm(parameters[-1], self._inputs, parameters[:-1]).softmax(dim=1)
        spread = (probabilities * (1 - probabilities)).mean().clamp(min=1e-6)
        return torch.cat([spread * self._squares + penalty, spread * self._shares.sum(dim=0)]).sqrt().unsqueeze(1)

    def _along_axes(self, head: Head) -> Tensor:
        """A head for features as they are as parameters of this problem, (F + 1, C)."""
        weight = head.weight.T.double()
        bias = head.bias.double() + self._scaling.mean @ weight
        return torch.cat([self._axes.T @ weight * self._scaling.deviation, bias.unsqueeze(0)])

    def _solution(self, parameters: Tensor, penalty: float, converged: bool) -> SolvedHead:
        log_probabilities = functional.log_softmax(torch.addmm(parameters[-1], self._inputs, parameters[:-1]), dim=1)
        loss = -float((self._targets * log_probabilities).sum()) / self._num_images
        top1 = float((log_probabilities.argmax(dim=1) == self._labels).double().mean())
        weight, bias = self._scaling.fold(self._axes @ parameters[:-1], parameters[-1])
        head = Head(weight.T.to(self._dtype).contiguous(), bias.to(self._dtype))
        return SolvedHead(head, penalty, loss, top1, converged)
