"""Training one run from what was asked for, and going on with it later from what its record says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foray.data import NAMED_DATASETS, Dataset
from foray.data.split_units import Carving
from foray.data.splits import carving_of
from foray.errors import RunError
from foray.parsing import home_expanded
from foray.processes import ALONE, Processes
from foray.progress import SILENT, Progress
from foray.recipes.toml import validated
from foray.records import RunInputs, RunRecord, find_run
from foray.regular_files import is_there
from foray.requests import ImageSource, Machine, TrainingRequest
from foray.runs.carving import has_runs_carved_by_name
from foray.runs.readable import readable
from foray.runs.run import train_run
from foray.runs.run_id import run_id, run_name
from foray.training.plan import RunPlan, plan_run


def train(
    source: ImageSource,
    model: str,
    how: TrainingRequest,
    machine: Machine = Machine(),
    *,
    out: str | Path = "runs",
    seed: int = 0,
    deterministic: bool = False,
    progress: Progress = SILENT,
) -> RunRecord:
    """Trains `model` as `how` says and scores it on the test split, in the folder `out`/<run_id of the record>.

    The same call again returns the finished run, or resumes it. A run of an earlier version that prepared images or
    drew the classifier in another way is another run: `resume` continues it. Each of several processes of `machine`
    makes this call. Raises ForayError for data, models, weights or numbers that do not fit.
    """

    def planned(carving: Carving) -> tuple[RunPlan, Dataset]:
        dataset = source.open(machine.cache, carving=carving, progress=progress)
        plan = plan_run(
            model, dataset, how, seed=seed, deterministic=deterministic, offline=source.offline, progress=progress
        )
        return _readable(plan, dataset, source, machine, progress)

    with machine.processes.writer_first():  # what has to be downloaded, it downloads
        plan, dataset = planned("by content")
        if has_runs_carved_by_name(Path(out), run_name(plan, dataset)):  # this one may be among them
            earlier = planned("by name")
            if (Path(out) / run_id(*earlier)).exists():
                plan, dataset = earlier
    inputs, folder = inputs_of(source, how, machine), Path(out) / run_id(plan, dataset)
    begun = Path(out) / run_id(replace(plan, large_classifier=True), dataset)
    if begun.exists() and not folder.exists():
        progress.note(
            f"{begun} is of an earlier version of foray, which drew a larger classifier. It is kept, and this is a new "
            f"run. To go on with that one: foray train --resume {begun}"
        )
    return train_run(plan, dataset, folder, machine, inputs=inputs, progress=progress)


def resume(run: str | Path, *, processes: Processes = ALONE, progress: Progress = SILENT) -> RunRecord:
    """Resumes a run that `train` started, from its last saved step; `run`: its folder, or the `out` it was given.

    Images, model, recipe, weights, seed and options are those that its record states; `processes` have to be as many
    as then. Returns at once when the run is done. Raises RunError when there is no such run, or several, when images or
    weights are no longer the same, and what `train` raises.
    """
    folder = find_run(Path(run))
    record = folder.load()
    if record.inputs is None:
        raise RunError(
            f"{folder.path} was not started by foray train. Run the command that started it again: it continues."
        )
    source, how, machine = requests_of(record.inputs)
    how = replace(how, recipe=validated(record.recipe, str(folder.record)))
    machine = replace(machine, device=record.device, processes=processes)
    with processes.writer_first():
        carving = carving_of(record.dataset.split_origin)
        dataset = source.open(machine.cache, carving=carving, progress=progress)
        plan = plan_run(
            record.architecture.requested, dataset, how, seed=record.seed, deterministic=record.deterministic,
            offline=source.offline, progress=progress,
        )  # fmt: skip
        plan, dataset = _readable(plan, dataset, source, machine, progress)
    _require_unchanged(folder.path, record, plan, dataset)
    return train_run(plan, dataset, folder.path, machine, inputs=record.inputs, progress=progress)


def _readable(
    plan: RunPlan, dataset: Dataset, source: ImageSource, machine: Machine, progress: Progress
) -> tuple[RunPlan, Dataset]:
    """Without unreadable images where they are to be left out; else they are found when the run begins."""
    if source.skip_unreadable:
        dataset = readable(dataset, [plan.preprocessing], source, machine, progress)
    return replace(plan, num_classes=len(dataset.classes)), dataset  # a class may have gone with its images


def inputs_of(source: ImageSource, how: TrainingRequest, machine: Machine) -> RunInputs:
    """What a record keeps of the requests, so that `resume` finds images and weights again from another folder."""
    return RunInputs(
        data=_lasting(source.data),
        weights=None if how.weights is None else _lasting(how.weights),
        resolution=how.resolution,
        fold=source.fold,
        data_dir=_absolute(source.data_dir),
        offline=source.offline,
        skip_unreadable=source.skip_unreadable,
        workers=machine.workers,
        cache_dir=_absolute(machine.cache_dir),
    )


def requests_of(inputs: RunInputs) -> tuple[ImageSource, TrainingRequest, Machine]:
    """The requests that `inputs_of` kept; the recipe is another part of the record."""
    data_dir, cache_dir = (None if path is None else Path(path) for path in (inputs.data_dir, inputs.cache_dir))
    return (
        ImageSource(inputs.data, inputs.fold, data_dir, inputs.offline, inputs.skip_unreadable),
        TrainingRequest(resolution=inputs.resolution, weights=inputs.weights),
        Machine(workers=inputs.workers, cache_dir=cache_dir),
    )


def _require_unchanged(folder: Path, record: RunRecord, plan: RunPlan, dataset: Dataset) -> None:
    pairs = {
        "images": (record.dataset.source, record.dataset.fingerprint, dataset.fingerprint),
        "weights": (
            record.weights.source if record.weights else "",
            record.weights.sha256 if record.weights else "",
            plan.weights.sha256 if plan.weights else "",
        ),
    }
    for what, (source, there, here) in pairs.items():
        if there != here:
            raise RunError(
                f"{folder} cannot be resumed: the {what} of {source} have changed since it started (SHA-256 "
                f"{there[:12]} then, {here[:12]} now). Restore them, or start a new run."
            )


def _lasting(name: str | Path) -> str:
    """What still names the same thing in another folder: paths become absolute, names of data sets and hubs stay."""
    if isinstance(name, str) and (name in NAMED_DATASETS or not is_there(home_expanded(name))):
        return name
    return str(home_expanded(name).absolute())


def _absolute(path: Path | None) -> str | None:
    return str(home_expanded(path).absolute()) if path is not None else None
