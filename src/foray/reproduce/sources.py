"""Where the images of an experiment come from, and what stands in for what."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from foray.cache_folder import cache_directory
from foray.data import NAMED_DATASETS, SPLITS, Dataset, open_dataset
from foray.data.split_units import Carving
from foray.errors import DataError
from foray.progress import SILENT, Progress
from foray.regular_files import is_there
from foray.reproduce.experiments import PerClass


@dataclass(frozen=True)
class Source:
    """One set of images. `stands_for`: the study's, None where it is that itself; `same_images`: reduced copies of it.

    `named`: how foray.data reads it; `images`: how many there must be, each number a complete copy's.
    """

    name: str
    title: str
    named: str
    images: tuple[int, ...]
    stands_for: str | None = None
    same_images: bool = True

    @property
    def manual(self) -> str:
        """Where it is officially found."""
        described = NAMED_DATASETS[self.named]
        return described.manual or f"See {described.page}."


_CARVING: Carving = "by name"  # as the kept results were; these sets name their images for good
SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("cifar10", "CIFAR-10", "cifar10", (60_000,)),
        Source("cifar100", "CIFAR-100", "cifar100", (60_000,)),
        Source("deepweeds", "DeepWeeds", "deepweeds", (17_509,)),
        Source("rock_paper_scissors", "Rock-Paper-Scissors", "rock_paper_scissors", (2_892,)),
        Source("imagenet", "ILSVRC2012 validation", "imagenet", (50_000,)),
        Source("plant_seedlings", "Plant Seedlings (12 weeds and crops)", "plant_seedlings", (4_750, 5_539),
               "deepweeds", same_images=False),
        Source("rock_paper_scissors_28px", "Rock-Paper-Scissors at 28 px, enlarged", "rock_paper_scissors", (2_892,),
               "rock_paper_scissors"),
        Source("imagenet_val_500", "500 ILSVRC2012 validation images of 10 classes", "imagenet", (500,), "imagenet",
               same_images=False),
        Source("imagenet_sample_1000", "1,000 ImageNet sample images, probably of train", "imagenet", (1_000,),
               "imagenet", same_images=False),
        Source("digits", "scikit-learn's digits", "digits", (1_797,), "all others", same_images=False),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Places:
    """Where images and weights are looked for.

    `data_dir`: a folder with one folder a source, of its name. `download`: whether what is not there is fetched from
    its official place.
    """

    data_dir: Path | None = None
    weights: str | None = None
    download: bool = True
    cache_dir: Path | None = None


def where_is(name: str, places: Places) -> str:
    """Whether the images of a source are at hand, by looking for their folder or download; nothing is opened."""
    source = SOURCES[name]
    if places.data_dir is not None and is_there(places.data_dir / name):
        return f"in {places.data_dir / name}"
    described = NAMED_DATASETS[source.named]
    if name == "digits":
        return "built in"
    if name == source.named and described.files:
        if not described.missing_files(places.cache_dir or cache_directory()):
            return "downloaded"
        return "not here, will be downloaded" if places.download else f"not here. {source.manual}"
    return f"not here. {source.manual}"


def open_source(name: str, places: Places, progress: Progress = SILENT) -> Dataset:
    """The images of a source. Raises DataError when they are not there or not all there, with the official place."""
    source = SOURCES[name]
    own = places.data_dir / name if places.data_dir else None
    if name == "digits":
        dataset = open_dataset("digits", carving=_CARVING)
    elif own is not None and is_there(own):
        dataset = _own_copy(source, own, places, progress)
    elif source.name == source.named and name != "imagenet":
        dataset = _official(source, places, progress)
    else:
        raise DataError(f"{source.title}: no folder {name} in the data folder (--data-dir). {source.manual}")
    if len(dataset.samples) not in source.images:
        complete = " or ".join(f"{n:,}" for n in source.images)
        raise DataError(
            f"{source.title} is not complete: {len(dataset.samples):,} of {complete} images. {source.manual}"
        )
    return replace(dataset, name=name, source=NAMED_DATASETS[source.named].page)


def _own_copy(source: Source, own: Path, places: Places, progress: Progress) -> Dataset:
    archives = [path for path in own.iterdir() if path.name.endswith((".tar.xz", ".zip"))] if own.is_dir() else []
    if source.named.startswith("cifar") and archives:  # JPEG copies in class folders
        copied = open_dataset(archives[0], cache_dir=places.cache_dir, carving=_CARVING, progress=progress)
        return replace(copied, notes=(*copied.notes, "JPEG copies"))
    return open_dataset(
        source.named, data_dir=own, offline=not places.download, cache_dir=places.cache_dir, carving=_CARVING,
        progress=progress,
    )  # fmt: skip


def _official(source: Source, places: Places, progress: Progress) -> Dataset:
    try:
        return open_dataset(
            source.named, offline=not places.download, cache_dir=places.cache_dir, carving=_CARVING, progress=progress
        )
    except DataError as error:
        if places.download:
            raise
        raise DataError(f"{source.title} is not on this machine. {source.manual}") from error


def reduced(dataset: Dataset, per_class: PerClass | None) -> Dataset:
    """`dataset` with so many images of each class in each split, always the same ones whatever else there is."""
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
