"""Which images an export is certified on, and which int8 is calibrated with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foray.cache_folder import cache_directory
from foray.data import NAMED_DATASETS, Dataset
from foray.data.near_duplicates import with_appearances
from foray.data.open import completed, open_given
from foray.progress import Progress
from foray.records import ArtifactOrigin
from foray.runs.held_out import HeldOut, fold_for


@dataclass(frozen=True)
class Images:
    """Which images, and how they are read; see `open_given`. `calibration`: for int8, where `data` has no train."""

    data: str | Path
    calibration: str | Path | None = None
    fold: int | None = None
    data_dir: Path | None = None
    offline: bool = False
    cache_dir: Path | None = None
    workers: int | None = None

    def open(self, origin: ArtifactOrigin | None, progress: Progress) -> Dataset:
        """The images to certify on; the fold is by default that of the run, of which `origin` tells."""
        fold = fold_for(self.data, origin.dataset, origin.fold, self.fold) if origin else self.fold
        return open_given(
            self.data, fold=fold, data_dir=self.data_dir, offline=self.offline, cache_dir=self.cache_dir,
            progress=progress,
        )  # fmt: skip

    def open_calibration(self, progress: Progress) -> Dataset:
        """The images of --calibration: data as usual, or another copy of the named data set that is certified on."""
        assert self.calibration is not None
        is_copy = str(self.data) in NAMED_DATASETS and self.data_dir is not None and Path(self.calibration).exists()
        return open_given(
            self.data if is_copy else self.calibration,
            data_dir=Path(self.calibration) if is_copy else None,
            offline=self.offline,
            cache_dir=self.cache_dir,
            progress=progress,
        )


@dataclass(frozen=True, eq=False)
class ChosenImages:
    """`images`: as they were named; `dataset`: all of them, for int8; `tested`: those that files are certified on."""

    images: Images
    dataset: Dataset
    tested: HeldOut


def carved_for_int8(given: Dataset, images: Images, progress: Progress) -> Dataset:
    """Data without splits on which int8 is both calibrated and certified: each needs images of its own, so carved."""
    if any(sample.split for sample in given.samples):
        return given
    progress.note("int8 needs images of its own to calibrate on: 15 % are certified on. --calibration names others.")
    seen = with_appearances(given, cache_dir=images.cache_dir or cache_directory(), progress=progress)
    return completed(seen, seed=0, carving="by content")
