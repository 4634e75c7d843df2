"""Whether two runs are the same: everything that decides the result, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

from foray.errors import RunError
from foray.models import has_large_form
from foray.recipes.recipe import AnyRecipe
from foray.recipes.toml import validated
from foray.records import RunFolder, RunRecord
from foray.records.sealing import sha256
from foray.specs import Preprocessing, get_spec
from foray.training.plan import RunPlan


def as_begun(run: RunFolder, plan: RunPlan) -> RunPlan:
    """`plan`, but a run begun by an earlier version goes on as it began: those rounded the long side, cropped small
    images that are enlarged, and drew a large classifier."""
    if not run.record.exists():
        return plan
    there = run.load()
    return replace(
        plan,
        preprocessing=_preprocessing_as_begun(there.preprocessing, plan),
        large_classifier=began_with_large_classifier(there),
    )


def began_with_large_classifier(record: RunRecord) -> bool:
    """Whether the run drew a classifier, and in the large form of its family's rule (foray.models.initialization)."""
    return _has_two_forms(record) and record.architecture.large_classifier is not False


def _has_two_forms(record: RunRecord) -> bool:
    about = record.architecture
    drawn = record.weights is None or record.weights.head != "kept"
    return drawn and has_large_form(get_spec(about.name).initialization, about.num_classes)


def _preprocessing_as_begun(there: Preprocessing, plan: RunPlan) -> Preprocessing:
    earlier = planned = plan.preprocessing
    if planned.resize == "cut" and there.resize == "rounded":
        earlier = replace(earlier, resize="rounded")
    if plan.small_image == "upsampled":
        earlier = replace(earlier, crop_pct=there.crop_pct)
    return there if there == earlier else planned


def earlier_record(run: RunFolder, planned: RunRecord) -> RunRecord | None:
    """The record of the same run, started earlier, if any. Raises RunError when the folder holds a different run."""
    if not run.record.exists():
        return None
    there = run.load()
    differences = _differences(there, planned)
    if differences:
        raise RunError(
            f"{run.path} holds a different run ({'; '.join(differences)}). Choose another folder, or delete it."
        )
    return there


def run_identity(record: RunRecord) -> str:
    """A digest of what decides the result of the run: its checkpoint bears it."""
    recipe = validated(record.recipe, record.run_id).model_dump(mode="json", exclude_defaults=True)
    decisive = {name: str(value) for name, value in _decisive(record).items()}
    if _has_two_forms(record) and not began_with_large_classifier(record):
        decisive["classifier"] = "small"  # checkpoints of earlier versions, which drew it large, do not state it
    return sha256(json.dumps(decisive | {"recipe": recipe}, sort_keys=True).encode("utf-8"))


def _differences(there: RunRecord, planned: RunRecord) -> list[str]:
    """What decides the result and is not the same, in words."""
    theirs, ours = _decisive(there), _decisive(planned)
    pairs: dict[str, tuple[object, object]] = {name: (theirs[name], ours[name]) for name in ours}
    # A key that an older recipe lacks had the default value.
    pairs |= {
        key: (there.recipe.get(key, AnyRecipe.stored_default(key)), value) for key, value in planned.recipe.items()
    }
    return [f"{name}: {old} there, {new} here" for name, (old, new) in pairs.items() if old != new]


def _decisive(record: RunRecord) -> dict[str, object]:
    """What decides the result, the recipe apart, as a person calls it."""
    return {
        "model": record.architecture.name,
        "resolution": record.architecture.resolution,
        "classes": record.architecture.num_classes,
        "small-image handling": record.architecture.small_image,
        "preprocessing": record.preprocessing,
        "weights": _weights_sha256(record),
        "data": _data(record),
        "seed": record.seed,
        "processes": record.processes,
        "deterministic": record.deterministic,
    }


def _weights_sha256(record: RunRecord) -> str | None:
    return record.weights.sha256[:12] if record.weights else None


def _data(record: RunRecord) -> str:
    return f"{record.dataset.name} {record.dataset.fingerprint[:12]}"
