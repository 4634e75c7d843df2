"""Held-out images of a run: none that it was trained or selected on, recognised by content.

Evaluation is not training, so nothing is carved: of data with splits the test split is scored, of data without splits
all images, except those that the run was trained or selected on. Of the run's own data that leaves the run's own test
split.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.data import SPLITS, Dataset, Sample, Split
from foray.data.appearance import appearances_of
from foray.data.class_folders import class_name
from foray.data.near_duplicates import is_mixed
from foray.data.open import completed
from foray.data.perceptual_hash import nearest
from foray.errors import DataError, require_known
from foray.progress import SILENT, Progress
from foray.records import LeftOut, RunFolder, RunRecord
from foray.runs.seen_images import SeenImages, read_seen_images

_KNOWN: dict[Split, str] = {
    "train": "The run was trained on these images: the score is not an estimate for new images.",
    "val": "The run was selected on these images (its epoch or penalty): the score is optimistic.",
}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What is scored: the samples of `dataset`, all of them in `split`, with the run's classes.

    `left_out`: None where it could not be checked. `tested`: rows in the run's predictions/test.npz (N,) where all
    images are its own test images, else None. `leaked`: which of them are near-duplicates of images it was fitted to.
    """

    dataset: Dataset
    split: Split
    left_out: LeftOut | None
    notes: tuple[str, ...] = ()
    tested: npt.NDArray[np.int64] | None = None
    leaked: npt.NDArray[np.bool_] | None = None

    def less(self, used: Collection[str]) -> HeldOut:
        """Without images whose content is among `used`, which an int8 file was calibrated on. Raises DataError."""
        stays = np.array([sample.content not in used for sample in self.dataset.samples], dtype=np.bool_)
        if stays.all():
            return self
        if not stays.any():
            raise DataError(
                f"All images of {self.dataset.name} that could certify int8 are used to calibrate it. Give other "
                "images with `calibration`."
            )
        gone = int((~stays).sum())
        return replace(
            self,
            dataset=_only(self.dataset, [self.dataset.samples[i] for i in np.flatnonzero(stays)], self.split),
            left_out=(self.left_out or LeftOut()).model_copy(update={"calibrated_on": gone}),
            tested=None if self.tested is None else self.tested[stays],
            leaked=None if self.leaked is None else self.leaked[stays],
        )


def held_out(
    run: str | Path, dataset: Dataset, split: Split = "test", *, cache_dir: Path, progress: Progress = SILENT
) -> HeldOut:
    """Of `dataset`, as `open_given` reads it, the images that the finished run in `run` is scored on.

    `split` train or val are those the run was trained or selected on, asked for on purpose; where the data hold none
    of them, those that the data call so, less what the run knows. Raises DataError for classes that the run does not
    know, and when no image is left.
    """
    require_known("split", split, SPLITS)
    folder = RunFolder(Path(run))
    record = folder.load()
    dataset = in_classes_of(dataset, record.dataset.classes)
    seen = read_seen_images(folder, record)
    if seen is None:
        return _unchecked(record, dataset, split)
    used = [seen.split_of.get(sample.content) for sample in dataset.samples]
    own = [sample for sample, use in zip(dataset.samples, used, strict=True) if use == split]
    if split != "test" and own:
        return HeldOut(_only(dataset, own, split), split, LeftOut(), (_KNOWN[split],))
    chosen = _candidates(dataset, split, own)
    of_use = {sample.id: use for sample, use in zip(dataset.samples, used, strict=True)}
    new = [sample for sample in chosen if of_use[sample.id] is None]
    copies, notes = _near_copies(seen, new, cache_dir, progress)
    left_out = LeftOut(
        trained_on=sum(of_use[sample.id] == "train" for sample in chosen),
        selected_on=sum(of_use[sample.id] == "val" for sample in chosen),
        near_copies=len(copies),
    )
    kept = [sample for sample in chosen if of_use[sample.id] in (None, "test") and sample.id not in copies]
    if not kept:
        raise DataError(
            f"No image of {dataset.name} remains to score {record.run_id} on. {left_out.sentence} Give images that the "
            "run has not seen, or name the split train or val to score it on those deliberately."
        )
    rows = [seen.tested_row.get(sample.content, -1) for sample in kept]
    return HeldOut(
        _only(dataset, kept, split),
        split,
        left_out,
        notes,
        tested=np.array(rows, dtype=np.int64) if min(rows) >= 0 else None,
        leaked=np.array([sample.content in seen.leaked_tests for sample in kept], dtype=np.bool_),
    )


def without_run(dataset: Dataset, split: Split = "test") -> HeldOut:
    """Of `dataset`, as `open_given` reads it, what published weights are scored on: their training images are not
    known.
    """
    require_known("split", split, SPLITS)
    return HeldOut(_only(dataset, _candidates(dataset, split, []), split), split, None)


