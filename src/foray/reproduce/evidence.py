"""From results on disk to evidence: what was measured, on which images, and the differences from the study."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from foray.errors import RunError
from foray.recipes import Recipe
from foray.recipes.toml import validated
from foray.records import EpochRow, Estimate
from foray.records.quantities import format_interval, percent_number
from foray.records.reproduction import Evidence, ExperimentInfo
from foray.reproduce.differences import data_differences, is_ours, older_recipe, protocol_differences
from foray.reproduce.results_folder import EvaluationResult, Result, RunResult, TimesResult
from foray.reproduce.sources import JPEG_COPIES, SOURCES
from foray.runs.outcomes import estimate
from foray.statistics import wilson_interval


def evidence_of(results: Sequence[Result], at_epoch: int | None = None) -> Evidence:
    """All seeds of one role at one scale as one. `at_epoch`: val after so many epochs instead of the kept one."""
    first = results[0]
    if isinstance(first, EvaluationResult):
        return _of_evaluation(first)
    runs = [result for result in results if isinstance(result, RunResult)]
    return _of_runs(runs, at_epoch)


def with_interval(estimate: Estimate, sign: str = "", more: str = "") -> str:
    """`79.9 % (78.5 to 81.2, n = 3,501, 3 seeds)`; `sign`: ` %` or none, `more`: said last."""
    return f"{percent_number(estimate.value)}{sign} ({format_interval(estimate, ' to ')}, n = {estimate.n:,}{more})"


def current(results: Sequence[Result]) -> list[Result]:
    """Those made with the present recipe, one per seed; where there is none, those of the newest other recipe."""
    fitting = [result for result in results if not older_recipe(result)]
    if fitting:
        return _one_a_seed(fitting)
    newest = max(results, key=_created)
    return _one_a_seed([result for result in results if older_recipe(result) == older_recipe(newest)])


def correct(results: Sequence[Result], split: str) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.bool_]]:
    """(ids (N,), right (S, N)). Raises RunError when the seeds were scored on different images."""
    rows = [result.correct(split) for result in results if isinstance(result, RunResult)]
    for ids, _ in rows[1:]:
        if not np.array_equal(ids, rows[0][0]):
            folders = ", ".join(str(one.path) for one in results)
            raise RunError(
                f"The runs of {results[0].info.role} were scored on different {split} images: {folders}. Delete the "
                "folders of one data set."
            )
    return rows[0][0], np.stack([right for _, right in rows])


def _of_evaluation(result: EvaluationResult) -> Evidence:
    scored, info = result.evaluation, result.info
    source = SOURCES[info.source]
    of_data, of_protocol = data_differences(info), protocol_differences(result)
    return Evidence(
        role=info.role,
        scale=info.scale,
        model=scored.model,
        data=_images(info),
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
        differs=[*of_data, *of_protocol],
        protocol_differs=of_protocol,
        older_recipe=older_recipe(result),
        weights=scored.weights,
        notes=scored.notes,
        command=info.command,
    )


def _of_runs(runs: Sequence[RunResult], at_epoch: int | None) -> Evidence:
    first = runs[0]
    record, info = first.record, first.info
    recipe = validated(record.recipe, "the record")
    n_train, epochs = record.dataset.counts["train"], max(len(run.history) for run in runs)
    per_epoch = [
        seconds for run in runs for seconds in run.record.seconds_per_epoch[1:] or run.record.seconds_per_epoch
    ]
    of_data, of_protocol = data_differences(info), protocol_differences(first, at_epoch)
    _, test = correct(runs, "test")
    return Evidence(
        role=info.role,
        scale=info.scale,
        model=record.architecture.name,
        data=_images(info) + (f" ({JPEG_COPIES})" if JPEG_COPIES in record.notes else ""),
        split="val",
        measured=_measured(runs, at_epoch),
        measure=_measure(recipe, epochs, at_epoch),
        test=estimate(test),
        fold=record.dataset.fold,
        seeds=[run.record.seed for run in runs],
        epochs=epochs,
        resolution=record.architecture.resolution,
        images=sum(n_train * len(run.history) for run in runs),
        steps=sum(math.ceil(n_train / recipe.batch_size) * len(run.history) for run in runs),
        minutes=sum(run.record.total_seconds or 0.0 for run in runs) / 60,
        seconds_per_epoch=float(np.median(per_epoch)) if per_epoch else None,
        hardware="; ".join(dict.fromkeys(map(_machine, runs))),
        differs=[*of_data, *of_protocol],
        protocol_differs=of_protocol,
        older_recipe=older_recipe(first),
        weights=record.weights,
        notes=record.notes,
        command="\n".join(dict.fromkeys(run.info.command for run in runs)),
    )


def _machine(run: RunResult) -> str:
    """The machine, and the precision it trained in."""
    return f"{run.record.hardware.label()}, {run.record.train_precision}"


def _images(info: ExperimentInfo) -> str:
    """The images; of an experiment of ours, also how many of them."""
    title = SOURCES[info.source].title
    return f"{title} ({info.reduced})" if info.reduced and is_ours(info) else title


def _measured(runs: Sequence[RunResult], at_epoch: int | None) -> Estimate:
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


def _measure(recipe: Recipe, epochs: int, at_epoch: int | None) -> str:
    """The meaning of `_measured`, in words."""
    if at_epoch is not None:
        last = ", the last one" if epochs < at_epoch else ""
        return f"validation top-1 after epoch {min(epochs, at_epoch)}{last}"  # its interval is over images alone
    return "best validation top-1" if recipe.checkpoint == "best" else "validation top-1 of the last epoch"


def _val_at(history: Sequence[EpochRow], epoch: int) -> float | None:
    """val after `epoch` epochs, or after the last one of a shorter run."""
    measured = [row.val_top1 for row in history[:epoch] if row.val_top1 is not None]
    return measured[-1] if measured else None


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
