"""How to train, as data: a frozen, validated `Recipe`. Unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from foray.limits import MOST_BATCH, MOST_EPOCHS

Protocol = Literal["scratch", "linear", "partial", "finetune"]
Precision = Literal["auto", "float32", "bfloat16"]


# Keys that mean something to some protocols or optimisers alone. Elsewhere any value but the default is an error: a
# recipe that states what is not done would mislead its reader. RMSProp and momentum: both frameworks have an argument
# for it, which is not implemented here.
_PROTOCOLS_OF: dict[str, tuple[Protocol, ...]] = {
    "gradual_unfreezing_epochs": ("finetune",),
    "freeze_early_epochs": ("scratch", "finetune"),
    "standardize_features": ("linear",),
    "solver": ("linear",),
    "feature_views": ("linear",),
    "micro_batch_size": ("scratch", "partial", "finetune"),
    "training_resolution": ("scratch", "partial", "finetune"),
    "progressive_resolution": ("scratch", "partial", "finetune"),
    "stochastic_depth_prob": ("scratch", "partial", "finetune"),
    "bn_momentum": ("scratch", "partial", "finetune"),
}
_OPTIMIZERS_OF: dict[str, tuple[str, ...]] = {
    "momentum": ("sgd",),
    "nesterov": ("sgd",),
    "decay_all": ("sgd",),
    "convention": ("rmsprop",),
    "rho": ("rmsprop",),
    "epsilon": ("rmsprop", "adamw"),
}
# What goes batch by batch or epoch by epoch, neither of which an exact solution has.
_NOT_SOLVED = ("sampling", "ema_decay", "clip_norm", "early_stopping_epochs")


class _Frozen(BaseModel):
    """Every number is finite: neither recipe.toml nor a record could be read back with another one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _states(model: BaseModel, key: str) -> bool:
    """Whether `key` has another value than its default."""
    return bool(getattr(model, key) != type(model).model_fields[key].default)


def _require_place(model: BaseModel, places: Mapping[str, tuple[str, ...]], kind: str, chosen: str) -> None:
    """Raises ValueError for a stated key that has no meaning with the `chosen` protocol or optimizer."""
    for key, allowed in places.items():
        if chosen not in allowed and _states(model, key):
            raise ValueError(
                f"`{key}` is for the {kind} {', '.join(allowed)}, not for {chosen}: remove it (it is "
                f"{getattr(model, key)!r} here), or choose another {kind}"
            )