def in_classes_of(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    """`dataset` with `classes` and labels that count in them, by name (as `class_name` writes it); those of its own may
    be fewer.

    Raises DataError for a class that is not among them, and for names that repeat in another order.
    """
    if list(dataset.classes) == list(classes):
        return dataset
    position = {class_name(name): i for i, name in enumerate(classes)}
    present = {sample.label for sample in dataset.samples}
    unknown = sorted(name for label in present if class_name(name := dataset.classes[label]) not in position)
    if unknown:
        raise DataError(
            f"The classes of {dataset.name} are not those the run was trained on (unknown: {', '.join(unknown[:5])}). "
            f"Its classes are {', '.join(list(classes)[:10])}{' and more' if len(classes) > 10 else ''}: name the "
            "classes alike, or leave the unknown ones out."
        )
    if len(position) < len(classes):
        raise DataError(f"The classes of {dataset.name} cannot be told apart by name: some names repeat.")
    label_of = [position.get(class_name(name), -1) for name in dataset.classes]
    samples = tuple(replace(sample, label=label_of[sample.label]) for sample in dataset.samples)
    return replace(dataset, classes=tuple(classes), samples=samples).fingerprinted()


def fold_for(data: str | Path, trained: str | None, of_run: int | None, asked: int | None) -> int | None:
    """The fold that was asked for, else that of the run where `data` is `trained`, the named set it was trained on."""
    return of_run if asked is None and str(data) == trained else asked


def trained_on(run: str | Path) -> frozenset[str]:
    """Contents of the images the run's weights were fitted to; empty for a run of an earlier version."""
    folder = RunFolder(Path(run))
    seen = read_seen_images(folder, folder.load())
    return frozenset(content for content, split in seen.split_of.items() if split == "train") if seen else frozenset()


def as_the_run_split(run: str | Path, dataset: Dataset) -> Dataset:
    """`dataset`, as `open_given` reads it, with the run's classes, and the run's own images in the splits they had.

    Others keep the split they are given; of these, those given as val stay, as they were never trained on.
    """
    folder = RunFolder(Path(run))
    record = folder.load()
    dataset = in_classes_of(dataset, record.dataset.classes)
    seen = read_seen_images(folder, record)
    if seen is None:
        return _as_before(record, dataset) or dataset
    samples = tuple(replace(s, split=seen.split_of.get(s.content, s.split)) for s in dataset.samples)
    return replace(dataset, samples=samples).fingerprinted()


def _candidates(dataset: Dataset, split: Split, own: list[Sample]) -> list[Sample]:
    """What the data call `split`; without any splits all images are test; else the run's own images of that split."""
    given = {sample.split for sample in dataset.samples}
    if split == "test" and given == {None}:
        return list(dataset.samples)
    chosen = [sample for sample in dataset.samples if sample.split == split] or own
    if not chosen:
        has = " and ".join(name for name in SPLITS if name in given)
        raise DataError(
            f"{dataset.name} has no {split} images{f', only {has}' if has else ''}. "
            + (f"Name the split to score with `split` {has.split()[0]}." if has else "Leave `split` out to score all.")
        )
    return chosen


def _near_copies(
    seen: SeenImages, new: Sequence[Sample], cache_dir: Path, progress: Progress
) -> tuple[set[str], tuple[str, ...]]:
    """Ids of images in `new` that are near-duplicates of images the run was fitted to; and what to say of the check."""
    if not new:
        return set(), ()
    if not len(seen.fitted_fingerprints):
        return set(), ("Exact duplicates of the run's images were looked for, near-duplicates could not be.",)
    appearances = appearances_of(new, cache_dir=cache_dir, progress=progress)
    found = nearest(appearances.fingerprints_of(new), seen.fitted_fingerprints)
    labels = seen.labels[seen.fitted]
    ours, theirs = [new[i].label for i in found], [int(labels[j]) for j, _ in found.values()]
    if is_mixed(ours, theirs, [*labels.tolist(), *(sample.label for sample in new)]):
        look_like = "look like images of the run, often of another class, and are not treated as duplicates."
        return set(), (f"{len(found):,} images {look_like}",)
    return {new[i].id for i in found}, ()


def _unchecked(record: RunRecord, dataset: Dataset, split: Split) -> HeldOut:
    """For a run of an earlier version, which kept no digests: its own splits where the data are its own."""
    before, tested = _as_before(record, dataset), None
    if before is not None:
        chosen = [sample for sample in before.samples if sample.split == split]
        notes = [
            "The run is of an earlier version and has no digests of its images; by fingerprint, these are its own "
            "images."
        ]
        notes += [_KNOWN[split]] if split in _KNOWN else []
        tested = np.arange(len(chosen)) if split == "test" else None
        dataset = before
    else:
        chosen = _candidates(dataset, split, [])
        notes = [
            "The run is of an earlier version and has no digests of its images, so it cannot be checked whether "
            "it was trained on some of these."
        ]
    return HeldOut(_only(dataset, chosen, split), split, None, tuple(notes), tested)


def _as_before(record: RunRecord, dataset: Dataset) -> Dataset | None:
    """`dataset` with the splits of the run where it is, by its fingerprint, what the run was trained on; else None."""
    if len(dataset.samples) != sum(record.dataset.counts.values()):
        return None
    try:
        whole = completed(dataset, seed=0, carving="by name")
    except DataError:
        return None
    return whole if whole.fingerprint == record.dataset.fingerprint else None


def _only(dataset: Dataset, samples: Sequence[Sample], split: Split) -> Dataset:
    chosen = tuple(replace(sample, split=split) for sample in samples)
    return replace(dataset, samples=chosen).fingerprinted()
