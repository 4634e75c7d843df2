"""What a user asks for, as three objects: where images come from, how to train, and on what machine.

The public functions of `foray` and the command line make them once; below them a request is passed on whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from foray.cache_folder import cache_directory
from foray.data import Dataset, open_dataset, typical_side
from foray.data.open import open_given
from foray.data.split_units import Carving
from foray.parsing import home_expanded
from foray.processes import ALONE, Processes
from foray.progress import SILENT, Progress
from foray.recipes import Protocol, Recipe, changed, preset

SMALL_IMAGE_SIDE = 64  # pixels; images and resolutions up to this are handled as small
# `crop_pct` of small images. They are used whole, without the central crop that weights have for photographs.
SMALL_IMAGE_CROP = 1.0


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
        """The images to train on, with all splits, unreadable ones included. Raises DataError."""
        return open_dataset(
            self.data, fold=self.fold, data_dir=self.data_dir, offline=self.offline, cache_dir=cache_dir,
            carving=carving, progress=progress,
        )  # fmt: skip

    def open_given(self, cache_dir: Path | None = None, progress: Progress = SILENT) -> Dataset:
        """The images to score on, with the splits they are given and no others. Raises DataError."""
        return open_given(
            self.data, fold=self.fold, data_dir=self.data_dir, offline=self.offline, cache_dir=cache_dir,
            progress=progress,
        )  # fmt: skip


@dataclass(frozen=True)
class TrainingRequest:
    """How to train.

    protocol: `scratch`, `linear`, `partial` or `finetune`; its preset is the recipe unless `recipe` is given.
    recipe: in place of the preset, its own protocol included.
    changes: `key=value` of the recipe (see `foray.recipes.changed`).
    epochs: instead of the preset's.
    unfreeze: for `partial`, `last:N` layers or parts by name.
    resolution: input side, pixels; None: that of the weights; from scratch the architecture's, but for images of at
        most 64 pixels their own side, at least 32.
    weights: pretrained weights: a folder, a file, a hub id, or `hub`; needed unless `protocol` is `scratch`.
    """

    protocol: Protocol = "finetune"
    recipe: Recipe | None = None
    changes: tuple[str, ...] = ()
    epochs: int | None = None
    unfreeze: str | None = None
    resolution: int | None = None
    weights: str | Path | None = None

    def recipe_for(self, dataset: Dataset) -> Recipe:
        """The recipe for these images: in a preset small ones (of at most 64 pixels) are neither mirrored nor cropped.

        Raises ForayError for changes that do not fit.
        """
        recipe = self.recipe
        if recipe is None:
            small = typical_side(dataset) <= SMALL_IMAGE_SIDE
            recipe = preset(self.protocol, epochs=self.epochs, small_images=small, unfreeze=self.unfreeze)
        return changed(recipe, self.changes)


@dataclass(frozen=True)
class Machine:
    """Where and with how much of the machine work is done; none of it changes what comes out, but for rounding.

    device: `auto`, `cpu` or `cuda`.
    threads: of timing and of exported files; None: one per core. What trains uses those that torch is set to.
    workers: threads that decode images; None: one per core.
    cache_dir: decoded images, features and downloads; None: see `foray.cache_folder`.
    processes: those that train one run together (`foray.processes.joined_processes`).
    """

    device: str = "auto"
    threads: int | None = None
    workers: int | None = None
    cache_dir: Path | None = None
    processes: Processes = field(default=ALONE, repr=False)

    @property
    def cache(self) -> Path:
        """The folder of `cache_dir`, or the default one. Raises ForayError where the home folder is not known."""
        return cache_directory() if self.cache_dir is None else home_expanded(self.cache_dir)
