"""The plan of a run, complete before training: variant, weights, resolution, small-image handling."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

import torch

from foray.data import Dataset, typical_side
from foray.errors import DataError, ForayError
from foray.limits import MOST_RESOLUTION, require_range, require_seed
from foray.models import SmallImage, build_model, has_large_form
from foray.progress import SILENT, Progress
from foray.recipes import Recipe
from foray.requests import SMALL_IMAGE_CROP, SMALL_IMAGE_SIDE, TrainingRequest
from foray.specs import ArchSpec, Preprocessing, get_spec
from foray.training.freezing import unfreeze_part
from foray.weights import PretrainedWeights, find_weights


@dataclass(frozen=True)
class RunPlan:
    """One model x recipe x data x seed. `requested`: the name the user gave; `spec`: the variant that is trained.

    `deterministic`: float32 and deterministic algorithms, so that the same plan gives the same weights bit for bit on
    the same machine. `large_classifier`: of a run that an earlier version began, see foray.models.initialization.
    """

    requested: str
    spec: ArchSpec
    weights: PretrainedWeights | None
    recipe: Recipe
    num_classes: int
    preprocessing: Preprocessing
    small_image: SmallImage
    seed: int
    deterministic: bool = False
    large_classifier: bool = False

    @property
    def draws_classifier(self) -> bool:
        """Whether training starts from a classifier that is not the file's."""
        return self.weights is None or self.weights.num_classes != self.num_classes

    @property
    def key(self) -> str:
        """Hexadecimal digest of everything that decides the result, but for the data."""
        about: dict[str, Any] = {
            "architecture": self.spec.name,
            "weights": self.weights.sha256 if self.weights else None,
            "recipe": self.recipe.model_dump(mode="json"),
            "num_classes": self.num_classes,
            "preprocessing": self.preprocessing.identity,
            "small_image": self.small_image,
            "seed": self.seed,
            "deterministic": self.deterministic,
        }
        two_forms = self.draws_classifier and has_large_form(self.spec.initialization, self.num_classes)
        if two_forms and not self.large_classifier:
            about["large_classifier"] = False  # keys of earlier versions, which drew it large, do not state it
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def plan_run(
    model: str,
    dataset: Dataset,
    how: TrainingRequest,
    *,
    seed: int = 0,
    deterministic: bool = False,
    offline: bool = False,
    progress: Progress = SILENT,
) -> RunPlan:
    """Plans a run. Weights are found (and downloaded from the hub), nothing is trained.

    Resolution: as given; else with weights their native one, to which smaller images are enlarged ("upsampled"); from
    scratch the architecture's, but for images of at most 64 pixels 32 or their own side, whichever is larger. Training
    from scratch at 64 pixels or less gives the stem stride 1. A scaled name (`efficientnet@d1.2,w1.1,r240`) states its
    resolution and its graph is left as it was costed. Images that are enlarged are used whole: the central crop of the
    weights is for photographs. Raises ForayError for what does not fit together.
    """
    _require_splits(dataset)
    recipe, resolution, weights = how.recipe_for(dataset), how.resolution, how.weights
    if resolution is not None:
        require_range("`resolution`", resolution, 1, MOST_RESOLUTION)
    require_seed(seed)
    side = typical_side(dataset)
    found: PretrainedWeights | None = None
    small_image: SmallImage = "none"
    if recipe.protocol == "scratch":
        if weights is not None:
            raise ForayError(
                "`protocol` scratch starts from fresh weights. Leave `weights` out, or use `protocol` finetune."
            )
        spec = get_spec(model)
        preprocessing = _scratch_preprocessing(spec, side, resolution)
        if preprocessing.resolution <= SMALL_IMAGE_SIDE and not spec.fixed_resolution:
            small_image = "stride1_stem"
    else:
        get_spec(model)  # unknown names are reported before missing weights
        if weights is None:
            raise ForayError(
                f"`protocol` {recipe.protocol} starts from pretrained weights. Name them with `weights`: a folder in "
                "timm's layout, a folder of such folders, a file, a hub id, or hub. Without weights, use `protocol` "
                "scratch."
            )
        found = find_weights(weights, model, offline=offline, progress=progress)
        spec, preprocessing = found.spec, found.preprocessing
        if resolution is not None:
            preprocessing = replace(preprocessing, resolution=resolution)
        if side <= SMALL_IMAGE_SIDE < preprocessing.resolution:
            preprocessing, small_image = replace(preprocessing, crop_pct=SMALL_IMAGE_CROP), "upsampled"
    _require_resolution(spec, preprocessing.resolution, small_image)
    if recipe.protocol == "partial":
        _require_unfreezable(spec, recipe.unfreeze)
    return RunPlan(
        requested=model,
        spec=spec,
        weights=found,
        recipe=recipe,
        num_classes=len(dataset.classes),
        preprocessing=preprocessing,
        small_image=small_image,
        seed=seed,
        deterministic=deterministic,
    )


def _scratch_preprocessing(spec: ArchSpec, side: int, resolution: int | None) -> Preprocessing:
    if side > SMALL_IMAGE_SIDE:
        return replace(spec.preprocessing, resolution=resolution or spec.resolution)
    usual = spec.resolution if spec.fixed_resolution else max(32, side)
    return replace(spec.preprocessing, resolution=resolution or usual, crop_pct=SMALL_IMAGE_CROP)


def _require_resolution(spec: ArchSpec, resolution: int, small_image: SmallImage) -> None:
    require_range("`resolution`", resolution, 1, MOST_RESOLUTION)
    if spec.fixed_resolution and resolution != spec.resolution:
        raise ForayError(
            f"{spec.name} is {spec.resolution} px by its name, and `resolution` says {resolution}. Leave `resolution` "
            "out, or change the r of the name."
        )
    least = spec.stride // spec.stem.stride if small_image == "stride1_stem" else spec.stride
    if resolution < least:
        raise ForayError(
            f"An input of {resolution} px is too small for {spec.name}, which divides its side by {least}. Use "
            f"`resolution` {least} or more."
        )


def _require_unfreezable(spec: ArchSpec, unfreeze: str) -> None:
    """What cannot be unfrozen is said before anything is measured or decoded."""
    with torch.device("meta"):
        unfreeze_part(build_model(spec), unfreeze)


def _require_splits(dataset: Dataset) -> None:
    missing = [split for split in ("train", "val", "test") if not len(dataset.indices(split))]
    if missing:
        raise DataError(f"{dataset.name} has no {' and no '.join(missing)} images, so nothing can be trained on it.")
