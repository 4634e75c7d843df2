"""What a result differs in: from the study's experiment, and from the experiment as it is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foray.errors import ForayError
from foray.recipes import Recipe
from foray.recipes.toml import validated
from foray.records.reproduction import ExperimentInfo
from foray.reproduce.experiments import BY_SCALE, FULL, TIMES_ROLES, Experiment
from foray.reproduce.results_folder import EvaluationResult, Result, RunResult
from foray.reproduce.sources import SOURCES
from foray.requests import SMALL_IMAGE_CROP
from foray.runs.identity import began_with_large_classifier

_TOLD = 6  # differences that a sentence has room for
# Keys of a recipe that weigh most, before the others in their own order.
_FIRST = (
    "epochs", "resolution", "protocol", "optimizer.name", "optimizer.learning_rate", "schedule.name", "batch_size",
)  # fmt: skip


def study_of(info: ExperimentInfo) -> Experiment:
    """The reference of its differences: the study's experiment, or itself at its scale where the study has none."""
    return FULL.get(info.role, BY_SCALE[info.scale][info.role])


def is_ours(info: ExperimentInfo) -> bool:
    """Whether the study has no such experiment."""
    return info.role not in FULL


def data_differences(info: ExperimentInfo) -> list[str]:
    """Differences of images and weights from the study's."""
    found, source, wanted = [], SOURCES[info.source], SOURCES[study_of(info).source]
    if source is not wanted:
        is_part = source.same_images and max(source.images) < max(wanted.images)
        found.append(f"{source.title} in place of {f'all {max(wanted.images):,}' if is_part else wanted.title}")
    if info.reduced and not is_ours(info):
        found.append(f"{info.reduced} at most")
    if info.random_weights:
        found.append("random weights in place of pretrained ones")
    return found


def protocol_differences(result: RunResult | EvaluationResult, at_epoch: int | None = None) -> list[str]:
    """Differences of recipe and resolution from the study's, those that weigh most first.

    `at_epoch`: only what came before it counts, so that a run of more or fewer epochs is the same where its rate does
    not depend on their number.
    """
    wanted = study_of(result.info)
    if isinstance(result, EvaluationResult):
        return _side_difference(result.evaluation.preprocessing.resolution, wanted)
    recipe = result.record.recipe
    found = _recipe_changes(recipe, wanted.resolved())
    if at_epoch is not None and "epochs" in found:
        if at_epoch > len(result.history):
            found["epochs"] = f"{len(result.history)} epochs, not {at_epoch}"
        elif _rate_is_that_of_any_length(recipe):
            del found["epochs"]
    if side := _side_difference(result.record.architecture.resolution, wanted):
        found["resolution"] = side[0]
    return [found[key] for key in sorted(found, key=_weight)]


def older_recipe(result: Result) -> list[str]:
    """Differences of a result from the experiment of its role and scale as it is now."""
    if result.info.role in TIMES_ROLES:
        return []
    experiment = BY_SCALE[result.info.scale][result.info.role]
    found = []
    if result.info.scale != "mini":  # which takes what images it finds
        found += _changed("images", SOURCES[result.info.source].title, SOURCES[experiment.source].title)
    if not isinstance(result, RunResult):
        return found
    there, architecture = result.record.dataset, result.record.architecture
    kept = experiment.per_class.words() if experiment.per_class else None
    found += _changed("fold", there.fold or 0, experiment.fold or 0) if SOURCES[result.info.source].folds else []
    found += _changed("images", result.info.reduced or "all", kept or "all")
    found += _changed("network", architecture.requested, experiment.model)
    found += _recipe_changes(result.record.recipe, experiment.resolved()).values()
    if architecture.small_image == "upsampled":
        found += _changed("crop_pct of enlarged images", result.record.preprocessing.crop_pct, SMALL_IMAGE_CROP)
    if began_with_large_classifier(result.record):
        found.append("classifier drawn in +-1/sqrt(classes), not as for 1,000 classes")
    return [*found, *_side_difference(architecture.resolution, experiment)]


def told(changes: Sequence[str]) -> str:
    """Differences in one clause: the first of them, and how many more there are."""
    if len(changes) <= _TOLD:
        return "; ".join(changes)
    return f"{'; '.join(changes[: _TOLD - 1])}; and {len(changes) - _TOLD + 1} more, named with the run"


def _side_difference(there: int, wanted: Experiment) -> list[str]:
    return [f"{there} px, not {wanted.resolution}"] if wanted.resolution not in (None, there) else []


def _changed(what: str, there: object, now: object) -> list[str]:
    return [] if there == now else [f"{what}: {there}, not {now}"]


def _weight(key: str) -> int:
    return _FIRST.index(key) if key in _FIRST else len(_FIRST)


def _rate_is_that_of_any_length(recipe: Mapping[str, Any]) -> bool:
    return validated(dict(recipe), "the record").schedule.name in ("constant", "step")


def _recipe_changes(there: Mapping[str, Any], wanted: Recipe | None) -> dict[str, str]:
    """By key whose value differs: `key: there, not wanted`."""
    if wanted is None:
        return {}
    try:
        ours = _flat(validated(dict(there), "the record").model_dump(mode="json"))
    except ForayError:
        return {"": "a recipe that this version of foray cannot read"}
    theirs = _flat(wanted.model_dump(mode="json"))
    return {
        key: f"{ours[key]} epochs, not {value}"
        if key == "epochs"
        else f"{key}: {_word(ours.get(key))}, not {_word(value)}"
        for key, value in theirs.items()
        if ours.get(key) != value
    }


def _word(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_word, value))}]"
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tables.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
