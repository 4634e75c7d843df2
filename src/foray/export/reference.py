"""The float32 network that an exported file is held against: its probabilities on the images of one split."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from foray.data import Batches, decode_for_evaluation, normalize
from foray.errors import DataError, RunError
from foray.evaluation.predictions import image_ids, predict_batches
from foray.export.source import ExportSource, source_of_run
from foray.models import build_model
from foray.progress import SILENT, Progress
from foray.records import ArtifactOrigin, ArtifactRecord, RunFolder, RunRecord
from foray.requests import Machine
from foray.runs.held_out import HeldOut
from foray.runs.saved_predictions import read_predictions
from foray.weights import find_weights, load_weights

_BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Reference:
    """Float32 class probabilities (N, C) of images by their ids (N,). `classes`: of the columns; `source`: in words."""

    source: str
    classes: tuple[str, ...]
    image_ids: npt.NDArray[np.str_]
    probabilities: npt.NDArray[np.float32]


def reference_of_run(
    run: str | Path,
    images: HeldOut,
    machine: Machine = Machine(),
    *,
    progress: Progress = SILENT,
) -> Reference:
    """What the run predicted after training, where `images` are among those it was tested on; else its network is run.

    Raises RunError when `run` is no finished run, DataError when it does not know a class of the images.
    """
    folder = RunFolder(Path(run))
    if images.tested is not None and folder.is_done:
        kept = _kept(folder, folder.load(), images, progress)
        if kept is not None:
            return kept
    return reference_of_network(source_of_run(run), images, machine, progress=progress)


def reference_of_weights(
    record: ArtifactRecord,
    weights: str | Path,
    classes: Sequence[str],
    images: HeldOut,
    machine: Machine = Machine(),
    *,
    offline: bool = False,
    progress: Progress = SILENT,
) -> Reference:
    """What published weights say with their own head, whose columns are `classes`, of images resized as for the
    artifact of `record`.

    Raises WeightsError, DataError.
    """
    found = find_weights(weights, record.model, offline=offline, progress=progress)
    network = build_model(found.spec, num_classes=len(classes), seed=0)
    info = load_weights(network, found)
    if info.head != "kept":
        raise DataError(f"The weights {weights} have {found.num_classes} classes, the artifact {len(classes)}.")
    origin = ArtifactOrigin(id=found.source, network_sha256=found.sha256, weights=info)
    preprocessing = replace(found.preprocessing, resize=record.preprocessing.resize)
    source = ExportSource(network, preprocessing, tuple(classes), origin)
    return reference_of_network(source, images, machine, progress=progress)


def reference_of_network(
    source: ExportSource,
    images: HeldOut,
    machine: Machine = Machine(),
    *,
    progress: Progress = SILENT,
) -> Reference:
    """Runs the network in float32 on the images. Raises DataError when there are none, or a class is unknown to it."""
    dataset, name = images.dataset, source.label
    if unknown := sorted(set(dataset.classes) - set(source.classes)):
        raise DataError(f"{name[:1].upper()}{name[1:]} has no class {unknown[0]!r} of {dataset.name}.")
    only = replace(dataset, samples=tuple(sample for sample in dataset.samples if sample.split == images.split))
    if not only.samples:
        raise DataError(f"{dataset.name} has no {images.split} images.")
    store = decode_for_evaluation(
        only, source.preprocessing, cache_dir=machine.cache, workers=machine.workers, progress=progress
    )
    positions = np.arange(len(only.samples))
    batches = Batches(store, positions, batch_size=_BATCH_SIZE, device=torch.device("cpu"))
    normalized = functools.partial(normalize, preprocessing=source.preprocessing)
    network = copy.deepcopy(source.network).cpu().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    probabilities = predict_batches(network, batches, normalized, len(source.classes), progress=progress)
    return Reference(f"{name}, float32", source.classes, image_ids(only, positions), probabilities.numpy())


def _kept(run: RunFolder, record: RunRecord, images: HeldOut, progress: Progress) -> Reference | None:
    """The predictions a run left; None where they are gone, damaged or of others: its weights can say it again."""
    rows, dataset = images.tested, images.dataset
    try:
        found = read_predictions(run, "test")
    except RunError as error:
        progress.note(f"{error} Until then its network is run again.")
        return None
    classes = tuple(record.dataset.classes)
    fits = rows is not None and found.probabilities.shape == (len(found.labels), len(classes))
    if rows is None or not fits or rows.max() >= len(found.labels):
        return None
    if not np.array_equal(found.labels[rows], dataset.labels):
        return None
    ids = image_ids(dataset, np.arange(len(rows)))
    source = f"run {record.run_id}, float32, on its test split"
    return Reference(source, classes, ids, found.probabilities[rows])
