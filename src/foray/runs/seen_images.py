"""images.npz of a run: the images it was trained, selected and tested on, by content.

    contents     uint8 (N, 32)     SHA-256 of each file's bytes (or of the pixels), in the order of the data set
    splits       int8 (N,)         0 train, 1 val, 2 test
    labels       int64 (N,)        in the order of the run's classes
    leaked       bool (N,)         test and val images that are copies or near-duplicates of images of an earlier split
    thumbnails   uint8 (M, 24, 24) of all images, in their order; in earlier versions only of train and val; M is 0
    hashes       uint8 (M, 8)      where near-duplicates could not be told (too many images, or all alike)

For `linear` val is trained on as well: out-of-fold heads are fitted to both.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.data import SPLITS, Dataset, Split
from foray.data.appearance import MOST_IMAGES
from foray.data.content import with_content
from foray.data.near_duplicates import find_leaks, with_appearances
from foray.data.perceptual_hash import HASH_BITS, THUMBNAIL_SIDE, Fingerprints
from foray.errors import RunError
from foray.evaluation.predictions import Predictions
from foray.progress import SILENT, Progress
from foray.records import RunFolder, RunRecord, atomic_writer
from foray.records.quantities import format_percent

_BYTES = 32  # of a SHA-256


@dataclass(frozen=True, eq=False)
class SeenImages:
    """The content of images.npz. `contents`: hexadecimal; `fingerprints` (M,): of the images at `fingerprinted`."""

    contents: tuple[str, ...]
    splits: npt.NDArray[np.int8]
    labels: npt.NDArray[np.int64]
    leaked: npt.NDArray[np.bool_]
    fingerprints: Fingerprints

    @cached_property
    def split_of(self) -> Mapping[str, Split]:
        """What each content was used for; of an image in several splits the earliest one."""
        found: dict[str, Split] = {}
        for content, split in sorted(zip(self.contents, self.splits.tolist(), strict=True), key=lambda row: -row[1]):
            found[content] = SPLITS[split]
        return found

    @property
    def fitted(self) -> npt.NDArray[np.int64]:
        """Positions of the train and val images."""
        return np.flatnonzero(self.splits < SPLITS.index("test"))

    @property
    def fingerprinted(self) -> npt.NDArray[np.int64]:
        """Positions of the images of `fingerprints`: all, or in files of earlier versions those of train and val."""
        everything = np.arange(len(self.contents))
        return next(one for one in (everything, self.fitted, everything[:0]) if len(one) == len(self.fingerprints))

    @cached_property
    def fitted_fingerprints(self) -> Fingerprints:
        """Of the train and val images, in the order of `fitted`; empty where near-duplicates could not be told."""
        return self.fingerprints.of(np.flatnonzero(np.isin(self.fingerprinted, self.fitted)))

    @cached_property
    def tested_row(self) -> Mapping[str, int]:
        """Row in predictions/test.npz of each content that was tested."""
        tested = np.flatnonzero(self.splits == SPLITS.index("test"))
        return {self.contents[i]: row for row, i in enumerate(tested)}

    @cached_property
    def leaked_tests(self) -> frozenset[str]:
        """Contents of test images that are near-duplicates of train or val images."""
        tested = np.flatnonzero(self.leaked & (self.splits == SPLITS.index("test")))
        return frozenset(self.contents[i] for i in tested)


def seen_images(dataset: Dataset, *, cache_dir: Path, progress: Progress = SILENT) -> SeenImages:
    """What a run on `dataset` sees, whose samples all have a split."""
    if not all(sample.content for sample in dataset.samples):
        dataset = with_content(dataset, cache_dir=cache_dir, progress=progress)
    if dataset.appearances is None:
        dataset = with_appearances(dataset, cache_dir=cache_dir, progress=progress)
    assert dataset.appearances is not None
    assert dataset.near is not None
    leaks = find_leaks(dataset)
    told = len(dataset.near.contents) > 0 and len(dataset.appearances.contents) <= MOST_IMAGES
    return SeenImages(
        contents=tuple(sample.content for sample in dataset.samples),
        splits=np.array([SPLITS.index(sample.split or "train") for sample in dataset.samples], dtype=np.int8),
        labels=dataset.labels,
        leaked=np.array([sample.id in leaks.val | leaks.test for sample in dataset.samples], dtype=np.bool_),
        fingerprints=dataset.appearances.fingerprints_of(dataset.samples if told else []),
    )


def write_seen_images(path: Path, seen: SeenImages) -> None:
    """Writes images.npz, atomically."""
    contents = np.frombuffer(bytes.fromhex("".join(seen.contents)), np.uint8).reshape(-1, _BYTES)
    with atomic_writer(path) as stream:
        np.savez_compressed(
            stream,
            allow_pickle=False,
            contents=contents,
            splits=seen.splits,
            labels=seen.labels,
            leaked=seen.leaked,
            thumbnails=seen.fingerprints.thumbnails,
            hashes=np.packbits(seen.fingerprints.hashes, axis=1),
        )


def read_seen_images(run: RunFolder, record: RunRecord) -> SeenImages | None:
    """images.npz in the folder of the finished run of `record`; None where a run of an earlier version has none.

    Raises RunError when it is damaged, missing though the run wrote one, or of another run.
    """
    path = run.images
    if path.name not in record.files and not path.exists():
        return None
    run.require_intact(path, record)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            hashes = np.unpackbits(stored["hashes"], axis=1).astype(np.bool_)
            seen = SeenImages(
                contents=tuple(row.tobytes().hex() for row in stored["contents"]),
                splits=stored["splits"],
                labels=stored["labels"],
                leaked=stored["leaked"],
                fingerprints=Fingerprints(stored["thumbnails"], hashes),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise RunError(f"Cannot read {path}: {error}. {_WAY_OUT}") from error
    n, m = len(seen.contents), len(seen.fingerprints)
    fits = all(len(array) == n for array in (seen.splits, seen.labels, seen.leaked)) and m in (0, len(seen.fitted), n)
    if not fits or hashes.shape != (m, HASH_BITS) or seen.fingerprints.thumbnails.shape[1:] != (THUMBNAIL_SIDE,) * 2:
        raise RunError(f"{path} is damaged: its arrays do not fit each other. {_WAY_OUT}")
    return seen


_WAY_OUT = "It records the images that the run was trained on: restore it, or train again into a new folder."


def leak_note(seen: SeenImages, test: Predictions) -> list[str]:
    """The test accuracy without images that are near-duplicates of train or val images, where there are such."""
    leaked = seen.leaked[seen.splits == SPLITS.index("test")]
    if not leaked.any():
        return []
    right = test.correct[~leaked]
    if not len(right):
        return ["every test image is a near-duplicate of a train or val image: the test accuracy is no estimate"]
    return [
        f"without the {int(leaked.sum()):,} test images that are duplicates or near-duplicates of train or val "
        f"images, test accuracy is {format_percent(float(right.mean()))} (n = {len(right):,})"
    ]
