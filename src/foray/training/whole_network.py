"""`scratch`, `partial` and `finetune`: images go through the network every epoch, and what is not frozen is trained."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import nn

from foray.data import Augment, Batches, Dataset, ImageStore, Mix, Split, decode_for_evaluation, decode_for_training
from foray.data import normalize as normalize_images
from foray.models import Network
from foray.progress import SILENT, Progress
from foray.recipes import Recipe
from foray.specs import Preprocessing
from foray.training.checkpoint import Checkpoint, TrainingState
from foray.training.class_weights import class_weights
from foray.training.evaluate import Predictions, image_ids, predict_batches
from foray.training.loop import fit, set_norm_momentum
from foray.training.metrics import Score
from foray.training.outcome import Outcome, Workplace
from foray.training.plan import RunPlan
from foray.training.precision import training_format

EVALUATION_BATCH_SIZE = 32


def train_whole_network(plan: RunPlan, dataset: Dataset, network: Network, at: Workplace) -> Outcome:
    """Trains `network` from its present weights, keeps the epoch the recipe names, and only then reads test.

    Resumes after the last step that was saved in the run's folder.
    """
    recipe, device = plan.recipe, at.device
    evaluation = decode_for_evaluation(
        dataset, plan.preprocessing, cache_dir=at.cache_dir, workers=at.workers, progress=at.progress
    )
    training = evaluation
    if not recipe.augmentation.is_identity:
        training = decode_for_training(
            dataset, plan.preprocessing, cache_dir=at.cache_dir, workers=at.workers, progress=at.progress
        )
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    set_norm_momentum(network, recipe.bn_momentum)
    positions = dataset.indices("train")
    batches = Batches(
        training, positions, batch_size=recipe.batch_size, device=device, seed=plan.seed, sampling=recipe.sampling
    )
    compute_format = training_format(recipe.precision, device, deterministic=plan.deterministic)
    checkpoint = Checkpoint(at.folder, keep=recipe.checkpoint)
    earlier = checkpoint.state()
    score = functools.partial(
        predict_split, dataset=dataset, store=evaluation, preprocessing=plan.preprocessing, device=device
    )

    def validate(model: nn.Module) -> Score:
        return score(model, split="val").score

    state = fit(
        network,
        recipe,
        batches,
        Augment(recipe.augmentation, plan.preprocessing, seed=plan.seed),
        resolution=plan.preprocessing.resolution,
        mix=Mix(recipe.augmentation, plan.num_classes, seed=plan.seed),
        class_weights=class_weights(recipe, dataset.labels[positions], plan.num_classes),
        image_ids=image_ids(dataset, np.arange(len(dataset.samples))),
        validate=validate,
        checkpoint=checkpoint,
        seed=plan.seed,
        compute_format=compute_format,
        progress=at.progress,
    )
    kept_epoch = checkpoint.load_kept(network, state)
    return Outcome(
        network=network,
        predictions={"val": score(network, split="val"), "test": score(network, split="test")},
        best_epoch=kept_epoch,
        seconds_per_epoch=[row.seconds for row in checkpoint.history.rows],
        train_precision=compute_format,
        earlier_seconds=earlier.elapsed_seconds + earlier.epoch_seconds,
        notes=_notes(state, recipe),
    )


def _notes(state: TrainingState, recipe: Recipe) -> tuple[str, ...]:
    if state.micro_batch_size is None:
        return ()
    at_once = recipe.micro_batch_size or recipe.batch_size
    return (
        f"memory did not hold {at_once} images at once: gradients were accumulated, and batch norm sees batches of "
        f"{state.micro_batch_size} images",
    )


def predict_split(
    network: nn.Module,
    *,
    split: Split,
    dataset: Dataset,
    store: ImageStore,
    preprocessing: Preprocessing,
    device: torch.device,
    progress: Progress = SILENT,
) -> Predictions:
    """Predictions for one split of the evaluation store, in dataset order."""
    positions = dataset.indices(split)
    batches = Batches(store, positions, batch_size=EVALUATION_BATCH_SIZE, device=device)
    normalize = functools.partial(normalize_images, preprocessing=preprocessing)
    return predict_batches(network, batches, normalize, image_ids(dataset, positions), progress=progress)
