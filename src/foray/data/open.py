"""From what the user names to a dataset with all its splits."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path

from foray.cache_folder import cache_directory
from foray.data.archive import archive_stem, is_archive, unpack
from foray.data.class_folders import TABLE_SUFFIXES, read_folder
from foray.data.content import with_content
from foray.data.csv_table import read_csv
from foray.data.dataset import Dataset
from foray.data.named import NAMED_DATASETS, NamedDataset, Request
from foray.data.near_duplicates import find_leaks, leak_note, with_appearances
from foray.data.split_units import Carving
from foray.data.splits import complete_splits
from foray.errors import DataError
from foray.parsing import home_expanded
from foray.process_state import restores_process_state
from foray.progress import SILENT, Progress
from foray.regular_files import is_there, require_regular


@restores_process_state
def open_dataset(
    data: str | Path,
    *,
    seed: int = 0,
    fold: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    cache_dir: Path | None = None,
    carving: Carving = "by content",
    progress: Progress = SILENT,
) -> Dataset:
    """Images to train on: with train, val and test, content hashes, near-duplicates and fingerprint.

    Every image is decoded once, small, and that is remembered.

    Args:
        data: a folder of class folders (with or without train/val/test above them), a .zip or .tar(.gz|.xz) of one, a
            CSV of path,label[,split][,group], or the name of a data set (see `NAMED_DATASETS`; a folder of that name is
            given as ./name). `imagenet`, which is for evaluation, comes back with a test split only.
        seed: of the splits that are missing; near-duplicates stay on one side.
        fold: fold of a data set with official folds; None: its own default.
        data_dir: folder with a copy of the named data set.
        offline: download nothing.
        cache_dir: decoded images and downloads; None: see `foray.cache_folder`.
        carving: how missing splits are made; "by name" as earlier versions did, for their runs.
        progress: what is told of the progress.

    Raises:
        DataError: naming the thing and the way out.
    """
    cache_dir = cache_dir or cache_directory()
    dataset = open_given(data, fold=fold, data_dir=data_dir, offline=offline, cache_dir=cache_dir, progress=progress)
    if is_evaluation_only(data):
        return dataset
    dataset = completed(with_appearances(dataset, cache_dir=cache_dir, progress=progress), seed, carving)
    if note := leak_note(dataset, find_leaks(dataset)):
        dataset = replace(dataset, notes=(*dataset.notes, note))
    return dataset


def completed(dataset: Dataset, seed: int, carving: Carving) -> Dataset:
    """`dataset` as `open_given` reads it with all its splits, and its fingerprint; see `complete_splits`."""
    if carving == "by name" and dataset.name in NAMED_DATASETS:  # when runs were carved by name, these had no groups
        dataset = replace(dataset, samples=tuple(replace(sample, group=None) for sample in dataset.samples))
    return complete_splits(dataset, seed, carving).fingerprinted()


def open_given(
    data: str | Path,
    *,
    fold: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    cache_dir: Path | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """The images `data` names, to score on: splits as given, or None; nothing is carved, one class and few images do.

    Arguments and errors as for `open_dataset`. With content hashes and fingerprint.
    """
    cache_dir = cache_dir or cache_directory()
    described = NAMED_DATASETS.get(data) if isinstance(data, str) else None
    try:
        if described is not None:
            dataset = described.open(_request(described, fold, data_dir, offline, cache_dir, progress))
        else:
            _refuse_options(data, fold, data_dir)
            dataset = _read_path(home_expanded(data), cache_dir, progress)
    except OSError as error:
        raise DataError(f"Cannot read {error.filename or data}: {error.strerror or error}.") from error
    return with_content(dataset, cache_dir=cache_dir, progress=progress).fingerprinted()


def is_evaluation_only(data: str | Path) -> bool:
    """Whether `data` names images that nothing is trained on."""
    return isinstance(data, str) and data in NAMED_DATASETS and NAMED_DATASETS[data].evaluation_only


def _refuse_options(data: str | Path, fold: int | None, data_dir: Path | None) -> None:
    if fold is not None:
        raise DataError(f"`fold` is for datasets that come with folds ({_with_folds()}), not for {data}.")
    if data_dir is not None:
        raise DataError(f"`data_dir` is for named datasets ({', '.join(NAMED_DATASETS)}), not for {data}.")


def _request(
    described: NamedDataset,
    fold: int | None,
    data_dir: Path | None,
    offline: bool,
    cache_dir: Path,
    progress: Progress,
) -> Request:
    name, folds = described.name, described.folds
    if fold is not None and not folds:
        raise DataError(f"{name} has no folds; `fold` is for {_with_folds()}.")
    if fold is not None and not 0 <= fold < folds:
        raise DataError(f"{name} has the folds 0 to {folds - 1}, not {fold}.")
    if data_dir is not None:
        data_dir = home_expanded(data_dir)
        if not is_there(data_dir):
            raise DataError(f"The data directory {data_dir} does not exist.")
    return Request(fold=fold or 0, data_dir=data_dir, offline=offline, cache_dir=cache_dir, progress=progress)


def _with_folds() -> str:
    return ", ".join(name for name, described in NAMED_DATASETS.items() if described.folds)


def _read_path(path: Path, cache_dir: Path, progress: Progress) -> Dataset:
    if path.is_dir():
        return read_folder(path, name=path.resolve().name, source=str(path))
    if not path.exists():
        nearest = difflib.get_close_matches(path.name, NAMED_DATASETS, n=2, cutoff=0.5)
        hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        raise DataError(
            f"{path} does not exist, and is not one of the named datasets ({', '.join(NAMED_DATASETS)}).{hint}"
        )
    require_regular(path)
    if is_archive(path):
        folder = unpack(path, cache_dir=cache_dir, progress=progress)
        return read_folder(folder, name=archive_stem(path), source=str(path))
    if path.suffix.lower() in TABLE_SUFFIXES:
        return read_csv(path, name=path.stem, source=str(path))
    raise DataError(f"{path} is not a folder, a .zip, .tar, .tar.gz or .tar.xz archive, or a .csv or .tsv table.")
