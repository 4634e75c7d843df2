"""The presets: one function a protocol, each with its command, what to expect, the time it takes, and on what."""

from __future__ import annotations

from typing import get_args

from foray.errors import ForayError, UnknownNameError
from foray.limits import MOST_EPOCHS, require_range
from foray.recipes.optimizer import AdamW, RMSprop
from foray.recipes.recipe import (
    Augmentation,
    FinetuneRecipe,
    LinearRecipe,
    PartialRecipe,
    Protocol,
    RateSchedule,
    Recipe,
    ScratchRecipe,
)

# Natural photographs may be mirrored and cropped. Images of 64 pixels or less (`small_images`) often are glyphs, where
# a mirrored "2" is no "2" and a crop may cut the stroke that tells 8 from 3: they are only shifted and turned a little.
PHOTOS = Augmentation(random_crop_scale=(0.35, 1.0), random_crop_ratio=(3 / 4, 4 / 3), horizontal_flip=0.5)
SMALL_IMAGES = Augmentation(translate=0.08, rotation_degrees=10.0)

# PyTorch's default. With the 0.001 of TensorFlow's MobileNets, four epochs of 104 steps end at 90 % on train and 18 %
# on val, because the running statistics are still those of ImageNet; with 0.1, at 90 % on both.
BN_MOMENTUM = 0.1


def preset(
    protocol: Protocol, *, epochs: int | None = None, small_images: bool = False, unfreeze: str | None = None
) -> Recipe:
    """The recipe of a protocol; `epochs` and `unfreeze` (for `partial`) replace the preset's own.

    `small_images`: the images are at most 64 pixels wide, so nothing is mirrored or cropped, nor trained on smaller.
    Raises ForayError for an unknown protocol, for `epochs` below 1 or beyond all reason, and for `unfreeze`
    with another protocol than `partial`.
    """
    if protocol not in get_args(Protocol):
        raise UnknownNameError("protocol", str(protocol), get_args(Protocol))
    if unfreeze is not None and protocol != "partial":
        raise ForayError(f"`unfreeze` is for `protocol` partial; {protocol} already states what is trained.")
    if epochs is not None:
        require_range("`epochs`", epochs, 1, MOST_EPOCHS)
    augmentation = SMALL_IMAGES if small_images else PHOTOS
    recipe: Recipe
    match protocol:
        case "linear":
            recipe = linear()
        case "partial":
            recipe = partial(augmentation, unfreeze or "last:34")
        case "scratch":
            recipe = scratch(augmentation)
        case "finetune":
            recipe = finetune(augmentation)
    changes: dict[str, object] = {} if epochs is None else {"epochs": epochs}
    if small_images and protocol != "linear":  # too few pixels to train on fewer
        changes |= {"training_resolution": 1.0, "progressive_resolution": None}
    return recipe.model_copy(update=changes)


def scratch(augmentation: Augmentation = PHOTOS) -> ScratchRecipe:
    """Every weight from its initialisation: AdamW with a cosine after one epoch of warm-up.

    Command:  foray train digits --model mobilenet_v2_x0.5 --protocol scratch --epochs 15 --seed 0 (to 4)
    Result:   98.9 % test top-1, median of five seeds (98.1 to 99.6 %; n = 269)
    Time:     2 min, 8 s per epoch
    Hardware: two cores of an Intel Xeon at 2.5 GHz, float32
    """
    return ScratchRecipe(
        epochs=30,
        batch_size=32,
        optimizer=AdamW(learning_rate=3e-3, weight_decay=0.05),
        schedule=RateSchedule(name="cosine", warmup_epochs=1.0),
        augmentation=augmentation,
        bn_momentum=BN_MOMENTUM,
    )


