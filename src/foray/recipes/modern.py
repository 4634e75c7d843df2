"""Recipes with a name of their own: longer and stronger than the presets, or for one purpose.

Each is one function whose docstring states its purpose and results. "Not run yet" means just that: its numbers are
those of the literature it names, not of a measurement here.
"""

from __future__ import annotations

from typing import Any

from foray.recipes.optimizer import SGD, AdamW
from foray.recipes.presets import BN_MOMENTUM, PHOTOS, finetune, linear, partial_of
from foray.recipes.recipe import (
    RECIPE_ADAPTER,
    Augmentation,
    FinetuneRecipe,
    RateSchedule,
    Recipe,
    ScratchRecipe,
)

# As torchvision trains its second generation of weights (Vryniotis 2021, "How to Train State-Of-The-Art Models Using
# TorchVision's Latest Primitives"): TrivialAugment, erasing, mixup 0.2 and CutMix 1.0.
_STRONG = PHOTOS.model_copy(
    update={"policy": "trivialaugment", "random_erasing": 0.1, "mixup_alpha": 0.2, "cutmix_alpha": 1.0}
)


def scratch_strong() -> ScratchRecipe:
    """Every weight from its initialisation, for 300 epochs, regularised against memorising the images.

    TrivialAugment, erasing, mixup and CutMix, label smoothing, stochastic depth, and the average of weights in place of
    the last ones. For photographs, a few thousand at least; below some 100 epochs `scratch` is the better choice.

    Command:  foray train DATA --model efficientnet_b0 --recipe scratch_strong
    Result:   not run yet
    """
    return ScratchRecipe(
        epochs=300,
        batch_size=128,
        optimizer=AdamW(learning_rate=2e-3, weight_decay=0.05),
        schedule=RateSchedule(name="cosine", warmup_epochs=5.0),
        augmentation=_STRONG,
        label_smoothing=0.1,
        ema_decay=0.999,
        stochastic_depth_prob=0.2,
        bn_momentum=BN_MOMENTUM,
    )


def finetune_strong() -> FinetuneRecipe:
    """Every weight from the pretrained ones, for long, each part of the network slower than the one above it.

    Half of the batches are mixed. For the last tenths of a point where `finetune` has levelled off.

    Command:  foray train DATA --model efficientnet_v2_b0 --recipe finetune_strong --weights hub
    Result:   not run yet
    """
    return FinetuneRecipe(
        epochs=50,
        batch_size=64,
        optimizer=AdamW(learning_rate=1e-3, weight_decay=0.05, layer_decay=0.75),
        schedule=RateSchedule(name="cosine", warmup_epochs=3.0),
        augmentation=_STRONG.model_copy(update={"mix_probability": 0.5}),
        label_smoothing=0.1,
        ema_decay=0.998,
        stochastic_depth_prob=0.2,
        bn_momentum=BN_MOMENTUM,
    )


def finetune_gradual() -> Recipe:
    """Every weight from the pretrained ones, unfrozen part by part from the classifier down, as ULMFiT does.

    Howard & Ruder 2018 (arXiv:1801.06146, section 3): one more part each epoch (MobileNetV2 and EfficientNet have ten,
    so that all are trained from the tenth epoch on), discriminative rates, and a rate that rises for a tenth of the
    steps. They divide the rate by 2.6 a layer, 2.6^4 = 46 from the classifier to the lowest; 0.65 a part comes to 48
    over nine parts. Their rate falls linearly, ours along a cosine. For small data sets, where a new classifier's first
    gradients would spoil what was pretrained.

    Command:  foray train DATA --model mobilenet_v2 --recipe finetune_gradual --weights hub
    Result:   not run yet
    """
    return _with(
        finetune(),
        epochs=20,
        optimizer=AdamW(learning_rate=1e-3, weight_decay=0.05, layer_decay=0.65),
        schedule=RateSchedule(name="cosine", warmup_epochs=2.0),
        gradual_unfreezing_epochs=1.0,
        freeze_early_epochs=None,
        training_resolution=1.0,
        progressive_resolution=None,
    )


def partial_strong() -> Recipe:
    """A new head and the last 34 layers, trained as `finetune_strong` trains all of them.

    Command:  foray train DATA --model mobilenet_v2 --recipe partial_strong --weights hub
    Result:   not run yet
    """
    return partial_of(finetune_strong(), "last:34")


def linear_exact() -> Recipe:
    """A new head on frozen features as the exact solution of logistic regression, its L2 penalty chosen on val.

    Nothing is left to a rate or a number of epochs; those in the file are not used.

    Command:  foray train DATA --model mobilenet_v2 --recipe linear_exact --weights hub
    Result:   not run yet
    """
    return _with(linear(), solver="lbfgs")


def linear_views() -> Recipe:
    """A new head on frozen features of eight views of each train image, seven of them augmented (flips, crops).

    The backbone runs eight times over train, which is eight times the time of `linear` before the first epoch.

    Command:  foray train DATA --model mobilenet_v2 --recipe linear_views --weights hub
    Result:   not run yet
    """
    return _with(linear(), feature_views=8, augmentation=PHOTOS)


def cifar10_scratch() -> Recipe:
    """CIFAR-10 at 32 pixels from scratch, meant to take MobileNetV2 and EfficientNet-B0 to 94 to 95 % on one GPU within
    ten minutes.

    Nesterov momentum and weight decay 5e-4 with a rate of 0.1 for 128 images (Zagoruyko & Komodakis 2016,
    arXiv:1605.07146, section 3), scaled to 512 in proportion (Goyal et al. 2017, arXiv:1706.02677), one cycle of the
    rate up and down (Smith 2018, arXiv:1803.09820) along a cosine; shifts by up to four pixels and mirroring. The last
    epoch's weights are kept: the rate has come down, so val need not choose.

    Command:  foray train cifar10 --model mobilenet_v2 --recipe cifar10_scratch --resolution 32
    Result:   not run yet
    """
    return ScratchRecipe(
        epochs=100,
        batch_size=512,
        optimizer=SGD(learning_rate=0.4, momentum=0.9, nesterov=True, weight_decay=5e-4),
        schedule=RateSchedule(name="cosine", warmup_epochs=15.0),
        augmentation=Augmentation(translate=0.125, horizontal_flip=0.5),
        label_smoothing=0.1,
        bn_momentum=BN_MOMENTUM,
        checkpoint="last",
    )


def _with(recipe: Recipe, **changes: Any) -> Recipe:
    """`recipe` with these keys, validated again (`model_copy` would not)."""
    return RECIPE_ADAPTER.validate_python(recipe.model_dump() | changes)
