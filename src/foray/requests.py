"""What a user asks for, as three objects: where images come from, how to train, and on what machine.

The public functions of `foray` and the command line make them once; below them a request is passed on whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from foray.data import Dataset, open_dataset
from foray.data.split_units import Carving
from foray.progress import SILENT, Progress
from foray.recipes import Protocol, Recipe
from foray.training.distributed import ALONE, Processes
from foray.training.plan import recipe_for


@dataclass(frozen=True)
class ImageSource:
    """Where images come from.

    data: a folder of class folders, an archive of one, a CSV, or the name of a data set.
    fold: fold of a data set with official folds; None: its own default.
    data_dir: folder with a copy of the named data set.
    offline: download nothing, neither images nor weights.
    skip_unreadable: leave unreadable images out instead of stopping.
    """

    data: str | Path
    fold: int | None = None
    data_dir: Path | None = None
    offline: bool = False
    skip_unreadable: bool = False

    def open(
        self, cache_dir: Path | None = None, *, carving: Carving = "by content", progress: Progress = SILENT
    ) -> Dataset:
        """The data set, unreadable images included. Raises DataError for data that do not fit."""
        return open_dataset(
            self.data, fold=self.fold, data_dir=self.data_dir, offline=self.offline, cache_dir=cache_dir,
            carving=carving, progress=progress,
        )  # fmt: skip


@dataclass(frozen=True)
class TrainingRequest:
    """How to train.

    protocol: `scratch`, `linear`, `partial` or `finetune`; its preset is the recipe unless `recipe` is given.
    recipe: in place of the preset, its own protocol included.
    changes: `key=value` of the recipe (see `foray.recipes.changed`).
    epochs: instead of the preset's.
    unfreeze: for `partial`, `last:N` layers or parts by name.
    resolution: input side, pixels; None: that of the weights, or of the images.
    weights: pretrained weights, a folder or `hub`; needed but for `scratch`.
    """

    protocol: Protocol = "finetune"
    recipe: Recipe | None = None
    changes: tuple[str, ...] = ()
    epochs: int | None = None
    unfreeze: str | None = None
    resolution: int | None = None
    weights: str | Path | None = None

    def recipe_for(self, dataset: Dataset) -> Recipe:
        """The recipe for these images. Raises ForayError for changes that do not fit."""
        return recipe_for(
            dataset, self.protocol, recipe=self.recipe, epochs=self.epochs, unfreeze=self.unfreeze,
            changes=self.changes,
        )  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """Where and with how much of the machine work is done; none of it changes what comes out.

    device: `auto`, `cpu` or `cuda`.
    threads: of training and timing; None: one per core.
    workers: processes that decode images; None: one per core.
    cache_dir: decoded images, features and downloads; None: see `foray.cache_folder`.
    processes: those that train one run together (`foray.training.joined_processes`).
    """

    device: str = "auto"
    threads: int | None = None
    workers: int | None = None
    cache_dir: Path | None = None
    processes: Processes = field(default=ALONE, repr=False)
