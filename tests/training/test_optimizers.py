"""Optimisers against the formulas of their source."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from foray.models import build_model
from foray.recipes import SGD, AdamW, Optimizer, RMSprop
from foray.specs import get_spec
from foray.training.freezing import network_parts
from foray.training.optimizers import KerasRMSprop, create_optimizer, parameter_groups, rate_factors

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
    optimizer = create_optimizer(AdamW(learning_rate=1e-3, weight_decay=0.1), network)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        (SGD(learning_rate=0.1, momentum=0.9, nesterov=True), torch.optim.SGD),
        (AdamW(learning_rate=0.1), torch.optim.AdamW),
        (RMSprop(learning_rate=0.1, rho=0.8, epsilon=1e-5), KerasRMSprop),
    ],
)
def test_the_recipe_names_the_optimizer_and_its_numbers(recipe: Optimizer, kind: type) -> None:
    optimizer = create_optimizer(recipe, nn.Linear(2, 2))
    assert type(optimizer) is kind
    group = optimizer.param_groups[0]
    assert group["lr"] == recipe.learning_rate
    if kind is torch.optim.SGD:
        assert (group["momentum"], group["nesterov"]) == (0.9, True)
    if kind is torch.optim.AdamW:
        assert group["eps"] == 1e-8
    if kind is KerasRMSprop:
        assert (group["rho"], group["epsilon"]) == (0.8, 1e-5)


def moved(recipe: Optimizer, gradients: list[float], start: float = 0.0) -> list[float]:
    """How far each step of the recipe's optimiser moves one weight of a linear layer without bias."""
    layer = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(layer.weight, start)
    optimizer = create_optimizer(recipe, layer)
    steps = []
    for gradient in gradients:
        before = layer.weight.item()
        layer.weight.grad = torch.full_like(layer.weight, gradient)
        optimizer.step()
        steps.append(layer.weight.item() - before)
    return steps


RMSPROP = {
    "keras": RMSprop(learning_rate=1.0, convention="keras"),
    "pytorch": RMSprop(learning_rate=1.0, convention="pytorch"),
}


@given(gradients=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6))
def test_each_convention_follows_its_formula_with_its_own_defaults(gradients: list[float]) -> None:
    """The formulas with Keras' rho 0.9 and epsilon 1e-7, PyTorch's alpha 0.99 and epsilon 1e-8."""
    keras, pytorch = 0.0, 0.0
    expected: dict[str, list[float]] = {"keras": [], "pytorch": []}
    for g in gradients:
        keras, pytorch = 0.9 * keras + 0.1 * g * g, 0.99 * pytorch + 0.01 * g * g
        expected["keras"].append(-g / math.sqrt(keras + 1e-7))
        expected["pytorch"].append(-g / (math.sqrt(pytorch) + 1e-8))
    for convention, recipe in RMSPROP.items():
        assert moved(recipe, gradients) == pytest.approx(expected[convention], rel=1e-9, abs=1e-9)


def test_the_pytorch_convention_is_torchs_own_rmsprop_decay_included() -> None:
    recipe = RMSprop(learning_rate=0.01, convention="pytorch", rho=0.95, epsilon=1e-3, weight_decay=0.1)
    weight = nn.Parameter(torch.full((1, 1), 2.0, dtype=torch.float64))
    peer = torch.optim.RMSprop([weight], lr=0.01, alpha=0.95, eps=1e-3, weight_decay=0.1)
    steps = []
    for gradient in (0.3, -0.2, 1e-4):
        before = weight.item()
        weight.grad = torch.full_like(weight, gradient)
        peer.step()
        steps.append(weight.item() - before)
    assert moved(recipe, [0.3, -0.2, 1e-4], start=2.0) == steps


def test_the_two_rmsprops_differ_as_the_documentation_works_out() -> None:
    """A steady gradient of 1e-4: the first step and the one far on, in learning rates."""
    gradients = [-1e-4] * 3000  # 0.99 ** 3000 = 8e-14: the running mean has arrived
    keras, pytorch = moved(RMSPROP["keras"], gradients), moved(RMSPROP["pytorch"], gradients)
    assert (keras[0], keras[-1]) == pytest.approx((0.315, 0.302), abs=5e-4)
    assert (pytorch[0], pytorch[-1]) == pytest.approx((9.99, 1.000), abs=5e-3)
    assert pytorch[0] / keras[0] == pytest.approx(32, abs=0.5)


def test_the_two_rmsprops_agree_where_gradients_are_large() -> None:
    same = {"rho": 0.9, "learning_rate": 1.0}
    gradients = [3.0, -5.0, 2.0]
    keras = moved(RMSprop(convention="keras", **same), gradients)
    assert keras == pytest.approx(moved(RMSprop(convention="pytorch", **same), gradients), rel=1e-6)