def linear() -> LinearRecipe:
    """A new head on frozen features: the study's optimiser (RMSProp 1e-3, batch 32), no augmentation.

    The rate falls to 0 along a cosine, features are standardised and weights decay: chosen out of fold on train and
    val of Plant Seedlings, where the study's constant rate without decay scores 83.4 % (MobileNetV2) and 89.5 %
    (EfficientNet-B0), and this 84.1 % and 89.6 %. More epochs cost almost nothing: the backbone runs once.

    Command:  foray train DATA --model mobilenet_v2 --protocol linear --weights DIR
              DATA: the 4,750 labelled Plant Seedlings of Kaggle's competition, in train, val and test
    Result:   83.2 % test top-1, mean of three seeds (deviation 0.2 points, n = 723); EfficientNet-B0 and
              EfficientNetV2-B0 90.2 % each, with the large classifier of earlier versions
    Time:     1 min from empty caches, of which features 36 s; another seed 7 s
    Hardware: two cores of an Intel Xeon at 2.5 GHz, OpenVINO in float32
    """
    return LinearRecipe(
        epochs=30,
        batch_size=32,
        optimizer=RMSprop(learning_rate=1e-3, weight_decay=2.0),
        schedule=RateSchedule(name="cosine"),
        dropout=0.0,
        standardize_features=True,
        checkpoint="last",  # the rate has come down: no epoch needs to be picked on val
    )


def finetune(augmentation: Augmentation = PHOTOS) -> FinetuneRecipe:
    """Every weight from the pretrained ones: AdamW with a cosine after one epoch of warm-up.

    Meant for minutes on a CPU. Images grow from 73 to 91 % of the resolution that is evaluated, which costs a third
    less and, for random crops, shows things about as large as evaluation does. After an epoch and a half the early
    parts, half of the work of a step, have seen what is new about the images and are left as they are.

    Command:  foray train DATA --model mobilenet_v2 --protocol finetune --weights DIR --resolution 176
              --set augmentation.vertical_flip=0.5
              DATA: as for `linear`, plants seen from above, which have no upside
    Result:   95.6 % test top-1, median of three seeds (95.2 to 96.1 %, n = 723); the same seeds with arithmetic that
              was rounded otherwise: 96.1 % (94.3 to 96.7 %) and 95.4 % (95.2 to 95.7 %). EfficientNetV2-B0 at 192
              px, with the large classifier of earlier versions: 95.0 %; at half the rate 95.9 % (one seed each)
    Time:     11 min 12 s from empty caches, validation and test included (median of three, nothing else running), 5 min
              38 s on a day when the machine was faster; EfficientNetV2-B0, the last of the three, 24 min
    Hardware: two cores of an AMD EPYC (Zen 3) without bfloat16, float32
    """
    return FinetuneRecipe(
        epochs=8,
        batch_size=32,
        optimizer=AdamW(learning_rate=1e-3, weight_decay=0.05),
        schedule=RateSchedule(name="cosine", warmup_epochs=1.0),
        augmentation=augmentation,
        label_smoothing=0.1,
        freeze_early_epochs=1.5,
        training_resolution=0.91,
        progressive_resolution=0.8,
        bn_momentum=BN_MOMENTUM,
    )


def partial(augmentation: Augmentation = PHOTOS, unfreeze: str = "last:34") -> PartialRecipe:
    """A new head and the last 34 layers (the study's number, counted as Keras does), as `finetune` trains all of them.

    The study does not print the rate nor the epochs of this stage; ours are those of `finetune`, so that the two
    protocols differ in what is trained alone.

    Command:  foray train DATA --model mobilenet_v2_x0.5 --protocol partial --weights DIR --resolution 128 --epochs 4
              DATA: as for `linear`
    Result:   86.4 % test top-1 (83.8 to 88.7 %, n = 723), one seed, with earlier numbers of both presets (a rate of
              5e-4, images of full size), where `finetune` had 89.8 %
    Time:     3 min, 39 s per epoch
    Hardware: two cores of an Intel Xeon at 2.5 GHz, float32
    """
    return partial_of(finetune(augmentation), unfreeze)


def partial_of(whole: FinetuneRecipe, unfreeze: str) -> PartialRecipe:
    """`whole` for the layers that `unfreeze` names alone, none of which is frozen early."""
    changes = {"protocol": "partial", "unfreeze": unfreeze, "freeze_early_epochs": None}
    return PartialRecipe.model_validate(whole.model_dump() | changes)
