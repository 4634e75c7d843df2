"""What a named dataset is: where it officially lies, under which licence, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pooch

from foray.data.archive import is_archive, unpack
from foray.data.class_folders import visible_folders
from foray.data.dataset import Dataset, counted, some_names
from foray.data.download import RemoteFile, fetch
from foray.deploy.predict import is_visible
from foray.errors import DataError
from foray.progress import Progress


@dataclass(frozen=True)
class Request:
    """What the user asked for: `data_dir` is a copy they have, used instead of any download."""

    fold: int
    data_dir: Path | None
    offline: bool
    cache_dir: Path
    progress: Progress

    def downloading(self) -> Request:
        """The same request without `data_dir`: for small files that a copy may lack."""
        return replace(self, data_dir=None)


@dataclass(frozen=True)
class Grouping:
    """Which images of a named set belong together, and so must share a split; file names tell.

    `reason`: why they belong together or, without `kinds`, why no group is known; `source`: where that is stated.
    `what`: the images of one group, in words. `kinds`: each kind of group with the pattern of its file names, whose
    part `group` tells one group from another.
    """

    reason: str
    source: str
    what: str = ""
    kinds: Mapping[str, re.Pattern[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.what}, by file name" if self.kinds else f"none known: {self.reason}"

    def group_of(self, id_: str) -> str | None:
        """The group of the image with that id, its kind first; None where its name fits no pattern."""
        name = id_.rpartition("/")[2]
        for kind, pattern in self.kinds.items():
            if found := pattern.fullmatch(name):
                return f"{kind} {found['group']}"
        return None


@dataclass(frozen=True)
class NamedDataset:
    """A dataset with a name. `manual`: how a person gets it and what `--data-dir` may hold. `folds`: 0 = none.

    `files`: what is downloaded, but for tables of a few kB; none where the data are built in or nobody may fetch them.
    `evaluation_only`: all images are the test split; there is nothing to train on. `read`: the images without groups.
    """

    name: str
    title: str
    licence: str
    page: str
    read: Callable[[NamedDataset, Request], Dataset]
    groups: Grouping
    manual: str = ""
    files: tuple[RemoteFile, ...] = ()
    folds: int = 0
    evaluation_only: bool = False

    def open(self, request: Request) -> Dataset:
        """The images, each with its group; a note counts those whose names tell none though others' do."""
        dataset = self.read(self, request)
        if not self.groups.kinds:
            return dataset
        samples = tuple(replace(sample, group=self.groups.group_of(sample.id)) for sample in dataset.samples)
        notes = dataset.notes
        if unknown := [sample.id for sample in samples if sample.group is None]:
            notes += (f"{counted(len(unknown), 'image')} of no known group, by file name: {some_names(unknown)}",)
        return replace(dataset, samples=samples, notes=notes)

    def missing_files(self, cache_dir: Path) -> list[RemoteFile]:
        """Those of `files` that are not downloaded yet."""
        return [file for file in self.files if not (self._downloads(cache_dir) / file.name).is_file()]

    def _downloads(self, cache_dir: Path) -> Path:
        return cache_dir / "downloads" / self.name

    def obtain(self, file: RemoteFile, request: Request) -> Path:
        """The file from `data_dir` (its hash checked where an official one is known), else from cache or mirrors."""
        if request.data_dir is None:
            folder = self._downloads(request.cache_dir)
            return fetch(file, folder, offline=request.offline, manual=self.manual, progress=request.progress)
        own = request.data_dir / file.name
        if not own.is_file():
            raise DataError(f"{file.name} is not in {request.data_dir}. {self.manual}")
        if file.hash is not None and not pooch.hashes.hash_matches(own, file.hash):
            raise DataError(
                f"{own} does not have the official hash {file.hash}: it is damaged or another file. {self.manual}"
            )
        return own

    def unpacked(self, file: RemoteFile, request: Request) -> Path:
        """Folder with the files of an archive."""
        return unpack(self.obtain(file, request), cache_dir=request.cache_dir, progress=request.progress)


def copy_of_class_folders(data_dir: Path, request: Request) -> Path:
    """The folder in a user's copy: `data_dir` itself, or what the only archive in it (or that it is) unpacks to."""
    if data_dir.is_file():
        return unpack(data_dir, cache_dir=request.cache_dir, progress=request.progress)
    archives = [path for path in data_dir.iterdir() if is_archive(path) and is_visible(path.name)]
    if visible_folders(data_dir) or not archives:
        return data_dir
    if len(archives) > 1:
        raise DataError(f"{data_dir} holds several archives ({some_names(path.name for path in archives)}). Name one.")
    return unpack(archives[0], cache_dir=request.cache_dir, progress=request.progress)