def test_sgd_may_decay_every_weight_as_torchs_argument_does() -> None:
    ours, peer = (build_model(get_spec("mobilenet_v1_x0.25"), num_classes=3, seed=0) for _ in range(2))
    recipe = SGD(learning_rate=0.1, momentum=0.9, weight_decay=5e-2, decay_all=True)
    optimizers = (
        create_optimizer(recipe, ours),
        torch.optim.SGD(peer.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-2),
    )
    for _ in range(2):
        for network, optimizer in zip((ours, peer), optimizers, strict=True):
            for parameter in network.parameters():
                parameter.grad = torch.ones_like(parameter)
            optimizer.step()
    for mine, theirs in zip(ours.parameters(), peer.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_nesterov_momentum_is_sutskevers() -> None:
    """v <- m v + g, w <- w - lr (g + m v): Sutskever et al. 2013 as torch.optim.SGD writes it."""
    recipe = SGD(learning_rate=0.5, momentum=0.9, nesterov=True)
    velocity, expected = 0.0, []
    for gradient in (1.0, -2.0, 0.5):
        velocity = 0.9 * velocity + gradient
        expected.append(-0.5 * (gradient + 0.9 * velocity))
    assert moved(recipe, [1.0, -2.0, 0.5]) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["mobilenet_v1_x0.25", "mobilenet_v3_small", "resnet18", "ghostnet"])
def test_every_parameter_is_in_one_part_and_each_part_learns_slower_than_the_one_above(name: str) -> None:
    with torch.device("meta"):
        network = build_model(get_spec(name), num_classes=3)
    parts = network_parts(network)
    held = [id(parameter) for part in parts.values() for parameter in part.parameters()]
    assert sorted(held) == sorted(id(parameter) for parameter in network.parameters())

    factors = rate_factors(network, 0.5)
    below = [part for part in parts if part not in ("hidden", "classifier")]
    assert below[:2] == ["stem", "stages.0"]
    assert [factors[part] for part in below] == [0.5 ** (len(below) - i) for i in range(len(below))]
    assert factors["classifier"] == 1.0
    assert factors.get("hidden", 1.0) == 1.0


def test_groups_carry_the_factor_of_their_part_and_start_at_its_rate() -> None:
    network = build_model(get_spec("mobilenet_v1_x0.25"), num_classes=3, seed=0)
    optimizer = create_optimizer(AdamW(learning_rate=0.2, weight_decay=0.05, layer_decay=0.5), network)
    factors = rate_factors(network, 0.5)
    part_of = {id(parameter): name for name, part in network_parts(network).items() for parameter in part.parameters()}
    seen = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["rate_factor"] == factors[part_of[id(parameter)]]
            assert group["lr"] == pytest.approx(0.2 * group["rate_factor"])
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0.0)
            seen.append(id(parameter))
    assert sorted(seen) == sorted(part_of)


def test_parameters_stand_in_the_same_order_each_time() -> None:
    """A checkpoint names optimiser state by position."""
    recipe = AdamW(learning_rate=0.2, weight_decay=0.05, layer_decay=0.7)

    def order() -> list[str]:
        network = build_model(get_spec("mobilenet_v3_small"), num_classes=3, seed=0)
        names = {id(parameter): name for name, parameter in network.named_parameters()}
        return [names[id(p)] for group in create_optimizer(recipe, network).param_groups for p in group["params"]]

    assert order() == order()


def test_discriminative_rates_need_the_parts_of_a_network() -> None:
    with pytest.raises(TypeError, match="parts of a foray Network"):
        create_optimizer(SGD(learning_rate=0.1, layer_decay=0.5), nn.Linear(2, 2))


def test_adamw_moves_a_network_as_pytorchs_plain_loop_does() -> None:
    """Weights and gradients of a network lie in memory in several orders, which one fused pass must not confuse."""
    network = build_model(get_spec("mobilenet_v3_small"), num_classes=3, seed=0).to(memory_format=torch.channels_last)
    plain = copy.deepcopy(network)
    recipe = AdamW(learning_rate=0.01, weight_decay=0.05)
    ours = create_optimizer(recipe, network)
    theirs = torch.optim.AdamW(parameter_groups(plain, 0.05), lr=0.01, foreach=False)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    for _ in range(3):
        ours.zero_grad()
        torch.manual_seed(0)
        network.train()(images).square().sum().backward()
        for weight, other in zip(network.parameters(), plain.parameters(), strict=True):
            other.grad = weight.grad.clone()
        ours.step()
        theirs.step()
    for weight, other in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-5, atol=1e-6)
