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
    with kept_memory(progress) if torch.device(machine.device).type == "cpu" else nullcontext():
        return _trained(plan, dataset, network, folder, machine, identity, progress)


def _trained(
    plan: RunPlan, dataset: Dataset, network: Network, folder: Path, machine: Machine, identity: str, progress: Progress
) -> TrainingOutcome:
    recipe, device, processes = plan.recipe, torch.device(machine.device), machine.processes
    assert recipe.protocol != "linear"
    with processes.writer_first():
        training, evaluation = _stores(plan, dataset, machine, progress)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    accelerated = device.type == "cpu" and prepare_kernels(progress)
    set_norm_momentum(network, recipe.bn_momentum)
    synchronise_norms(network, processes)
    positions = dataset.indices("train")
    batches = Batches(
        training, positions, batch_size=recipe.batch_size, device=device, seed=plan.seed, sampling=recipe.sampling,
        share=processes.share,
    )  # fmt: skip
    compute_format = training_format(recipe.precision, device, deterministic=plan.deterministic)
    crossfit = _crossfit(recipe, dataset)
    checkpoint = Checkpoint(
        folder, keep=recipe.checkpoint, identity=identity, crossfit=crossfit, writes=processes.is_writer
    )
    earlier = checkpoint.state()
    predict = functools.partial(
        predict_split, dataset=dataset, store=evaluation, preprocessing=plan.preprocessing, device=device,
        processes=processes,
    )  # fmt: skip
    data = TrainingData(
        batches,
        Augment(recipe.augmentation, plan.preprocessing, seed=plan.seed),
        plan.preprocessing.resolution,
        mix=Mix(recipe.augmentation, plan.num_classes, seed=plan.seed),
        class_weights=class_weights(recipe, dataset.labels[positions], plan.num_classes),
        image_ids=image_ids(dataset, np.arange(len(dataset.samples))),
        processes=processes,
    )
    state = fit(
        network, recipe, data, seed=plan.seed, validate=functools.partial(predict, split="val"), checkpoint=checkpoint,
        compute_format=compute_format, progress=progress,
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
        notes=(*_notes(state, recipe, accelerated), *judged.notes),
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
    store: ImageStore,
    preprocessing: Preprocessing,
    device: torch.device,
    processes: Processes = ALONE,
    progress: Progress = SILENT,
) -> Predictions:
    """Predictions for one split of the evaluation store, in dataset order, each image by one of the `processes`."""
    positions = dataset.indices(split)
    share = positions[processes.share(len(positions))]
    batches = Batches(store, share, batch_size=EVALUATION_BATCH_SIZE, device=device)
    normalize = functools.partial(normalize_images, preprocessing=preprocessing)
    own = predict_batches(network, batches, normalize, len(dataset.classes), progress=progress)
    probabilities = processes.gather_rows(own, len(positions))
    return Predictions(image_ids(dataset, positions), dataset.labels[positions], probabilities.numpy())
