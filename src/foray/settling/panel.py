"""The panel: new images without labels that count, and the labels that networks give them.

Left out, and counted: images that cannot be read, images that the runs have seen or near-duplicates of such, and all
but the first by name of new images that are near-duplicates of each other (a burst).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from foray.data import Dataset, ImageStore, UnreadableImagesError, decode_for_evaluation
from foray.data.appearance import Appearances, appearances_of, near_pairs
from foray.data.dataset import Sample, some_names
from foray.data.perceptual_hash import nearest
from foray.data.unlabelled import folders_of_classes, open_unlabelled
from foray.errors import DataError, RunError
from foray.evaluation.precision import resolve_device
from foray.progress import SILENT, Progress
from foray.records import RunFolder
from foray.records.settlement import PanelLeftOut
from foray.requests import Machine
from foray.runs.seen_images import SeenImages, read_seen_images
from foray.runs.trained import TrainedRun
from foray.specs import Preprocessing
from foray.training.whole_network import predict_split

_ONE_CLASS = 0.95  # of the predictions, from which on it is said that nearly all are of one class

Labels = npt.NDArray[np.int64]  # class indices


@dataclass(frozen=True, eq=False)
class Panel:
    """New images that count: the samples of `dataset`, all of the split test, without labels, in the order of names.

    `known`: class index by id of images that were left out because the runs have seen the same file.
    `notes`: what to say of the images.
    """

    dataset: Dataset
    left_out: PanelLeftOut
    notes: tuple[str, ...] = ()
    known: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.dataset.samples)


def open_panel(
    images: str | Path,
    runs: Sequence[RunFolder],
    preprocessings: Sequence[Preprocessing],
    machine: Machine,
    *,
    used: Collection[str] = (),
    progress: Progress = SILENT,
) -> Panel:
    """The images in a folder or an archive that no run has seen, decoded once for each of `preprocessings`.

    Args:
        images: a folder, folders in it included, or an archive of one.
        runs: finished runs, all with the same classes in the same order.
        preprocessings: of the networks that will see the images.
        machine: where the cache lies, and how many processes decode.
        used: contents (SHA-256) of more images that must not count, such as those an int8 file was calibrated on.
        progress: what is told of the progress.

    Raises:
        DataError: when there is no such folder, or no image is left.
        RunError: for damaged runs, and for runs of different classes.
    """
    records = [run.load() for run in runs]
    classes = tuple(records[0].dataset.classes)
    if other := next((r for r in records if tuple(r.dataset.classes) != classes), None):
        raise RunError(f"The runs {records[0].run_id} and {other.run_id} are of different classes.")
    dataset = open_unlabelled(images, classes, cache_dir=machine.cache, progress=progress)
    notes = [*dataset.notes, *_of_folders(dataset)]
    appearances = appearances_of(dataset.samples, cache_dir=machine.cache, progress=progress)
    samples, unreadable = _readable(dataset, appearances)
    samples, broken = _decodable(replace(dataset, samples=tuple(samples)), preprocessings, machine, progress)
    seen = [read_seen_images(run, record) for run, record in zip(runs, records, strict=True)]
    fresh, known, seen_notes = _unseen(samples, seen, frozenset(used), appearances)
    told = all(one is None or len(one.fingerprints) > 0 for one in seen)
    kept = _without_bursts(fresh, appearances, told, machine.cache, progress)
    left_out = PanelLeftOut(
        unreadable=len(unreadable) + len(broken),
        near_copies=len(samples) - len(fresh),
        bursts=len(fresh) - len(kept),
    )
    if not kept:
        raise DataError(f"No image of {images} remains. {left_out.sentence} Give images that the runs have not seen.")
    notes += _of_sizes(kept, appearances, preprocessings)
    if left_out.bursts > len(kept):
        notes.append("most of the images are near-duplicates of another one: check that they are like those of use")
    if unreadable or broken:
        notes.append(f"cannot be read: {some_names([*unreadable, *broken])}")
    panel = replace(dataset, samples=tuple(kept), notes=()).fingerprinted()
    return Panel(panel, left_out, (*notes, *seen_notes), known)


def panel_labels(
    trained: TrainedRun, panel: Panel, machine: Machine = Machine(), progress: Progress = SILENT
) -> Labels:
    """The class index that a run's network gives to each image, (N,), in float32 as `foray evaluate` scores it.

    Raises RunError where its probabilities are not finite.
    """
    preprocessing = trained.record.preprocessing
    store = _decoded(panel.dataset, preprocessing, machine, progress)
    target = resolve_device(machine.device)
    network = trained.network.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    found = predict_split(
        network, split="test", dataset=panel.dataset, store=store, preprocessing=preprocessing, device=target,
        progress=progress,
    ).probabilities  # fmt: skip
    if not np.isfinite(found).all():
        raise RunError(f"{trained.record.run_id} gives no finite probabilities: a value overflows in its network.")
    return np.asarray(found.argmax(axis=1), dtype=np.int64)


def notes_on_labels(labels: npt.NDArray[np.int64], classes: Sequence[str]) -> list[str]:
    """Where nearly all labels that networks give, (..., N), are of one class: the images may be of another kind."""
    counts = np.bincount(labels.ravel(), minlength=len(classes))
    most = int(counts.argmax())
    share = counts[most] / max(labels.size, 1)
    if share < _ONE_CLASS or labels.shape[-1] < 20:
        return []
    return [
        f"{share:.0%} of the labels that the networks give are {classes[most]}: check that these images are like those "
        "of use, because what they say holds for images like these"
    ]


def _of_folders(dataset: Dataset) -> list[str]:
    named = folders_of_classes(dataset)
    if not named:
        return []
    return [
        f"folders are named after classes ({some_names(named)}): they are not read as labels here. Labelled images are "
        "scored with foray evaluate"
    ]


def _of_sizes(
    samples: Sequence[Sample], appearances: Appearances, preprocessings: Sequence[Preprocessing]
) -> list[str]:
    """Where the images are far smaller than what a network sees: images of use that are larger are of another kind."""
    rows = [appearances.row[sample.content] for sample in samples]
    side = int(np.median(appearances.sizes[rows].min(axis=1)))
    largest = max((one.resolution for one in preprocessings), default=0)
    if 2 * side > largest:
        return []
    return [
        f"the images are small (shorter side {side} pixels, the median, where the networks see {largest}): check that "
        "those of the comparison are as small"
    ]


def _readable(dataset: Dataset, appearances: Appearances) -> tuple[list[Sample], list[str]]:
    """The samples that can be read, and the ids of the others."""
    reasons = {content: str(appearances.reasons[row]) for content, row in appearances.row.items()}
    good = [sample for sample in dataset.samples if sample.content and not reasons[sample.content]]
    ids = {sample.id for sample in good}
    return good, [sample.id for sample in dataset.samples if sample.id not in ids]


def _decodable(
    dataset: Dataset, preprocessings: Sequence[Preprocessing], machine: Machine, progress: Progress
) -> tuple[list[Sample], list[str]]:
    """The same, of images that are decoded completely: some are found to be damaged only then."""
    broken: list[str] = []
    for preprocessing in dict.fromkeys(preprocessings):
        while dataset.samples:
            try:
                _decoded(dataset, preprocessing, machine, progress)
                break
            except UnreadableImagesError as error:
                broken += error.ids
                gone = set(error.ids)
                dataset = replace(dataset, samples=tuple(s for s in dataset.samples if s.id not in gone))
    return list(dataset.samples), broken


def _decoded(dataset: Dataset, preprocessing: Preprocessing, machine: Machine, progress: Progress) -> ImageStore:
    return decode_for_evaluation(
        dataset, preprocessing, cache_dir=machine.cache, workers=machine.workers, progress=progress
    )


def _unseen(
    samples: Sequence[Sample], seen: Sequence[SeenImages | None], used: frozenset[str], appearances: Appearances
) -> tuple[list[Sample], dict[str, int], list[str]]:
    """Images that no run has seen, nor near-duplicates of such; the class of those that one has seen; and notes."""
    runs = _different(seen)
    label_of = {content: int(label) for one in runs for content, label in zip(one.contents, one.labels, strict=True)}
    fresh = [sample for sample in samples if sample.content not in label_of and sample.content not in used]
    known = {sample.id: label_of[sample.content] for sample in samples if sample.content in label_of}
    notes = []
    if None in seen:
        notes.append("a run is of an earlier version and has no digests of its images: it may have seen some of these")
    for one in runs:
        if not len(one.fingerprints):
            notes.append("exact copies of the runs' images were looked for, near-duplicates could not be")
            continue
        if len(one.fingerprints) < len(one.contents):
            notes.append("a run is of an earlier version: near-duplicates of its test images could not be looked for")
        if fresh:
            copies = nearest(appearances.fingerprints_of(fresh), one.fingerprints)
            fresh = [sample for i, sample in enumerate(fresh) if i not in copies]
    return fresh, known, list(dict.fromkeys(notes))


def _different(seen: Sequence[SeenImages | None]) -> list[SeenImages]:
    """Runs of one comparison have seen the same images: each set once."""
    return list({(one.contents, one.splits.tobytes()): one for one in seen if one is not None}.values())


def _without_bursts(
    samples: Sequence[Sample], appearances: Appearances, told: bool, cache_dir: Path, progress: Progress
) -> list[Sample]:
    """Of images that are near-duplicates of each other the first by name. `told`: whether being alike says so; else
    only exact copies count once."""
    first = list({sample.content: sample for sample in reversed(samples)}.values())[::-1]
    ordered = sorted(first, key=lambda sample: sample.id)
    if not told:
        return ordered
    pairs = near_pairs(appearances, cache_dir=cache_dir, progress=progress)
    alike: dict[str, set[str]] = {}
    for i, j in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        one, other = pairs.contents[i], pairs.contents[j]
        alike.setdefault(one, set()).add(other)
        alike.setdefault(other, set()).add(one)
    kept: list[Sample] = []
    chosen: set[str] = set()
    for sample in ordered:
        if not alike.get(sample.content, set()) & chosen:
            kept.append(sample)
            chosen.add(sample.content)
    return kept
