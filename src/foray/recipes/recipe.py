"""How to train, as data: frozen, validated recipes, one class a protocol. Unknown keys are errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, TypeAdapter, model_validator

from foray.limits import MOST_BATCH, MOST_EPOCHS
from foray.recipes.optimizer import SGD, Optimizer
from foray.recipes.variants import Frozen, Variant

Protocol = Literal["scratch", "linear", "partial", "finetune"]
Precision = Literal["auto", "float32", "bfloat16"]


class RateSchedule(Frozen):
    """Learning rate over time. `step` multiplies by `factor` every `every_epochs` (the study: 0.9 every five)."""

    name: Literal["constant", "step", "cosine"] = "constant"
    factor: float = Field(default=0.9, gt=0, le=1)
    every_epochs: int = Field(default=5, ge=1)
    warmup_epochs: float = Field(default=0.0, ge=0)


class Augmentation(Frozen):
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
                raise ValueError(f"`{key}` = [{low:g}, {high:g}] is not a range: write the lower bound, above 0, first")
        if self.random_crop_scale[1] > 1:
            raise ValueError("`random_crop_scale` is a share of the image's area: its upper bound is at most 1")
        return self


class AnyRecipe(Variant):
    """What the recipes of all protocols have. `checkpoint`: which epoch's weights are kept, `best` on val or `last`."""

    TAG: ClassVar[str] = "protocol"
    NOUN: ClassVar[str] = "protocol"
    STORED_KEYS: ClassVar[tuple[str, ...]] = (
        "protocol", "epochs", "batch_size", "optimizer", "unfreeze", "schedule", "augmentation", "label_smoothing",
        "class_weights", "effective_beta", "sampling", "micro_batch_size", "clip_norm", "ema_decay",
        "early_stopping_epochs", "gradual_unfreezing_epochs", "freeze_early_epochs", "training_resolution",
        "progressive_resolution", "dropout", "stochastic_depth_prob", "bn_momentum", "standardize_features", "solver",
        "feature_views", "precision", "checkpoint",
    )  # fmt: skip

    epochs: int = Field(ge=1, le=MOST_EPOCHS)
    batch_size: int = Field(ge=1, le=MOST_BATCH)
    optimizer: Optimizer
    schedule: RateSchedule = RateSchedule()
    augmentation: Augmentation = Augmentation()
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    # Class weights of the loss: `inverse` to its number of train images, or to its `effective` number
    # (1 - beta^n) / (1 - beta) (Cui et al. 2019, arXiv:1901.05555, eq. 2); the mean over train images is 1.
    class_weights: Literal["none", "inverse", "effective"] = "none"
    effective_beta: float = Field(default=0.999, gt=0, lt=1)
    # `balanced`: an epoch draws as many images as train has, every class equally often
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    clip_norm: float | None = Field(default=None, gt=0)  # largest norm of the gradient of all weights together
    ema_decay: float | None = Field(default=None, gt=0, lt=1)  # the average of weights is what is evaluated and kept
    early_stopping_epochs: int | None = Field(default=None, ge=1)  # epochs without a better val before a run ends
    dropout: float | None = Field(default=None, ge=0, lt=1)  # None: the architecture's own
    precision: Precision = "auto"
    checkpoint: Literal["best", "last"] = "best"

    @classmethod
    def variants(cls) -> Sequence[type[AnyRecipe]]:
        """One class a protocol."""
        return RECIPES


