"""The sources of images: the study's, and parts and smaller copies of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from foray.data import NAMED_DATASETS, SPLITS, Dataset
from foray.errors import DataError
from foray.progress import SILENT, Progress
from foray.regular_files import is_there
from foray.reproduce.experiments import PerClass
from foray.requests import ImageSource


@dataclass(frozen=True)
class Source:
    """One set of images. `same_images`: the study's, a part of them, or smaller copies.

    `named`: how foray.data reads it; `images`: the numbers of images of complete copies.
    """

    name: str
    title: str
    named: str
    images: tuple[int, ...]
    same_images: bool = True

    @property
    def folds(self) -> int:
        """Number of official folds; 0 where there are none."""
        return NAMED_DATASETS[self.named].folds

    @property
    def manual(self) -> str:
        """Its official location."""
        described = NAMED_DATASETS[self.named]
        return described.manual or f"See {described.page}."


def of_commands(text: str) -> str:
    """What the library says, beside commands: options in place of parameters."""
    return text.replace("`data_dir`", "--data-dir").replace("`data`", "DATA")


JPEG_COPIES = "JPEG copies"  # a note of data sets, and of runs on them
SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("cifar10", "CIFAR-10", "cifar10", (60_000,)),
        Source("cifar100", "CIFAR-100", "cifar100", (60_000,)),
        Source("deepweeds", "DeepWeeds", "deepweeds", (17_509,)),
        Source("rock_paper_scissors", "Rock-Paper-Scissors", "rock_paper_scissors", (2_892,)),
        Source("imagenet", "ILSVRC2012 validation", "imagenet", (50_000,)),
        Source("rock_paper_scissors_28px", "Rock-Paper-Scissors at 28 px, enlarged", "rock_paper_scissors", (2_892,)),
        Source("imagenet_val_500", "500 ILSVRC2012 validation images of 10 classes", "imagenet", (500,)),
        Source("digits", "scikit-learn's digits", "digits", (1_797,), same_images=False),
    )
}  # fmt: skip


def where_is(name: str, data_dir: Path | None, cache: Path, *, offline: bool) -> str:
    """Whether the images of a source are available: checks for their folder or download, and opens nothing."""
    source = SOURCES[name]
    if data_dir is not None and is_there(data_dir / name):
        return f"in {data_dir / name}"
    described = NAMED_DATASETS[source.named]
    if name == "digits":
        return "built in"
    if name == source.named and described.files:
        if not described.missing_files(cache):
            return "downloaded"
        return f"missing. {of_commands(source.manual)}" if offline else "missing, will be downloaded"
    return f"missing. {of_commands(source.manual)}"


def open_source(
    name: str,
    data_dir: Path | None,
    cache: Path,
    *,
    fold: int | None = None,
    offline: bool,
    progress: Progress = SILENT,
) -> Dataset:
    """The images of a source. Raises DataError, with the official location, when they are missing or incomplete.

    `data_dir`: a folder with one folder per source, of its name; missing images are downloaded unless `offline`.
    """
    source = SOURCES[name]
    own = data_dir / name if data_dir else None
    wanted = ImageSource(source.named, fold=fold, offline=offline)
    if own is not None and name != "digits" and is_there(own):
        dataset = _own_copy(replace(wanted, data_dir=own), own, cache, progress)
    elif source.name == source.named and name != "imagenet":
        dataset = _official(source, wanted, cache, progress)
    else:
        raise DataError(f"{source.title}: no folder {name} in the data folder (`data_dir`). {source.manual}")
    if len(dataset.samples) not in source.images:
        complete = " or ".join(f"{n:,}" for n in source.images)
        raise DataError(
            f"{source.title} is not complete: {len(dataset.samples):,} of {complete} images. {source.manual}"
        )
    return replace(dataset, name=name, source=NAMED_DATASETS[source.named].page)


def _own_copy(wanted: ImageSource, own: Path, cache: Path, progress: Progress) -> Dataset:
    archives = [path for path in own.iterdir() if path.name.endswith((".tar.xz", ".zip"))] if own.is_dir() else []
    if str(wanted.data).startswith("cifar") and archives:  # JPEG copies in class folders
        copied = ImageSource(archives[0]).open(cache, progress=progress)
        return replace(copied, notes=(*copied.notes, JPEG_COPIES))
    return wanted.open(cache, progress=progress)


def _official(source: Source, wanted: ImageSource, cache: Path, progress: Progress) -> Dataset:
    try:
        return wanted.open(cache, progress=progress)
    except DataError as error:
        if not wanted.offline:
            raise
        raise DataError(f"{source.title} is not on this machine. {source.manual}") from error


def reduced(dataset: Dataset, per_class: PerClass | None) -> Dataset:
    """`dataset` with so many images of each class in each split, always the same ones, independent of other classes."""
    if per_class is None:
        return dataset
    limits = dict(zip(SPLITS, per_class, strict=True))
    taken: dict[tuple[str, int], int] = {}
    kept = set()
    for sample in sorted(dataset.samples, key=lambda one: hashlib.sha256(one.id.encode()).digest()):
        place = (sample.split or "", sample.label)
        taken[place] = taken.get(place, 0) + 1
        if sample.split and taken[place] <= limits[sample.split]:
            kept.add(sample.id)
    samples = tuple(sample for sample in dataset.samples if sample.id in kept)
    note = f"{len(samples):,} of {len(dataset.samples):,} images: {per_class.words()}"
    return replace(dataset, samples=samples, notes=(*dataset.notes, note)).fingerprinted()
