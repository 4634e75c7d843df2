"""From results on disk to evidence: what was measured, on which images, and the differences from the study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foray.errors import ForayError, RunError
from foray.recipes import Recipe
from foray.recipes.toml import validated
from foray.records import EpochRow, Estimate
from foray.records.reproduction import Evidence, ExperimentInfo
from foray.reproduce.experiments import BY_SCALE, FULL, Experiment
from foray.reproduce.results_folder import EvaluationResult, Result, RunResult, TimesResult
from foray.reproduce.sources import SOURCES
from foray.runs.outcomes import estimate
from foray.statistics import wilson_interval


def evidence_of(results: Sequence[Result], at_epoch: int | None = None) -> Evidence:
    """All seeds of one role at one scale as one. `at_epoch`: val after so many epochs instead of the kept one."""
    first = results[0]
    if isinstance(first, EvaluationResult):
        return _of_evaluation(first)
    runs = [result for result in results if isinstance(result, RunResult)]
    return _of_runs(runs, at_epoch)


def current(results: Sequence[Result]) -> list[Result]:
    """Those made with the present recipe, one per seed; where there is none, those of the newest other recipe."""
    fitting = [result for result in results if not older_recipe(result)]
    if fitting:
        return _one_a_seed(fitting)
    newest = max(results, key=_created)
    return _one_a_seed([result for result in results if older_recipe(result) == older_recipe(newest)])


def older_recipe(result: Result) -> list[str]:
    """Differences of a result's recipe from the present one, each as `key: there, not now`."""
    if isinstance(result, TimesResult):
        return []
    experiment = BY_SCALE[result.info.scale].get(result.info.role)
    if experiment is None:
        return ["the experiment is no longer among those of the study"]
    if isinstance(result, EvaluationResult):
        return []
    found = _recipe_changes(result.record.recipe, experiment.resolved())
    there, now = result.record.architecture.resolution, experiment.resolution
    if now is not None and there != now:
        found.append(f"resolution: {there}, not {now}")
    return found


def correct(results: Sequence[Result], split: str) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.bool_]]:
    """(ids (N,), right (S, N)). Raises RunError when the seeds were scored on different images."""
    rows = [result.correct(split) for result in results if isinstance(result, RunResult)]
    for ids, _ in rows[1:]:
        if not np.array_equal(ids, rows[0][0]):
            raise RunError(f"The runs of {results[0].info.role} were scored on different {split} images.")
    return rows[0][0], np.stack([right for _, right in rows])


def study_of(info: ExperimentInfo) -> Experiment:
    """The reference of its differences: the study's experiment, or itself at its scale where the study has none."""
    experiment = BY_SCALE[info.scale][info.role]
    return FULL.get(experiment.against or info.role, experiment)


def _of_evaluation(result: EvaluationResult) -> Evidence:
    scored, source = result.evaluation, SOURCES[result.info.source]
    return Evidence(
        role=result.info.role,
        scale=result.info.scale,
        model=scored.model,
        data=source.title,
        stand_in=_stand_in(result.info),
        same_images=source.same_images,
        split="val" if source.named == "imagenet" else "test",
        measured=scored.top1,
        measure="validation top-1" if source.named == "imagenet" else "top-1 on test",
        seeds=[],
        epochs=0,
        resolution=scored.preprocessing.resolution,
        images=scored.top1.n,
        steps=0,
        minutes=scored.seconds / 60,
        hardware=scored.hardware.label(),
        differs=_data_differences(result.info),
        command=result.info.command,
    )