class Optimizer(_Frozen):
    """How weights follow their gradients.

    `rmsprop` divides by sqrt(v + epsilon), v the running mean of the squared gradient, in the `keras` convention (rho
    0.9, epsilon 1e-7; keras.optimizers.RMSprop) and by sqrt(v) + epsilon in the `pytorch` one (rho, there called alpha,
    0.99, epsilon 1e-8; torch.optim.RMSprop). A gradient of 1e-4 hence moves a weight three times less in Keras.
    `layer_decay`: each part of the network learns that many times slower than the next one towards the classifier
    (discriminative rates, Howard & Ruder 2018, arXiv:1801.06146, section 3.2).
    """

    name: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    learning_rate: float = Field(gt=0)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    nesterov: bool = False
    convention: Literal["keras", "pytorch"] = "keras"
    rho: float | None = Field(default=None, gt=0, lt=1)  # None: the convention's
    epsilon: float | None = Field(default=None, gt=0)  # None: the convention's; adamw: 1e-8
    weight_decay: float = Field(default=0.0, ge=0)
    # sgd only: weight decay as part of the gradient and of every weight, norms and biases included (torch.optim.SGD's
    # argument, as the study used it); else decoupled or on kernels alone (see training/optimizers.py)
    decay_all: bool = False
    layer_decay: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _require_place(self, _OPTIMIZERS_OF, "optimizer", self.name)
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` looks ahead along the momentum, which is 0: set momentum, for example to 0.9")
        return self


class Schedule(_Frozen):
    """Learning rate over time. `step` multiplies by `factor` every `every_epochs` (the study: 0.9 every five)."""

    name: Literal["constant", "step", "cosine"] = "constant"
    factor: float = Field(default=0.9, gt=0, le=1)
    every_epochs: int = Field(default=5, ge=1)
    warmup_epochs: float = Field(default=0.0, ge=0)


class Augmentation(_Frozen):
    """Per-sample augmentation of a batch on the training device; the defaults change nothing.

    `policy`: `trivialaugment` draws one operation and its strength for each image (Mueller & Hutter 2021,
    arXiv:2103.10158), `randaugment` `num_ops` of them at `magnitude` of 30 (Cubuk et al. 2020, arXiv:1909.13719).
    `mixup_alpha` (Zhang et al. 2018, arXiv:1710.09412) and `cutmix_alpha` (Yun et al. 2019, arXiv:1905.04899) mix an
    image, and its label, with another of the batch; with both set, each batch draws one of the two.
    """

    random_crop_scale: tuple[float, float] = (1.0, 1.0)  # area of the crop relative to the image
    random_crop_ratio: tuple[float, float] = (1.0, 1.0)  # width / height of the crop
    horizontal_flip: float = Field(default=0.0, ge=0, le=1)
    vertical_flip: float = Field(default=0.0, ge=0, le=1)
    rotation_degrees: float = Field(default=0.0, ge=0, le=180)
    translate: float = Field(default=0.0, ge=0, lt=1)  # of the side
    brightness: float = Field(default=0.0, ge=0, le=1)
    contrast: float = Field(default=0.0, ge=0, le=1)
    saturation: float = Field(default=0.0, ge=0, le=1)
    policy: Literal["none", "trivialaugment", "randaugment"] = "none"
    num_ops: int = Field(default=2, ge=1, le=100)  # randaugment only
    magnitude: float = Field(default=9.0, ge=0, le=30)  # randaugment only
    random_erasing: float = Field(default=0.0, ge=0, le=1)  # probability (Zhong et al. 2017, arXiv:1708.04896)
    mixup_alpha: float = Field(default=0.0, ge=0)  # 0: off
    cutmix_alpha: float = Field(default=0.0, ge=0)  # 0: off
    mix_probability: float = Field(default=1.0, ge=0, le=1)  # share of batches that are mixed at all

    @property
    def is_identity(self) -> bool:
        """True when every image passes unchanged."""
        return self == Augmentation()

    @property
    def mixes(self) -> bool:
        """True when images, and their labels, are mixed with others of the batch."""
        return self.mix_probability > 0 and (self.mixup_alpha > 0 or self.cutmix_alpha > 0)

    @model_validator(mode="after")
    def _has_ranges(self) -> Self:
        for key, low, high in (
            ("random_crop_scale", *self.random_crop_scale),
            ("random_crop_ratio", *self.random_crop_ratio),
        ):
            if not 0 < low <= high:
                raise ValueError(f"`{key}` = [{low:g}, {high:g}] is no range: write the lower bound, above 0, first")
        if self.random_crop_scale[1] > 1:
            raise ValueError("`random_crop_scale` is a share of the image's area: its upper bound is at most 1")
        return self


class Recipe(_Frozen):
    """One training protocol with all its numbers.

    `scratch`: every weight from its initialisation. `linear`: a new head on a frozen backbone in inference mode.
    `partial`: a new head and the layers that `unfreeze` names, from the pretrained weights; all others stay, their
    batch norms in inference mode. `finetune`: every weight from the pretrained ones. `checkpoint`: which epoch's
    weights are kept, `best` on val (the study's way) or the `last`.
    """

    protocol: Protocol
    epochs: int = Field(ge=1, le=MOST_EPOCHS)
    batch_size: int = Field(ge=1, le=MOST_BATCH)
    optimizer: Optimizer
    # partial only: "last:34", layers counted as Keras does, or parts of the network ("stages.6,head")
    unfreeze: str | None = None
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    # What a class counts in the loss: `inverse` to its number of train images, or to its `effective` number
    # (1 - beta^n) / (1 - beta) (Cui et al. 2019, arXiv:1901.05555, eq. 2); the mean over train images is 1.
    class_weights: Literal["none", "inverse", "effective"] = "none"
    effective_beta: float = Field(default=0.999, gt=0, lt=1)
    # `balanced`: an epoch draws as many images as train has, every class equally often
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    # Images that go through the network at once; their gradients are accumulated to those of `batch_size` images. Batch
    # norm then sees the smaller number. None: the whole batch.
    micro_batch_size: int | None = Field(default=None, ge=1)
    clip_norm: float | None = Field(default=None, gt=0)  # largest norm of the gradient of all weights together
    ema_decay: float | None = Field(default=None, gt=0, lt=1)  # the average of weights is what is evaluated and kept
    early_stopping_epochs: int | None = Field(default=None, ge=1)  # epochs without a better val before a run ends
    # One more part of the network, from the classifier down, is trained every so many epochs (Howard & Ruder 2018,
    # arXiv:1801.06146, section 3.3); None: all at once.
    gradual_unfreezing_epochs: float | None = Field(default=None, gt=0)
    # After so many epochs the parts at a quarter of the image's resolution or more are frozen, their batch norms in
    # inference mode: they cost nearly half of a step and change least (in the manner of FreezeOut, Brock et al. 2017,
    # arXiv:1706.04983). None: they never are.
    freeze_early_epochs: float | None = Field(default=None, gt=0)
    # Training is at this share of the resolution, evaluation at all of it: random crops enlarge what they show, so that
    # a smaller image in training shows things as large as the whole image does later, and costs less (Touvron et al.
    # 2019, arXiv:1906.06423).
    training_resolution: float = Field(default=1.0, gt=0, le=1)
    # Training starts at this share of its resolution and grows to all of it by the last epochs (Tan & Le 2021,
    # arXiv:2104.00298, section 4.2).
    progressive_resolution: float | None = Field(default=None, gt=0, le=1)
    dropout: float | None = Field(default=None, ge=0, lt=1)  # None: the architecture's own
    stochastic_depth_prob: float | None = Field(default=None, ge=0, lt=1)  # None: the architecture's own
    # Of batch norm's running statistics, in PyTorch's sense; None: the architecture's own. TensorFlow's 0.001 remembers
    # a thousand steps: a short training would be judged with the statistics of the images before it.
    bn_momentum: float | None = Field(default=None, gt=0, le=1)
    # linear only: features minus their mean on train, over one deviation common to all; folded into the head afterwards
    standardize_features: bool = False
    # linear only: `lbfgs` solves logistic regression exactly, its L2 penalty chosen on val
    solver: Literal["gradient", "lbfgs"] = "gradient"
    feature_views: int = Field(default=1, ge=1, le=1000)  # linear only: cached augmented views of each train image
    precision: Precision = "auto"
    checkpoint: Literal["best", "last"] = "best"

    @model_validator(mode="after")
    def _unfreezes_for_partial_alone(self) -> Self:
        if (self.unfreeze is None) == (self.protocol == "partial"):
            raise ValueError(
                "the protocol partial needs the key unfreeze, for example last:34"
                if self.unfreeze is None
                else f"the key unfreeze is for the protocol partial, not for {self.protocol}"
            )
        return self

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _require_place(self, _PROTOCOLS_OF, "protocol", self.protocol)
        if self.micro_batch_size is not None and self.micro_batch_size > self.batch_size:
            raise ValueError(
                f"`micro_batch_size` = {self.micro_batch_size} is a part of the batch, and `batch_size` is "
                f"{self.batch_size}: lower the one or raise the other"
            )
        if self.protocol == "linear":
            self._require_cacheable()
        if self.solver == "lbfgs":
            self._require_solvable()
        return self

    def _require_cacheable(self) -> None:
        """The frozen backbone runs once over each view of an image, before there are batches."""
        if self.augmentation.mixes:
            raise ValueError(
                "`augmentation.mixup_alpha` and `augmentation.cutmix_alpha` mix the images of a batch, and the "
                "protocol linear caches the features of each by itself: set both to 0, or use the protocol finetune"
            )
        if self.feature_views == 1 and not self.augmentation.is_identity:
            raise ValueError(
                "the protocol linear runs the frozen backbone once over every image, so its recipe takes no "
                "`augmentation`: remove it, set feature_views to the number of augmented views of each image, or use "
                "the protocol finetune"
            )
        if self.feature_views > 1 and self.augmentation.is_identity:
            raise ValueError(
                f"`feature_views` = {self.feature_views} would be as many equal views: say under `augmentation` how "
                "they differ, for example augmentation.horizontal_flip=0.5, or set feature_views to 1"
            )
        for key in ("layer_decay", "decay_all"):
            if _states(self.optimizer, key):
                raise ValueError(
                    f"`optimizer.{key}` is about the layers below the classifier, which the protocol linear does not "
                    "train: remove it, or use the protocol finetune"
                )

    def _require_solvable(self) -> None:
        for key in _NOT_SOLVED:
            if _states(self, key):
                raise ValueError(
                    f"`solver` = lbfgs solves for the head at once, so `{key}` has no meaning: remove it, or set "
                    "solver to gradient"
                )
        if self.dropout:
            raise ValueError(
                "`solver` = lbfgs is exact, which `dropout` is not: set dropout to 0, or solver to gradient"
            )
