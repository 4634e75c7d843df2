"""How to train, as data: a frozen, validated `Recipe`. Unknown keys are errors."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Protocol = Literal["scratch", "linear", "partial", "finetune"]
Precision = Literal["auto", "float32", "bfloat16"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Optimizer(_Frozen):
    """`rmsprop` is in the Keras convention: rho 0.9 and epsilon 1e-7 (Keras documentation, RMSprop defaults)."""

    name: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    learning_rate: float = Field(gt=0)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    nesterov: bool = False
    rho: float = Field(default=0.9, gt=0, lt=1)
    epsilon: float = Field(default=1e-7, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)


class Schedule(_Frozen):
    """Learning rate over time. `step` multiplies by `factor` every `every_epochs` (the study: 0.9 every five)."""

    name: Literal["constant", "step", "cosine"] = "constant"
    factor: float = Field(default=0.9, gt=0, le=1)
    every_epochs: int = Field(default=5, ge=1)
    warmup_epochs: float = Field(default=0.0, ge=0)


class Augmentation(_Frozen):
    """Per-sample augmentation of a batch on the training device; the defaults change nothing."""

    random_crop_scale: tuple[float, float] = (1.0, 1.0)  # area of the crop relative to the image
    random_crop_ratio: tuple[float, float] = (1.0, 1.0)  # width / height of the crop
    horizontal_flip: float = Field(default=0.0, ge=0, le=1)
    vertical_flip: float = Field(default=0.0, ge=0, le=1)
    rotation_degrees: float = Field(default=0.0, ge=0, le=180)
    translate: float = Field(default=0.0, ge=0, lt=1)  # of the side
    brightness: float = Field(default=0.0, ge=0, le=1)
    contrast: float = Field(default=0.0, ge=0, le=1)
    saturation: float = Field(default=0.0, ge=0, le=1)

    @property
    def is_identity(self) -> bool:
        """True when every image passes unchanged."""
        return self == Augmentation()


class Recipe(_Frozen):
    """One training protocol with all its numbers.

    `scratch`: every weight from its initialisation. `linear`: a new head on a frozen backbone in inference mode.
    `partial`: a new head and the layers that `unfreeze` names, from the pretrained weights; all others stay, their
    batch norms in inference mode. `finetune`: every weight from the pretrained ones. `checkpoint`: which epoch's
    weights are kept, `best` on val (the study's way) or the `last`.
    """

    protocol: Protocol
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Optimizer
    # partial only: "last:34", layers counted as Keras does, or parts of the network ("stages.6,head")
    unfreeze: str | None = None
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    dropout: float | None = Field(default=None, ge=0, lt=1)  # None: the architecture's own
    stochastic_depth_prob: float | None = Field(default=None, ge=0, lt=1)  # None: the architecture's own
    # Of batch norm's running statistics, in PyTorch's sense; None: the architecture's own. TensorFlow's 0.001 remembers
    # a thousand steps: a short training would be judged with the statistics of the images before it.
    bn_momentum: float | None = Field(default=None, gt=0, le=1)
    # linear only: features minus their mean on train, over one deviation common to all; folded into the head afterwards
    standardize_features: bool = False
    precision: Precision = "auto"
    checkpoint: Literal["best", "last"] = "best"

    @model_validator(mode="after")
    def _unfreezes_for_partial_alone(self) -> Self:
        if (self.unfreeze is None) == (self.protocol == "partial"):
            raise ValueError(
                "the protocol partial needs `unfreeze`, for example last:34"
                if self.unfreeze is None
                else f"`unfreeze` is for the protocol partial, not for {self.protocol}"
            )
        return self
