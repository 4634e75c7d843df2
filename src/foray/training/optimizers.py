"""Optimisers in the convention their source states, and which parameters they decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn

from foray.recipes import Optimizer


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
    """The recipe's optimiser over the trainable parameters of `network`, batch norms and biases not decayed."""
    return optimizer_over(optimizer, parameter_groups(network, optimizer.weight_decay))


def optimizer_over(optimizer: Optimizer, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The recipe's optimiser over parameter groups that carry their own `weight_decay`."""
    lr = optimizer.learning_rate
    if optimizer.name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=optimizer.momentum, nesterov=optimizer.nesterov)
    if optimizer.name == "adamw":
        return torch.optim.AdamW(groups, lr=lr)
    return KerasRMSprop(groups, lr, rho=optimizer.rho, epsilon=optimizer.epsilon)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Trainable parameters in two groups: kernels, which are decayed, and batch norms and biases, which are not.

    A parameter's group follows from the type of the module that owns it, never from its name.
    """
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for module in network.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm)
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            is_bias = parameter is getattr(module, "bias", None)
            (kept if is_norm or is_bias else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
