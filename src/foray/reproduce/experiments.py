"""The runs that the claims need, as data: the study's own, those on stand-ins and reduced data, and mini ones.

An experiment plays a `role` ("deepweeds-b1": B1 on DeepWeeds), the same at every scale. At scale `full` it is the
study's protocol on the study's images. At `standin` it takes two cores minutes: other images where the study's
are not public or not small, lower resolutions, fewer epochs. At `mini` it only shows that the code runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from foray.errors import require_known
from foray.recipes import Recipe, changed, recipe_named
from foray.records.reproduction import Scale


class PerClass(NamedTuple):
    """Number of images per class kept in each split."""

    train: int
    val: int
    test: int

    def words(self) -> str:
        """In words, for records and pages."""
        return f"{self.train} train, {self.val} val and {self.test} test images per class"


@dataclass(frozen=True)
class Experiment:
    """One model x recipe x images, run once per seed. `recipe` None: pretrained weights are evaluated, not trained.

    `source`: a name of `foray.reproduce.sources`; `changes`: `key=value` of the recipe (foray.recipes.changed);
    `resolution` in pixels, None: the weights' or architecture's own. `against`: the role of the study's experiment that
    it is compared with, where that is another one. `fold`: of the official ones, None: the first.
    """

    role: str
    scale: Scale
    model: str
    recipe: str | None
    source: str
    resolution: int | None = None
    changes: tuple[str, ...] = ()
    per_class: PerClass | None = None
    seeds: tuple[int, ...] = (0,)
    against: str | None = None
    fold: int | None = None

    @property
    def key(self) -> str:
        """Scale and role: the folder of its results."""
        return f"{self.scale}/{self.role}"

    def resolved(self) -> Recipe | None:
        """The recipe with its changes."""
        return None if self.recipe is None else changed(recipe_named(self.recipe), self.changes)


_MODELS = {"b0": "efficientnet_b0", "b1": "efficientnet_b1", "b2": "efficientnet_b2"}
_TRANSFER = {"mobilenet": "mobilenet_v2", "b0": "efficientnet_b0", "v2b0": "efficientnet_v2_b0"}
FROZEN_FOLDS = tuple(f"deepweeds-mobilenet-frozen-fold{fold}" for fold in range(1, 5))
_NATIVE = {"b0": 224, "b1": 240, "b2": 260}  # pixels (Tan & Le's)
_PROTOCOLS = {
    "frozen": "study_mobilenet_linear",
    "last34": "study_mobilenet_last34",
    "sgd": "study_mobilenet_sgd",
    "whole": "study_mobilenet_whole",
}
# Twice the MACs of efficientnet@d0.5,w0.5,r64, spent on one dimension and on all three: the nearest networks that
# rounding leaves (foray.scaling.directions), with 2.42, 2.01, 2.09 and 1.98 times its multiply-accumulates.
SCALED = {
    "depth": "efficientnet@d1.01,w0.5,r64",
    "width": "efficientnet@d0.5,w0.74,r64",
    "resolution": "efficientnet@d0.5,w0.5,r88",
    "compound": "efficientnet@d0.5,w0.55,r76",
}


def _full() -> dict[str, Experiment]:
    found = [
        *(Experiment(f"cifar10-{b}", "full", model, "study_cifar_finetune", "cifar10", _NATIVE[b])
          for b, model in _MODELS.items()),
        Experiment("cifar100-b0", "full", "efficientnet_b0", "study_cifar_finetune", "cifar100", 224),
        *(Experiment(f"deepweeds-{b}", "full", model, "study_deepweeds_scratch", "deepweeds", _NATIVE[b])
          for b, model in _MODELS.items()),
        Experiment("rps-b0", "full", "efficientnet_b0", "study_rps_finetune", "rock_paper_scissors", 150),
        Experiment("rps-b2", "full", "efficientnet_b2", "study_rps_finetune", "rock_paper_scissors", 300),
        *(Experiment(f"deepweeds-{name}-{protocol}", "full", model, recipe, "deepweeds", 224)
          for name, model in _TRANSFER.items() for protocol, recipe in _PROTOCOLS.items()),
        *(Experiment(role, "full", "mobilenet_v2", _PROTOCOLS["frozen"], "deepweeds", 224, fold=fold)
          for fold, role in enumerate(FROZEN_FOLDS, start=1)),
        Experiment("deepweeds-mobilenet-frozen-sgd", "full", "mobilenet_v2", _PROTOCOLS["frozen"], "deepweeds", 224,
                   ("optimizer.name=sgd", "optimizer.learning_rate=0.01")),
        Experiment("deepweeds-mobilenet-scratch", "full", "mobilenet_v2", "study_deepweeds_scratch", "deepweeds", 224),
        Experiment("imagenet-mobilenet", "full", "mobilenet_v2", None, "imagenet", 224),
    ]  # fmt: skip
    return {one.role: one for one in found}


# A quarter of the batch of study recipes for 128, so that few images give enough steps.
_SMALL_BATCH = "batch_size=32"
_CIFAR_PART = PerClass(425, 75, 200)


def _standin() -> dict[str, Experiment]:
    weeds, hands, cifar = "plant_seedlings", "rock_paper_scissors_28px", "cifar10"
    found = [
        Experiment("imagenet-mobilenet", "standin", "mobilenet_v2", None, "imagenet_val_500", 224),
        Experiment("imagenet-sample", "standin", "mobilenet_v2", None, "imagenet_sample_1000", 224,
                   against="imagenet-mobilenet"),
        *(Experiment(f"deepweeds-{name}-{protocol}", "standin", model, recipe, weeds, 96)
          for name, model in _TRANSFER.items() for protocol, recipe in _PROTOCOLS.items()),
        Experiment("rps-b0", "standin", "efficientnet_b0", "study_rps_finetune", hands, 75, ("epochs=6",)),
        Experiment("rps-b2", "standin", "efficientnet_b2", "study_rps_finetune", hands, 150,
                   ("protocol=scratch", "epochs=2")),
        *(Experiment(f"rps-{b}-scratch", "standin", model, "study_rps_finetune", hands, 48,
                     ("protocol=scratch", "epochs=6"), against="rps-b0")
          for b, model in _MODELS.items()),
        Experiment("cifar10-b0", "standin", "efficientnet_b0", "study_cifar_finetune", cifar, 96,
                   (_SMALL_BATCH, "epochs=6"), _CIFAR_PART),
        *(Experiment(f"cifar10-{b}-scratch", "standin", model, "study_cifar_finetune", cifar, 32,
                     ("protocol=scratch", "epochs=8", _SMALL_BATCH), _CIFAR_PART, against=f"cifar10-{b}")
          for b, model in _MODELS.items()),
        *(Experiment(f"scaling-{way}", "standin", model, "study_cifar_finetune", cifar, None,
                     ("protocol=scratch", "epochs=6", _SMALL_BATCH), _CIFAR_PART) for way, model in SCALED.items()),
        *(Experiment(f"deepweeds-{name}", "standin", model, "study_deepweeds_scratch", weeds, 48,
                     (_SMALL_BATCH, "optimizer.learning_rate=0.01", "epochs=8"))  # the rate of the other recipes
          for name, model in {"b0": _MODELS["b0"], "mobilenet-scratch": "mobilenet_v2", **_MODELS}.items()),
    ]  # fmt: skip
    return {one.role: one for one in found}


def _mini(one: Experiment) -> Experiment:
    """The same model and protocol on a few images, two epochs of them."""
    fixed = "@" in one.model  # a scaled name states its resolution
    largest = one.resolution is not None and one.resolution >= 300
    changes = () if one.recipe is None else (*one.changes, "epochs=2", "batch_size=8", "optimizer.learning_rate=0.001")
    return Experiment(
        role=one.role,
        scale="mini",
        model=one.model,
        recipe=one.recipe,
        source=one.source,
        resolution=None if fixed else 64 if largest else 32,
        changes=changes,
        per_class=PerClass(2, 1, 1) if one.source == "cifar100" else PerClass(4, 2, 2),
        against=one.against,
    )


FULL: Mapping[str, Experiment] = _full()
STANDIN: Mapping[str, Experiment] = _standin()
MINI: Mapping[str, Experiment] = {role: _mini(one) for role, one in {**STANDIN, **FULL}.items()}
BY_SCALE: Mapping[Scale, Mapping[str, Experiment]] = {"full": FULL, "standin": STANDIN, "mini": MINI}
TIMES_ROLES = ("times-training", "times-latency")  # timed in turns (foray.reproduce.times), at full and mini
ROLES = (*MINI, *TIMES_ROLES)


def experiments_at(scale: Scale, roles: Collection[str]) -> list[Experiment]:
    """Those of `roles` that exist at a scale, in the order they are run."""
    require_known("scale", scale, BY_SCALE)
    return [one for role, one in BY_SCALE[scale].items() if role in roles]