def _of_runs(runs: Sequence[RunResult], at_epoch: int | None) -> Evidence:
    first = runs[0]
    record, info = first.record, first.info
    recipe = validated(record.recipe, "the record")
    n_train, epochs = record.dataset.counts["train"], max(len(run.history) for run in runs)
    per_epoch = [
        seconds for run in runs for seconds in run.record.seconds_per_epoch[1:] or run.record.seconds_per_epoch
    ]
    recipe_differs = _recipe_changes(record.recipe, study_of(info).resolved())
    _, test = correct(runs, "test")
    return Evidence(
        role=info.role,
        scale=info.scale,
        model=record.architecture.name,
        data=SOURCES[info.source].title,
        stand_in=_stand_in(info),
        same_images=SOURCES[info.source].same_images,
        split="val",
        measured=_measured(runs, recipe, at_epoch),
        measure=_measure(recipe, at_epoch),
        test=estimate(test),
        best_epoch=record.best_epoch,
        seeds=[run.record.seed for run in runs],
        epochs=epochs,
        resolution=record.architecture.resolution,
        images=sum(n_train * len(run.history) for run in runs),
        steps=sum(math.ceil(n_train / recipe.batch_size) * len(run.history) for run in runs),
        minutes=sum(run.record.total_seconds or 0.0 for run in runs) / 60,
        seconds_per_epoch=float(np.median(per_epoch)) if per_epoch else None,
        hardware=record.hardware.label(),
        differs=[*_data_differences(info), *_resolution_difference(first), *recipe_differs],
        recipe_differs=recipe_differs,
        older_recipe=older_recipe(first),
        command=info.command,
    )


def _measured(runs: Sequence[RunResult], recipe: Recipe, at_epoch: int | None) -> Estimate:
    """val of the kept epoch, over seeds and images; `at_epoch` (numbered from 1): from the history."""
    if at_epoch is None:
        return estimate(correct(runs, "val")[1])
    values = [value for run in runs if (value := _val_at(run.history, at_epoch)) is not None]
    if not values:
        raise RunError(f"The runs of {runs[0].info.role} have no accuracy on val in their history.")
    n = runs[0].record.dataset.counts["val"]
    mean = sum(values) / len(values)
    low, high = wilson_interval(mean * n, n)
    return Estimate(value=mean, low=low, high=high, n=n)


def _measure(recipe: Recipe, at_epoch: int | None) -> str:
    """The meaning of `_measured`, in words."""
    if at_epoch is not None:
        return f"validation top-1 after epoch {at_epoch}"
    return "best validation top-1" if recipe.checkpoint == "best" else "validation top-1 of the last epoch"


def _val_at(history: Sequence[EpochRow], epoch: int) -> float | None:
    """val after `epoch` epochs, or after the last one of a shorter run."""
    measured = [row.val_top1 for row in history[:epoch] if row.val_top1 is not None]
    return measured[-1] if measured else None


def _stand_in(info: ExperimentInfo) -> str | None:
    """The study's images that stand-ins replace here; None where they are the study's own."""
    wanted = study_of(info).source
    return None if info.source == wanted else SOURCES[wanted].title


def _data_differences(info: ExperimentInfo) -> list[str]:
    found = []
    if stood_for := _stand_in(info):
        found.append(f"{SOURCES[info.source].title} in place of {stood_for}")
    if info.reduced:
        found.append(f"{info.reduced} at most")
    if info.random_weights:
        found.append("random weights in place of pretrained ones")
    return found


def _resolution_difference(run: RunResult) -> list[str]:
    there, wanted = run.record.architecture.resolution, study_of(run.info).resolution
    return [f"{there} px, not {wanted}"] if wanted is not None and there != wanted else []


def _recipe_changes(there: Mapping[str, Any], wanted: Recipe | None) -> list[str]:
    """Keys whose values differ, as `key: there, not wanted`."""
    if wanted is None:
        return []
    try:
        ours = _flat(validated(dict(there), "the record").model_dump(mode="json"))
    except ForayError:
        return ["a recipe that this version of foray cannot read"]
    theirs = _flat(wanted.model_dump(mode="json"))
    return [f"{key}: {ours.get(key)}, not {value}" for key, value in theirs.items() if ours.get(key) != value]


def _flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tables.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def _one_a_seed(results: Sequence[Result]) -> list[Result]:
    """The newest of each seed, by seed."""
    by_seed: dict[int, Result] = {}
    for result in sorted(results, key=_created):
        by_seed[result.record.seed if isinstance(result, RunResult) else 0] = result
    return [by_seed[seed] for seed in sorted(by_seed)]


def _created(result: Result) -> str:
    match result:
        case RunResult():
            return result.record.created
        case TimesResult():
            return result.times.created
        case _:
            return ""
