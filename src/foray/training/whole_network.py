"""`scratch`, `partial` and `finetune`: images go through the network every epoch, and what is not frozen is trained."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from foray.augmentation import Augment, Mix
from foray.data import Batches, Dataset, ImageStore, Split, decode_for_evaluation, decode_for_training
from foray.data import normalize as normalize_images
from foray.evaluation.precision import training_format
from foray.evaluation.predictions import Predictions, image_ids, predict_batches
from foray.models import Network
from foray.native.allocator import kept_memory
from foray.native.kernels import prepare_kernels
from foray.processes import ALONE, Processes
from foray.progress import SILENT, Progress
from foray.recipes import NetworkRecipe
from foray.requests import Machine
from foray.specs import Preprocessing
from foray.training.checkpoint import Checkpoint, TrainingState
from foray.training.class_weights import class_weights
from foray.training.crossfit import CROSSFIT, CrossFit, chooses_epoch, val_half
from foray.training.frozen_start import MapStore, as_it_is, frozen_blocks, frozen_maps, is_same_every_epoch
from foray.training.loop import TrainingData, fit, set_norm_momentum
from foray.training.outcome import TrainingOutcome
from foray.training.plan import RunPlan
from foray.training.sync_norm import synchronise_norms

EVALUATION_BATCH_SIZE = 32


def train_whole_network(
    plan: RunPlan, dataset: Dataset, network: Network, folder: Path, machine: Machine, *, identity: str,
    progress: Progress = SILENT,
) -> TrainingOutcome:  # fmt: skip
    """Trains `network` from its present weights, keeps the epoch the recipe names, and only then reads test.

    Resumes after the last step that was saved in `folder`. `machine`: with a device of torch's. `identity`: of
    the run (`run_identity`), which its checkpoint bears.
    """
    try:
        with kept_memory(progress) if torch.device(machine.device).type == "cpu" else nullcontext():
            return _trained(plan, dataset, network, folder, machine, identity, progress)
    finally:
        network.skipped = 0


def _trained(
    plan: RunPlan, dataset: Dataset, network: Network, folder: Path, machine: Machine, identity: str, progress: Progress
) -> TrainingOutcome:
    recipe, device, processes = plan.recipe, torch.device(machine.device), machine.processes
    assert recipe.protocol != "linear"
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    accelerated = device.type == "cpu" and prepare_kernels(progress)
    set_norm_momentum(network, recipe.bn_momentum)
    synchronise_norms(network, processes)
    inputs = _inputs(plan, dataset, network, machine, progress)
    network.skipped = inputs.skipped
    compute_format = training_format(recipe.precision, device, deterministic=plan.deterministic)
    crossfit = _crossfit(recipe, dataset)
    checkpoint = Checkpoint(
        folder, keep=recipe.checkpoint, identity=identity, crossfit=crossfit, writes=processes.is_writer
    )
    earlier = checkpoint.state()
    predict = functools.partial(
        predict_split, dataset=dataset, store=inputs.evaluation, preprocessing=inputs.preprocessing, device=device,
        processes=processes,
    )  # fmt: skip
    state = fit(
        network, recipe, _training_data(plan, dataset, inputs, machine), seed=plan.seed,
        validate=functools.partial(predict, split="val"), checkpoint=checkpoint, compute_format=compute_format,
        progress=progress,
    )  # fmt: skip
    processes.barrier()  # rank 0 has written the last epoch
    kept_epoch = checkpoint.load_kept(network, state)
    val = predict(network, split="val")
    judged = _judged(checkpoint, recipe, val, divisible=crossfit is not None)
    return TrainingOutcome(
        network=network,
        predictions={"val": val, **judged.predictions, "test": predict(network, split="test")},
        best_epoch=kept_epoch,
        seconds_per_epoch=[row.seconds for row in checkpoint.history.rows],
        train_precision=compute_format,
        earlier_seconds=earlier.elapsed_seconds + earlier.epoch_seconds,
        judged_epochs=judged.epochs,
        notes=(*inputs.notes, *_notes(state, recipe, accelerated), *judged.notes),
    )


def _training_data(plan: RunPlan, dataset: Dataset, inputs: _Inputs, machine: Machine) -> TrainingData:
    recipe, positions, processes = plan.recipe, dataset.indices("train"), machine.processes
    batches = Batches(
        inputs.training, positions, batch_size=recipe.batch_size, device=machine.device, seed=plan.seed,
        sampling=recipe.sampling, share=processes.share,
    )  # fmt: skip
    return TrainingData(
        batches,
        as_it_is if inputs.skipped else Augment(recipe.augmentation, plan.preprocessing, seed=plan.seed),
        plan.preprocessing.resolution,
        mix=Mix(recipe.augmentation, plan.num_classes, seed=plan.seed),
        class_weights=class_weights(recipe, dataset.labels[positions], plan.num_classes),
        image_ids=image_ids(dataset, np.arange(len(dataset.samples))),
        processes=processes,
    )


def _crossfit(recipe: NetworkRecipe, dataset: Dataset) -> CrossFit | None:
    half = val_half(dataset) if chooses_epoch(recipe) else None
    return None if half is None else CrossFit(half, recipe.checkpoint, recipe.early_stopping_epochs)


@dataclass(frozen=True, eq=False)
class _Judged:
    """Cross-fitted predictions of val, by split; none where val selects nothing, or with a note on the reason.
    `epochs`: those they come from."""

    predictions: dict[str, Predictions]
    epochs: list[int]
    notes: tuple[str, ...] = ()


def _judged(checkpoint: Checkpoint, recipe: NetworkRecipe, val: Predictions, *, divisible: bool) -> _Judged:
    """`val`: by the kept epoch; `divisible`: whether there are two halves of it."""
    if not chooses_epoch(recipe):
        return _Judged({}, [])
    if checkpoint.crossfit is None:
        why = (
            "the run was started by an older version of foray" if divisible else "all images of val belong to one group"
        )
        note = (
            f"val is not cross-fitted, because {why}: its accuracy is optimistic, because the epoch was selected on val"
        )
        return _Judged({}, [], (note,))
    found = checkpoint.crossfit.result(val, checkpoint.history.rows, recipe.epochs)
    return _Judged({CROSSFIT: found.predictions}, found.epochs, found.notes)


@dataclass(frozen=True, eq=False)
class _Inputs:
    """What is trained on and what is evaluated on: images, or maps of the frozen start, where `skipped` is not 0.
    `preprocessing`: of the images; None of maps."""

    training: ImageStore | MapStore
    evaluation: ImageStore | MapStore
    preprocessing: Preprocessing | None
    skipped: int = 0
    notes: tuple[str, ...] = ()


def _inputs(plan: RunPlan, dataset: Dataset, network: Network, machine: Machine, progress: Progress) -> _Inputs:
    """Decoded images; where the frozen start gives the same in every epoch, its maps of them.

    Images on a GPU, where the start is fast and the maps would have to be copied there, and for several processes, each
    of which would need the maps of all images.
    """
    processes = machine.processes
    with processes.writer_first():
        training, evaluation = _stores(plan, dataset, machine, progress)
    images = _Inputs(training, evaluation, plan.preprocessing)
    assert plan.recipe.protocol != "linear"
    if torch.device(machine.device).type != "cpu" or processes.count > 1 or not is_same_every_epoch(plan.recipe):
        return images
    blocks = frozen_blocks(network)
    normalize = functools.partial(normalize_images, preprocessing=plan.preprocessing)
    maps = frozen_maps(network, evaluation, normalize, blocks, progress) if blocks else None
    if maps is None:
        return images
    return _Inputs(maps, maps, None, blocks, (f"the first {blocks} blocks, which are frozen, were run once",))


def _stores(plan: RunPlan, dataset: Dataset, machine: Machine, progress: Progress) -> tuple[ImageStore, ImageStore]:
    """Decoded images to train on and to evaluate on."""
    evaluation = decode_for_evaluation(
        dataset, plan.preprocessing, cache_dir=machine.cache, workers=machine.workers, progress=progress
    )
    if plan.recipe.augmentation.is_identity:
        return evaluation, evaluation
    training = decode_for_training(
        dataset, plan.preprocessing, cache_dir=machine.cache, workers=machine.workers, progress=progress
    )
    return training, evaluation


def _notes(state: TrainingState, recipe: NetworkRecipe, accelerated: bool) -> tuple[str, ...]:
    notes = ["batch norm and activations were computed by foray's compiled kernels"] if accelerated else []
    if state.micro_batch_size is not None:
        at_once = recipe.micro_batch_size or recipe.batch_size
        notes.append(
            f"out of memory with {at_once} images at once: gradients were accumulated, and batch norm used batches of "
            f"{state.micro_batch_size} images"
        )
    return tuple(notes)


def predict_split(
    network: nn.Module,
    *,
    split: Split,
    dataset: Dataset,
    store: ImageStore | MapStore,
    preprocessing: Preprocessing | None,
    device: torch.device,
    processes: Processes = ALONE,
    progress: Progress = SILENT,
) -> Predictions:
    """Predictions for one split of the evaluation store, in dataset order, each image by one of the `processes`.

    `preprocessing`: None of maps, which the network takes as they are.
    """
    positions = dataset.indices(split)
    share = positions[processes.share(len(positions))]
    batches = Batches(store, share, batch_size=EVALUATION_BATCH_SIZE, device=device)
    normalize = functools.partial(normalize_images, preprocessing=preprocessing) if preprocessing else as_it_is
    own = predict_batches(network, batches, normalize, len(dataset.classes), progress=progress)
    probabilities = processes.gather_rows(own, len(positions))
    return Predictions(image_ids(dataset, positions), dataset.labels[positions], probabilities.numpy())
