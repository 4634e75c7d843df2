"""Trains each recipe once in peace and once through several deaths: `python -m tests.training.lives FOLDER WEIGHTS`.

A child is forked for every life, so that torch is imported once. Each life but the last ends with SIGKILL, at a random
step, in the middle of writing a file, or right before or after a file is renamed; random steps are saved.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from foray.models import build_model
from foray.recipes import SGD, AdamW, Augmentation, RateSchedule, Recipe, RMSprop
from foray.specs import get_spec
from foray.training import RunPlan
from foray.training.checkpoint import Checkpoint
from tests.asking import plan_run, train_run
from tests.small_training import MODEL, coloured_squares, small_recipe

LIVELY = Augmentation(rotation_degrees=20, translate=0.1, horizontal_flip=0.5)
MIXED = LIVELY.model_copy(update={"mixup_alpha": 0.4, "cutmix_alpha": 1.0, "mix_probability": 0.8})

RECIPES: dict[str, Recipe] = {
    "adamw": small_recipe(
        epochs=3, dropout=0.3, stochastic_depth_prob=0.2, augmentation=MIXED, ema_decay=0.9, label_smoothing=0.1,
        optimizer=AdamW(learning_rate=0.01, weight_decay=0.05),
        schedule=RateSchedule(name="cosine", warmup_epochs=0.5),
    ),
    "sgd": small_recipe(
        epochs=3, dropout=0.3, augmentation=LIVELY, clip_norm=1.0, class_weights="inverse", progressive_resolution=0.5,
        optimizer=SGD(learning_rate=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    ),
    "rmsprop": small_recipe(
        epochs=12, dropout=0.3, early_stopping_epochs=2, sampling="balanced",
        optimizer=RMSprop(learning_rate=0.02),
    ),
    "accumulated": small_recipe(epochs=3, dropout=0.3, micro_batch_size=3, ema_decay=0.8),
    "gradual": small_recipe(
        protocol="finetune", epochs=3, dropout=0.3, gradual_unfreezing_epochs=0.3, ema_decay=0.9,
        optimizer=AdamW(learning_rate=0.01, layer_decay=0.8),
    ),
    "partial": small_recipe(
        protocol="partial", epochs=3, unfreeze="last:7", dropout=0.3,
        optimizer=RMSprop(convention="pytorch", learning_rate=0.002),
    ),
}  # fmt: skip


def plan(name: str, weights: Path) -> RunPlan:
    recipe = RECIPES[name]
    model = "mobilenet_v2_x0.25" if recipe.stochastic_depth_prob else MODEL  # whose blocks can be skipped
    pretrained = None if recipe.protocol == "scratch" else weights
    return plan_run(model, coloured_squares(), recipe, weights=pretrained, seed=4, deterministic=True)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """Progress that ends its process at training step `last`."""

    def __init__(self, last: int) -> None:
        self.left = last

    def note(self, message: str) -> None:
        pass

    @contextlib.contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Any]:
        self.is_training = description.endswith("training")
        yield self

    def advance(self, n: int = 1, note: str = "") -> None:
        if self.is_training and note:  # without a note: steps that were made in an earlier life
            self.left -= 1
            if self.left == 0:
                die()


class HalfWritten:
    """A file whose first write ends the process in its middle."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> HalfWritten:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, content: bytes) -> None:
        self.stream.write(content[: len(content) // 2])
        self.stream.flush()
        die()


def arm(kind: str, count: int) -> None:
    """Ends this process at its `count`-th atomic write, in the way `kind` says."""
    left = {"writes": count, "renames": count}
    fdopen, replace = os.fdopen, Path.replace

    def counted_fdopen(*arguments: Any, **options: Any) -> Any:
        stream = fdopen(*arguments, **options)
        left["writes"] -= 1
        return HalfWritten(stream) if left["writes"] == 0 else stream

    def counted_replace(self: Path, target: Path) -> Path:
        left["renames"] -= 1
        if left["renames"] == 0 and kind == "before the rename":
            die()
        replaced = replace(self, target)
        if left["renames"] == 0:
            die()
        return replaced

    if kind == "half written":
        os.fdopen = counted_fdopen
    else:
        Path.replace = counted_replace  # type: ignore[method-assign, assignment]


def live(name: str, folder: Path, weights: Path, *, kind: str | None, count: int, luck: random.Random) -> None:
    """One life of a run."""
    torch.set_num_threads(1)
    if kind is not None:
        Checkpoint.is_due = property(lambda self: luck.random() < 0.4)  # type: ignore[assignment, method-assign]
    if kind not in (None, "at a step"):
        arm(str(kind), count)
    deadly = Deadly(count if kind == "at a step" else -1)
    train_run(plan(name, weights), coloured_squares(), folder, device="cpu", progress=deadly)


def in_a_child(name: str, folder: Path, weights: Path, kind: str | None, count: int, luck: random.Random) -> int:
    """Exit status of a life: 0 when the run came to its end, -9 when it was killed."""
    child = os.fork()
    if child == 0:
        try:
            live(name, folder, weights, kind=kind, count=count, luck=luck)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def import_what_is_imported_late() -> None:
    """Seconds of imports, which each child would pay for; nothing is computed, so that forking stays safe."""
    torch.use_deterministic_algorithms(True)
    build_model(get_spec(MODEL), num_classes=3, seed=0)
    torch.use_deterministic_algorithms(False)


def main(root: Path, weights: Path) -> None:
    import_what_is_imported_late()
    for name in RECIPES:
        luck = random.Random(f"death comes to {name}")
        if status := in_a_child(name, root / name / "peace", weights, None, 0, luck):
            sys.exit(f"{name}: {status}")
        deaths: list[str] = []
        kinds = ["at a step", "half written", "before the rename", "after the rename"]
        luck.shuffle(kinds)
        for kind in [*kinds, None]:
            count = luck.randint(1, 6) if kind == "at a step" else luck.randint(3, 8)
            status = in_a_child(name, root / name / "deaths", weights, kind, count, random.Random(luck.random()))
            if status not in (0, -signal.SIGKILL):
                sys.exit(f"{name}, {kind}: {status}")
            if status:
                deaths.append(str(kind))
        (root / name / "deaths.json").write_text(json.dumps(deaths))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
