"""Optimisers in the convention their source states, which parameters they decay, and how fast each part learns.

RMSProp divides a gradient g by its running size, v <- rho v + (1 - rho) g^2, and two frameworks disagree on the rest:

    Keras     w <- w - lr g / sqrt(v + epsilon)      rho 0.9,  epsilon 1e-7
    PyTorch   w <- w - lr g / (sqrt(v) + epsilon)    rho 0.99, epsilon 1e-8

Where g is large the two agree. Of a steady g = 1e-4 (v = g^2) Keras makes steps of 1e-4 / sqrt(1e-8 + 1e-7) = 0.302 lr,
PyTorch of 1e-4 / (1e-4 + 1e-8) = 1.000 lr. And the first step, when v = (1 - rho) g^2, is 0.315 lr in Keras and 9.99 lr
in PyTorch, 32 times as far. A learning rate tuned for one does not fit the other.

Weight decay: SGD and PyTorch's RMSProp add it to the gradient; AdamW and Keras' RMSProp shrink the weight apart from
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn

from foray.models import Network
from foray.recipes import SGD, AdamW, Optimizer, RMSprop
from foray.training.freezing import network_parts

# (rho, epsilon): keras.optimizers.RMSprop and torch.optim.RMSprop (rho is its alpha)
_RMSPROP_DEFAULTS = {"keras": (0.9, 1e-7), "pytorch": (0.99, 1e-8)}
_ADAMW_EPSILON = 1e-8  # torch.optim.AdamW


class KerasRMSprop(torch.optim.Optimizer):
    """RMSProp as Keras computes it (keras.optimizers.RMSprop, centered=False, momentum=0).

        v <- rho v + (1 - rho) g^2;    w <- w - lr g / sqrt(v + epsilon)

    The epsilon stands inside the root (torch.optim.RMSprop adds it outside), with Keras' defaults rho 0.9 and epsilon
    1e-7. `weight_decay` is decoupled, as Keras' argument: w <- w - lr weight_decay w first.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "epsilon": epsilon, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["mean_square"] = torch.zeros_like(weight)
                if group["weight_decay"]:
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                mean_square = state["mean_square"].mul_(group["rho"])
                mean_square.addcmul_(weight.grad, weight.grad, value=1 - group["rho"])
                weight.addcdiv_(weight.grad, (mean_square + group["epsilon"]).sqrt_(), value=-group["lr"])
        return loss


def create_optimizer(optimizer: Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser over the trainable parameters of `network`.

    Batch norms and biases are not decayed, unless the recipe says `decay_all`. With a `layer_decay` below 1 the groups
    carry a `rate_factor`: whoever sets the rate multiplies by it. The order of parameters follows from the network and
    the recipe alone, so that a saved state finds its parameters again. Raises TypeError for a `layer_decay` where
    `network` is no `Network`, whose parts the rates go by.
    """
    decay, decay_all = optimizer.weight_decay, isinstance(optimizer, SGD) and optimizer.decay_all
    if optimizer.layer_decay == 1.0:
        return optimizer_over(optimizer, parameter_groups(network, decay, decay_all=decay_all))
    if not isinstance(network, Network):
        raise TypeError(f"layer_decay goes by the parts of a foray Network, which {type(network).__name__} is not")
    factors = rate_factors(network, optimizer.layer_decay)
    groups = [
        {**group, "rate_factor": factors[name]}
        for name, part in network_parts(network).items()
        for group in parameter_groups(part, decay, decay_all=decay_all)
    ]
    return optimizer_over(optimizer, groups)


def optimizer_over(optimizer: Optimizer, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The recipe's optimiser over parameter groups with a `weight_decay` and, maybe, a `rate_factor` of their own."""
    rate = optimizer.learning_rate
    groups = [{**group, "lr": rate * group.get("rate_factor", 1.0)} for group in groups]
    match optimizer:
        case SGD():
            return torch.optim.SGD(groups, lr=rate, momentum=optimizer.momentum, nesterov=optimizer.nesterov)
        case AdamW():
            # Fused: one pass over memory, where PyTorch's default for a CPU makes one for each term of the formula.
            return torch.optim.AdamW(groups, lr=rate, eps=optimizer.epsilon or _ADAMW_EPSILON, fused=True)
        case RMSprop():
            rho, epsilon = _RMSPROP_DEFAULTS[optimizer.convention]
            rho, epsilon = optimizer.rho or rho, optimizer.epsilon or epsilon
            if optimizer.convention == "pytorch":
                return torch.optim.RMSprop(groups, lr=rate, alpha=rho, eps=epsilon)
            return KerasRMSprop(groups, rate, rho=rho, epsilon=epsilon)


def rate_factors(network: Network, layer_decay: float) -> dict[str, float]:
    """What the rate of each part is multiplied by: discriminative rates (Howard & Ruder 2018, arXiv:1801.06146, 3.2).

    `classifier`, and `hidden` which is dense as well, learn at the full rate; each part below them at `layer_decay`
    times the rate of the one above. Howard & Ruder divide by 2.6 from layer to layer of theirs.
    """
    parts = list(network_parts(network))
    full_rate = ("hidden", "classifier")
    num_below = sum(name not in full_rate for name in parts)
    return {name: 1.0 if name in full_rate else layer_decay ** (num_below - at) for at, name in enumerate(parts)}


def parameter_groups(network: nn.Module, weight_decay: float, *, decay_all: bool = False) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: kernels, which are decayed, and batch norms and biases, which are not.

    A parameter's group follows from the type of the module that owns it, never from its name. `decay_all`: one group,
    all of it decayed, as `torch.optim.SGD(network.parameters(), weight_decay=...)` does.
    """
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for module in network.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm)
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            is_bias = parameter is getattr(module, "bias", None)
            (kept if (is_norm or is_bias) and not decay_all else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
