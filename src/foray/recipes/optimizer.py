"""The optimisers of a recipe, one class each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from foray.recipes.variants import Variant


class AnyOptimizer(Variant):
    """What all optimisers have.

    `layer_decay`: each part of the network learns that many times slower than the next one towards the classifier
    (discriminative rates, Howard & Ruder 2018, arXiv:1801.06146, section 3.2).
    """

    TAG: ClassVar[str] = "name"
    NOUN: ClassVar[str] = "optimizer"
    STORED_KEYS: ClassVar[tuple[str, ...]] = (
        "name", "learning_rate", "momentum", "nesterov", "convention", "rho", "epsilon", "weight_decay", "decay_all",
        "layer_decay",
    )  # fmt: skip
    DEFAULT_KIND: ClassVar[str | None] = "sgd"

    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)

    @classmethod
    def variants(cls) -> Sequence[type[AnyOptimizer]]:
        """One class an optimiser."""
        return OPTIMIZERS


class SGD(AnyOptimizer):
    """Stochastic gradient descent (torch.optim.SGD).

    `decay_all`: weight decay as part of the gradient and of every weight, norms and biases included, as the study used
    torch.optim.SGD's argument; else of kernels alone (see training/optimizers.py).
    """

    name: Literal["sgd"] = "sgd"
    momentum: float = Field(default=0.0, ge=0, lt=1)
    nesterov: bool = False
    decay_all: bool = False

    @model_validator(mode="after")
    def _has_momentum_for_nesterov(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` looks ahead along the momentum, which is 0: set momentum, for example to 0.9")
        return self


class RMSprop(AnyOptimizer):
    """RMSProp; neither framework's argument for momentum is implemented.

    It divides by sqrt(v + epsilon), v the running mean of the squared gradient, in the `keras` convention (rho 0.9,
    epsilon 1e-7; keras.optimizers.RMSprop) and by sqrt(v) + epsilon in the `pytorch` one (rho, there called alpha,
    0.99, epsilon 1e-8; torch.optim.RMSprop). A gradient of 1e-4 hence moves a weight three times less in Keras.
    `rho`, `epsilon`: None takes the convention's.
    """

    name: Literal["rmsprop"] = "rmsprop"
    convention: Literal["keras", "pytorch"] = "keras"
    rho: float | None = Field(default=None, gt=0, lt=1)
    epsilon: float | None = Field(default=None, gt=0)


class AdamW(AnyOptimizer):
    """Adam with decoupled weight decay (torch.optim.AdamW). `epsilon`: None takes 1e-8."""

    name: Literal["adamw"] = "adamw"
    epsilon: float | None = Field(default=None, gt=0)


def _with_name(table: Any) -> Any:
    return {AnyOptimizer.TAG: AnyOptimizer.DEFAULT_KIND} | table if isinstance(table, dict) else table


Optimizer = Annotated[SGD | RMSprop | AdamW, Field(discriminator="name"), BeforeValidator(_with_name)]
OPTIMIZERS: tuple[type[AnyOptimizer], ...] = get_args(get_args(Optimizer)[0])
