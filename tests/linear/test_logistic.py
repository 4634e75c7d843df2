"""The exact head: its gradient vanishes, scikit-learn finds the same, and no head trained by gradient is better."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from foray.linear.heads import Head, train_heads
from foray.linear.logistic import PENALTIES, LogisticProblem
from foray.training import TrainingFailedError
from foray.training.class_weights import class_weights

from .test_heads import linear_recipe, random_problem

EVERYTHING = np.arange(200)


def exact_recipe(**changes: object):
    return linear_recipe(solver="lbfgs", **changes)


def objective(head: Head, views, labels, recipe, penalty: float, scale: float = 1.0) -> torch.Tensor:
    """J as its formula says; `scale`: the deviation by which features were divided where the penalty is counted."""
    weights = class_weights(recipe, labels, len(head.bias))
    losses = functional.cross_entropy(
        functional.linear(views.flatten(0, 1), head.weight, head.bias), labels.repeat(len(views)),
        None if weights is None else weights.to(views), reduction="sum", label_smoothing=recipe.label_smoothing,
    )  # fmt: skip
    return losses / len(views) + penalty / 2 * (head.weight * scale).square().sum()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000), penalty=st.sampled_from(PENALTIES), smoothing=st.sampled_from([0.0, 0.1]),
    kind=st.sampled_from(["none", "inverse", "effective"]), num_views=st.integers(1, 3), standardize=st.booleans(),
)  # fmt: skip
def test_the_gradient_vanishes_at_the_solution(seed, penalty, smoothing, kind, num_views, standardize) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([0, 1, 2, 2, 2, 1] * 10)
    mixing = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    views = torch.randn(num_views, 60, 12, generator=generator, dtype=torch.float64) @ mixing + 1.0
    recipe = exact_recipe(label_smoothing=smoothing, class_weights=kind, standardize_features=standardize)
    found = LogisticProblem(views, labels, np.arange(60), recipe, 3).solve(penalty)
    scale = float(views.flatten(0, 1).var(dim=0, correction=0).mean().sqrt()) if standardize else 1.0
    weight, bias = found.head.weight.requires_grad_(), found.head.bias.requires_grad_()
    objective(found.head, views, labels, recipe, penalty, scale).backward()
    assert found.converged
    assert weight.grad is not None
    assert bias.grad is not None
    # of a sum over 60 images of features of order 5, whose gradient at a head of zeros is of order 100
    assert max(float(weight.grad.abs().max()), float(bias.grad.abs().max())) < 0.05


@pytest.mark.parametrize("penalty", [100.0, 1.0, 0.1])
@pytest.mark.parametrize("kind", ["none", "inverse"])
def test_it_is_the_solution_of_scikit_learn(penalty: float, kind: str) -> None:
    features, labels, _ = random_problem()
    features = features.double()
    positions = EVERYTHING[20:]
    problem = LogisticProblem(features[None], labels, positions, exact_recipe(class_weights=kind), 4)
    found = problem.solve(penalty, tolerance=1e-7)
    peer = LogisticRegression(
        C=1 / penalty,
        solver="newton-cg",
        class_weight=None if kind == "none" else "balanced",
        tol=1e-10,
        max_iter=10_000,
    ).fit(features[positions], labels[positions])
    np.testing.assert_allclose(found.head.weight, peer.coef_, atol=1e-5)
    np.testing.assert_allclose(found.head.probabilities(features), peer.predict_proba(features), atol=1e-5)


def test_a_start_changes_the_way_and_not_the_solution() -> None:
    features, labels, _ = random_problem()
    problem = LogisticProblem(features[None].double(), labels, EVERYTHING, exact_recipe(standardize_features=True), 4)
    cold = problem.solve(0.1, tolerance=1e-7)
    warm = problem.solve(0.1, start=problem.solve(1000.0), tolerance=1e-7)
    np.testing.assert_allclose(warm.head.weight, cold.head.weight, atol=1e-5)


def test_no_head_trained_by_gradient_has_a_lower_objective() -> None:
    features, labels, initial = random_problem()
    recipe = exact_recipe(epochs=10)
    found = LogisticProblem(features[None], labels, EVERYTHING, recipe, 4).solve(0.1)
    (trained,) = train_heads(features[None], labels, [EVERYTHING], initial, recipe, seed=0)
    exact, by_gradient = (float(objective(h, features[None], labels, recipe, 0.1)) for h in (found.head, trained))
    assert exact <= by_gradient
    mean = functional.cross_entropy(functional.linear(features, found.head.weight, found.head.bias), labels)
    assert found.train_loss == pytest.approx(float(mean), abs=1e-5)
    assert found.train_top1 == (found.head.probabilities(features).argmax(axis=1) == labels.numpy()).mean()


def test_a_weaker_penalty_fits_train_better() -> None:
    features, labels, _ = random_problem()
    problem = LogisticProblem(features[None], labels, EVERYTHING, exact_recipe(), 4)
    losses = [problem.solve(penalty).train_loss for penalty in PENALTIES]
    assert losses == sorted(losses, reverse=True)


def test_equal_views_count_as_one_image() -> None:
    features, labels, _ = random_problem()
    one, three = (
        LogisticProblem(features.double().expand(k, -1, -1), labels, EVERYTHING, exact_recipe(), 4).solve(1.0)
        for k in (1, 3)
    )
    np.testing.assert_allclose(one.head.weight, three.head.weight, atol=1e-4)


def test_scale_and_shift_of_all_features_do_not_matter_when_they_are_standardised() -> None:
    features, labels, _ = random_problem()
    recipe = exact_recipe(standardize_features=True)
    ours, moved = (
        LogisticProblem(x[None], labels, EVERYTHING, recipe, 4).solve(1.0).head.probabilities(x)
        for x in (features, features * 40 - 7)
    )
    np.testing.assert_allclose(ours, moved, atol=1e-3)


def test_features_that_are_no_numbers_are_refused() -> None:
    features, labels, _ = random_problem()
    features[3, 2] = float("nan")
    with pytest.raises(TrainingFailedError, match="not finite"):
        LogisticProblem(features[None], labels, EVERYTHING, exact_recipe(), 4)
