"""One run, from plan to record: what is written, in which order, and what happens when it fails or is repeated."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch

from foray.data import Dataset
from foray.errors import ForayError, RunError, memory_explained
from foray.evaluation.precision import resolve_device, training_format
from foray.evaluation.scores import compute_metrics
from foray.linear.linear import train_linear
from foray.models import Network, build_model
from foray.processes import Processes
from foray.progress import SILENT, NamedProgress, Progress
from foray.recipes import recipe_toml
from foray.records import (
    ArchitectureInfo,
    RunFolder,
    RunInputs,
    RunRecord,
    WeightsInfo,
    commit,
    folder_lock,
    hardware,
    remove_unfinished_files,
    versions,
    write_text,
)
from foray.requests import Machine
from foray.runs.identity import as_begun, earlier_record, run_identity
from foray.runs.saved_predictions import write_predictions
from foray.runs.seen_images import SeenImages, leak_note, seen_images, write_seen_images
from foray.training.determinism import deterministic_algorithms
from foray.training.freezing import unfreeze_part
from foray.training.interruption import Interrupted, stop_signals_as_ctrl_c
from foray.training.loop import WAY_OUT, TrainingFailedError
from foray.training.outcome import TrainingOutcome
from foray.training.plan import RunPlan
from foray.training.whole_network import train_whole_network
from foray.weights import load_weights, save_network

_TRAINING = threading.Lock()


def train_run(
    plan: RunPlan,
    dataset: Dataset,
    folder: Path,
    machine: Machine = Machine(),
    *,
    inputs: RunInputs | None = None,
    progress: Progress = SILENT,
) -> RunRecord:
    """Trains, scores and records one run in `folder`, whose name is the run's id.

    Returns at once when the folder holds the same run, done; resumes after its last saved step when it was interrupted
    or failed. The test split is read once, after training. The reason of an early end is in its record (status
    "failed"). `inputs`: what `resume` needs to find images and weights again. Each of several processes
    of `machine` makes the same call; one of them writes. Raises RunError when the folder holds
    a different run or another run uses it, or when another thread of this process trains, TrainingFailedError when the
    loss is not finite, OutOfMemoryError, Interrupted (a KeyboardInterrupt) on Ctrl-C, SIGTERM and SIGHUP, and what data
    and weights raise.
    """
    started = time.perf_counter()
    progress = NamedProgress(progress, plan.spec.name + (f" seed {plan.seed}" if plan.seed else ""))
    run, processes = RunFolder(folder), machine.processes
    device = resolve_device(processes.device_of(machine.device))
    machine = replace(machine, device=str(device))
    _require_one_process_for_linear(plan, processes)
    plan = as_begun(run, plan)
    enough_memory = partial(memory_explained, *_memory_use(plan))
    with (
        _only_training(), enough_memory(), _claimed(folder, processes), stop_signals_as_ctrl_c(),
        _generator_kept(device),
    ):  # fmt: skip
        network, weights = _initial_network(plan)
        unfrozen = unfreeze_part(network, plan.recipe.unfreeze) if plan.recipe.protocol == "partial" else []
        record = _planned_record(folder.name, plan, dataset, network, weights, machine)
        record = record.model_copy(update={"unfrozen": unfrozen, "inputs": inputs})
        with processes.writer_first():
            record = _begun(record, run, plan, processes)
        if record.status == "done":
            progress.note(f"{folder.name} is done already.")
            return record
        if unfrozen:
            trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
            progress.note(f"Unfrozen: {trained:,} weights in {len(unfrozen)} layers: {', '.join(unfrozen)}")
        try:
            identity = run_identity(record)
            with enough_memory(), _algorithms(plan.deterministic, device) as nondeterministic:
                if plan.recipe.protocol == "linear":
                    outcome = train_linear(plan, dataset, network, folder, machine, progress=progress)
                else:
                    outcome = train_whole_network(
                        plan, dataset, network, folder, machine, identity=identity, progress=progress
                    )
            record = record.model_copy(update={"nondeterministic_operations": sorted(nondeterministic)})
            record = _finished(record, outcome, dataset, time.perf_counter() - started)
            if processes.is_writer:
                seen = seen_images(dataset, cache_dir=machine.cache, progress=progress)
                record = record.model_copy(
                    update={"notes": [*record.notes, *leak_note(seen, outcome.predictions["test"])]}
                )
                _write_results(run, outcome, seen)
                record = record.model_copy(update={"files": run.digests()})
                record.save(run.record)  # last: it lists the other files with their digests
        except BaseException as error:
            if processes.is_writer:
                record.model_copy(update={"status": "failed", "failure": _reason(error)}).save(run.record)
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(str(error), folder) from error
            raise
    return record


@contextmanager
def _only_training() -> Iterator[None]:
    """One run at a time in this process. Raises RunError for a second one, in another thread."""
    if not _TRAINING.acquire(blocking=False):
        raise RunError(
            "Another thread of this process is training. Dropout and stochastic depth use torch's global random "
            "generator, so two runs at once would change each other's results. Train one after the other, or in "
            "separate processes."
        )
    try:
        yield
    finally:
        _TRAINING.release()


def _memory_use(plan: RunPlan) -> tuple[str, str]:
    """What needs memory in training, and how to reduce it."""
    side, recipe = plan.preprocessing.resolution, plan.recipe
    if recipe.protocol == "linear":
        return (
            f"the features of {plan.spec.name} at {side} px",
            "Use a lower `resolution`, a smaller model, or fewer views (`changes` feature_views=1).",
        )
    at_once = recipe.micro_batch_size or recipe.batch_size
    return (
        f"training {plan.spec.name} at {side} px with {at_once} images at once",
        f"Accumulate gradients (`changes` micro_batch_size={max(at_once // 4, 1)}), or use a lower `resolution` or a "
        "smaller model.",
    )


@contextmanager
def _claimed(folder: Path, processes: Processes) -> Iterator[None]:
    """Holds the folder for this run, for all of its processes, and clears what an earlier one left half written."""
    if not processes.is_writer:
        yield
        return
    with folder_lock(folder, what="run"):
        remove_unfinished_files(folder)
        yield


def _begun(planned: RunRecord, run: RunFolder, plan: RunPlan, processes: Processes) -> RunRecord:
    """The record of the run in its folder, written there by the writer; that of an earlier session if it is done."""
    earlier = earlier_record(run, planned)
    if earlier is None and not processes.is_writer:
        raise RunError(f"{run.path} is not the same folder for all processes. Use a folder that every machine shares.")
    if earlier and earlier.status == "done":
        return earlier
    record = planned.model_copy(update={"created": earlier.created}) if earlier else planned
    if processes.is_writer:
        write_text(run.recipe, recipe_toml(plan.recipe))
        record.save(run.record)
    return record


def _require_one_process_for_linear(plan: RunPlan, processes: Processes) -> None:
    if plan.recipe.protocol == "linear" and processes.count > 1:
        raise ForayError(
            "The protocol linear runs the backbone once and trains a head on its features, in one process. Start it "
            "without torchrun."
        )


def _initial_network(plan: RunPlan) -> tuple[Network, WeightsInfo | None]:
    recipe = plan.recipe
    network = build_model(
        plan.spec,
        num_classes=plan.num_classes,
        dropout=recipe.dropout,
        stochastic_depth_prob=None if recipe.protocol == "linear" else recipe.stochastic_depth_prob,
        small_image=plan.small_image,
        seed=plan.seed,
        large_classifier=plan.large_classifier,
    )
    return network, load_weights(network, plan.weights) if plan.weights else None


def _planned_record(
    run_id: str,
    plan: RunPlan,
    dataset: Dataset,
    network: Network,
    weights: WeightsInfo | None,
    machine: Machine,
) -> RunRecord:
    device = torch.device(machine.device)
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return RunRecord(
        run_id=run_id,
        status="running",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        architecture=ArchitectureInfo(
            name=plan.spec.name,
            requested=plan.requested,
            num_classes=plan.num_classes,
            resolution=plan.preprocessing.resolution,
            params=sum(parameter.numel() for parameter in network.parameters()),
            small_image=plan.small_image,
            large_classifier=plan.large_classifier,
        ),
        weights=weights,
        preprocessing=plan.preprocessing,
        dataset=dataset.info(),
        recipe=plan.recipe.model_dump(mode="json"),
        seed=plan.seed,
        deterministic=plan.deterministic,
        device=machine.device,
        processes=machine.processes.count,
        threads=torch.get_num_threads(),
        train_precision=training_format(plan.recipe.precision, device, deterministic=plan.deterministic),
        notes=[*dataset.notes, *(["deterministic algorithms in float32"] if plan.deterministic else [])],
        hardware=hardware(accelerator),
        versions=versions(),
        commit=commit(),
    )


def _write_results(run: RunFolder, outcome: TrainingOutcome, seen: SeenImages) -> None:
    save_network(outcome.network.cpu(), run.weights)
    write_seen_images(run.images, seen)
    for split, predictions in outcome.predictions.items():
        write_predictions(run, split, predictions)


def _finished(record: RunRecord, outcome: TrainingOutcome, dataset: Dataset, seconds: float) -> RunRecord:
    for split, predictions in outcome.predictions.items():
        if not np.isfinite(predictions.probabilities).all():
            raise TrainingFailedError(f"The network's probabilities for {split} images are not finite. {WAY_OUT}")
    return record.model_copy(
        update={
            "status": "done",
            "best_epoch": outcome.best_epoch,
            "metrics": {
                split: compute_metrics(split, dataset.classes, predictions.labels, predictions.probabilities)
                for split, predictions in outcome.predictions.items()
            },
            "judged_epochs": outcome.judged_epochs,
            "seconds_per_epoch": outcome.seconds_per_epoch,
            "total_seconds": seconds + outcome.earlier_seconds,
            "train_precision": outcome.train_precision,
            "feature_engine": outcome.feature_engine,
            "notes": [*record.notes, *outcome.notes],
        }
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        where = f" {error}" if str(error) else ""
        goes_on = "from there" if where else "after the last step that was saved"
        return f"interrupted{where}; the same command, or foray train --resume, continues {goes_on}"
    return str(error) or type(error).__name__


@contextmanager
def _generator_kept(device: torch.device) -> Iterator[None]:
    """Training seeds torch's generators; the caller's random numbers are not touched by it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextmanager
def _algorithms(deterministic: bool, device: torch.device) -> Iterator[set[str]]:
    """Deterministic algorithms inside the block, if asked for; gives the operations for which there are none."""
    if not deterministic:
        yield set()
        return
    with deterministic_algorithms(device) as operations:
        yield operations
