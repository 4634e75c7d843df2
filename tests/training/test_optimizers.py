"""Optimisers against the formulas of their source."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from foray.models import build_model
from foray.recipes import Optimizer
from foray.specs import get_spec
from foray.training.optimizers import KerasRMSprop, create_optimizer, parameter_groups

# keras.optimizers.RMSprop(1e-3) (Keras 3.15.1, TensorFlow) on w0 = (1, -2, 0.5), five steps with the gradients
# g_t = (0.1 t, -0.003 t^2, 1e-4 (-1)^t): the variables afterwards.
KERAS_GRADIENTS = [[0.1 * t, -0.003 * t * t, 1e-4 * (-1) ** t] for t in range(1, 6)]
KERAS_RESULT = [0.986772358417511, -1.9857125282287598, 0.5003124475479126]


def test_rmsprop_steps_are_kerass_to_float32_rounding() -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    optimizer = KerasRMSprop([weight], 1e-3)
    for gradient in KERAS_GRADIENTS:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor(KERAS_RESULT), rtol=0, atol=2e-7)


@pytest.mark.parametrize("gradient", [3.0, 1e-2, 1e-5])
def test_the_epsilon_of_rmsprop_stands_inside_the_root(gradient: float) -> None:
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    weight.grad = torch.full((1,), gradient, dtype=torch.float64)
    KerasRMSprop([weight], 1e-3, rho=0.9, epsilon=1e-7).step()
    assert weight.item() == pytest.approx(-1e-3 * gradient / math.sqrt(0.1 * gradient**2 + 1e-7), rel=1e-12)


def test_rmsprop_decays_weights_apart_from_the_gradient() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    weight.grad = torch.zeros(1)
    KerasRMSprop([weight], 0.1, weight_decay=0.5).step()
    assert weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5))


def test_parameters_without_a_gradient_are_left_alone() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    KerasRMSprop([weight], 0.1, weight_decay=0.5).step()
    assert weight.item() == 2.0


def test_batch_norms_and_biases_are_not_decayed_and_all_else_is() -> None:
    network = build_model(get_spec("mobilenet_v2_x0.25"), num_classes=4, seed=0)
    decayed, kept = parameter_groups(network, 0.05)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.05, 0.0)
    assert all(parameter.ndim >= 2 for parameter in decayed["params"])
    assert all(parameter.ndim == 1 for parameter in kept["params"])
    assert len(decayed["params"]) + len(kept["params"]) == len(list(network.parameters()))


def test_groups_go_by_the_kind_of_module_not_by_its_name() -> None:
    class Misnamed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bn_bias_norm = nn.Linear(3, 2)  # decayed, for all its name
            self.weights = nn.BatchNorm1d(2)  # not decayed

    network = Misnamed()
    decayed, kept = parameter_groups(network, 0.1)
    assert [id(p) for p in decayed["params"]] == [id(network.bn_bias_norm.weight)]
    assert len(kept["params"]) == 3


def test_frozen_parameters_reach_no_optimizer() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    network[0].requires_grad_(False)
    optimizer = create_optimizer(Optimizer(name="adamw", learning_rate=1e-3, weight_decay=0.1), network)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        (Optimizer(name="sgd", learning_rate=0.1, momentum=0.9, nesterov=True), torch.optim.SGD),
        (Optimizer(name="adamw", learning_rate=0.1), torch.optim.AdamW),
        (Optimizer(name="rmsprop", learning_rate=0.1, rho=0.8, epsilon=1e-5), KerasRMSprop),
    ],
)
def test_the_recipe_names_the_optimizer_and_its_numbers(recipe: Optimizer, kind: type) -> None:
    optimizer = create_optimizer(recipe, nn.Linear(2, 2))
    assert type(optimizer) is kind
    group = optimizer.param_groups[0]
    assert group["lr"] == recipe.learning_rate
    if kind is torch.optim.SGD:
        assert (group["momentum"], group["nesterov"]) == (0.9, True)
    if kind is KerasRMSprop:
        assert (group["rho"], group["epsilon"]) == (0.8, 1e-5)
