"""A network that trains in a process of its own, whose steps are timed when it is told to.

A step is what the training loop does with a batch. Images are random and lie in memory: reading and decoding are no
part of it, nor is validation. Lines of JSON:

    worker -> parent   {"load_ms": 5120.5} once, after the first step, or {"error": "..."}
    parent -> worker   {"passes": 3}; one more step, the first, is not timed
    worker -> parent   {"ms": [611.8, ...]}
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foray.augmentation import Augment
from foray.clock.workers import Worker, thread_settings
from foray.deploy import bench
from foray.deploy._worker import serve_tasks
from foray.evaluation.precision import ComputeFormat, training_format
from foray.models import Network, build_model
from foray.native.allocator import kept_memory
from foray.native.kernels import prepare_kernels
from foray.progress import SILENT
from foray.recipes import FinetuneRecipe, recipe_named
from foray.records.side_by_side import Trains
from foray.specs import Preprocessing, get_spec
from foray.training.freezing import freeze_backbone, set_training_mode
from foray.training.loop import reseed, set_learning_rate, set_norm_momentum, summed_loss
from foray.training.micro_batches import MicroBatches
from foray.training.optimizers import create_optimizer
from foray.training.running_metrics import RunningMetrics, RunningSums

NUM_CLASSES = 9  # DeepWeeds'
SEED = 0

_DEVICE = torch.device("cpu")
_LABELLINGS = 64  # with the same labels in every step the loss would vanish, and tiny numbers take longer


def timed_recipe() -> FinetuneRecipe:
    """The one recipe that all networks are timed with: batch size, optimiser and precision are its own."""
    recipe = recipe_named("study_mobilenet_whole")
    assert isinstance(recipe, FinetuneRecipe)
    return recipe


def compute_format() -> ComputeFormat:
    """What steps are computed in on this machine, as in `foray train`."""
    return training_format(timed_recipe().precision, _DEVICE)


def prepared_network(model: str, trains: Trains) -> Network:
    """A network from scratch, ready to be trained. `head`: the backbone is frozen and in inference mode."""
    recipe = timed_recipe()
    network: Network = build_model(
        get_spec(model), num_classes=NUM_CLASSES, dropout=recipe.dropout,
        stochastic_depth_prob=recipe.stochastic_depth_prob, seed=SEED,
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # fmt: skip
    set_norm_momentum(network, recipe.bn_momentum)
    if trains == "head":
        freeze_backbone(network, network.classifier)
    set_training_mode(network)
    return network


def random_batches(resolution: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The same images uint8 (N, 3, R, R) for ever, with other labels (N,) in every step."""
    random, n = np.random.default_rng(SEED), timed_recipe().batch_size
    pixels = random.integers(0, 256, (n, resolution, resolution, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    labels = torch.from_numpy(random.integers(0, NUM_CLASSES, (_LABELLINGS, n)))
    return ((images, labels[step % _LABELLINGS]) for step in count())


def training_step(network: Network, resolution: int) -> Callable[[], None]:
    """What makes the next step of training `network`, as foray.training.loop makes it."""
    recipe = timed_recipe()
    optimizer = create_optimizer(recipe.optimizer, network)
    gradients = MicroBatches(
        network, summed_loss(recipe, None, _DEVICE), size=recipe.micro_batch_size, compute_format=compute_format()
    )
    augment = Augment(recipe.augmentation, Preprocessing(resolution=resolution), seed=SEED)
    tally, positions = RunningMetrics(_DEVICE, RunningSums()), torch.arange(recipe.batch_size)
    batches = enumerate(random_batches(resolution))

    def step() -> None:
        now, (images, labels) = next(batches)
        set_learning_rate(optimizer, recipe.optimizer.learning_rate)
        shown = augment(images, 0, now)
        loss, logits = gradients.backward(shown, labels, reseed=partial(reseed, SEED, 0, now))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tally.add(now, loss, logits, labels, positions, len(labels))
        tally.look()

    return step


def step_worker(name: str, model: str, resolution: int, trains: Trains, threads: int) -> Worker:
    """A worker that trains the network. Raises ForayError where it does not start."""
    settings = [model, str(resolution), trains, str(threads)]
    return Worker(name, [sys.executable, "-m", "foray.reproduce.training_step", *settings], thread_settings(threads))


def _opened(model: str, resolution: str, trains: Trains, threads: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    torch.set_num_threads(int(threads))
    prepare_kernels(SILENT)
    step = training_step(prepared_network(model, trains), int(resolution))

    def turn(asked: dict[str, Any]) -> dict[str, Any]:
        with kept_memory():  # of a turn alone: the memory of all networks at once would not be there
            return {"ms": bench.turn(step, asked["passes"])}

    turn({"passes": 0})
    return turn


if __name__ == "__main__":
    serve_tasks(lambda: _opened(*sys.argv[1:]))  # type: ignore[arg-type]