class AnyNetworkRecipe(AnyRecipe):
    """What the protocols have in common that run the network on every batch: all but `linear`."""

    # Images that go through the network at once; their gradients are accumulated to those of `batch_size` images. Batch
    # norm then sees the smaller number. None: the whole batch.
    micro_batch_size: int | None = Field(default=None, ge=1)
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
    stochastic_depth_prob: float | None = Field(default=None, ge=0, lt=1)  # None: the architecture's own
    # Of batch norm's running statistics, in PyTorch's sense; None: the architecture's own. TensorFlow's 0.001 remembers
    # a thousand steps: a short training would be judged with the statistics of the images before it.
    bn_momentum: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _has_micro_batches_within_the_batch(self) -> Self:
        if self.micro_batch_size is not None and self.micro_batch_size > self.batch_size:
            raise ValueError(
                f"`micro_batch_size` = {self.micro_batch_size} must not exceed `batch_size`, which is "
                f"{self.batch_size}: lower the former or raise the latter"
            )
        return self


class ScratchRecipe(AnyNetworkRecipe):
    """Every weight from its initialisation."""

    protocol: Literal["scratch"] = "scratch"
    gradual_unfreezing_epochs: None = None


class FinetuneRecipe(AnyNetworkRecipe):
    """Every weight from the pretrained ones."""

    protocol: Literal["finetune"] = "finetune"


class PartialRecipe(AnyNetworkRecipe):
    """A new head and the layers that `unfreeze` names, from the pretrained weights.

    All other layers stay, their batch norms in inference mode. `unfreeze`: "last:34", layers counted as Keras does, or
    parts of the network ("stages.6,head").
    """

    protocol: Literal["partial"] = "partial"
    unfreeze: str
    gradual_unfreezing_epochs: None = None
    freeze_early_epochs: None = None

    @model_validator(mode="before")
    @classmethod
    def _unfreezes_something(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("unfreeze") is None:
            raise ValueError("the protocol partial needs `unfreeze`, for example last:34")
        return given


class LinearRecipe(AnyRecipe):
    """A new head on a frozen backbone in inference mode, which runs once over each view of an image.

    `standardize_features`: features minus their mean on train, over one deviation common to all; folded into the head
    afterwards. `solver`: `lbfgs` solves logistic regression exactly, its L2 penalty chosen on val. `feature_views`:
    cached augmented views of each train image.
    """

    protocol: Literal["linear"] = "linear"
    standardize_features: bool = False
    solver: Literal["gradient", "lbfgs"] = "gradient"
    feature_views: int = Field(default=1, ge=1, le=1000)

    @model_validator(mode="after")
    def _fits_cached_features(self) -> Self:
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
                f"`feature_views` = {self.feature_views} views of an image are all equal without augmentation: set a "
                "key of `augmentation`, for example augmentation.horizontal_flip=0.5, or set feature_views to 1"
            )
        decays_all = isinstance(self.optimizer, SGD) and self.optimizer.decay_all
        for key, stated in (("layer_decay", self.optimizer.layer_decay != 1.0), ("decay_all", decays_all)):
            if stated:
                raise ValueError(
                    f"`optimizer.{key}` applies to the layers below the classifier, which the protocol linear "
                    "does not train: remove it, or use the protocol finetune"
                )
        return self

    @model_validator(mode="after")
    def _is_solvable(self) -> Self:
        if self.solver == "gradient":
            return self
        by_batch_or_epoch = ("sampling", "ema_decay", "clip_norm", "early_stopping_epochs")
        for key in by_batch_or_epoch:
            if getattr(self, key) != self.stored_default(key):
                raise ValueError(
                    f"`solver` = lbfgs fits the head to convergence, so `{key}` has no meaning: remove it, or set "
                    "solver to gradient"
                )
        if self.dropout:
            raise ValueError("`solver` = lbfgs cannot use `dropout`: set dropout to 0, or solver to gradient")
        return self


NetworkRecipe = ScratchRecipe | PartialRecipe | FinetuneRecipe
Recipe = Annotated[ScratchRecipe | LinearRecipe | PartialRecipe | FinetuneRecipe, Field(discriminator="protocol")]
RECIPES: tuple[type[AnyRecipe], ...] = get_args(get_args(Recipe)[0])
RECIPE_ADAPTER: TypeAdapter[Recipe] = TypeAdapter(Recipe)
