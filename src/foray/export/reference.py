"""The float32 network that an exported file is held against: its probabilities on the images of one split."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from foray.data import Batches, Dataset, Split, decode_for_evaluation, normalize
from foray.errors import DataError, RunError
from foray.evaluation.predictions import image_ids, predict_batches
from foray.models import Network, build_model
from foray.progress import SILENT, Progress
from foray.records import ArtifactRecord, RunRecord
from foray.runs import load_run
from foray.runs.held_out import HeldOut
from foray.runs.run_folder import RunFolder
from foray.specs import Preprocessing
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
    run: str | Path, images: HeldOut, *, cache_dir: Path | None = None, workers: int | None = None,
    progress: Progress = SILENT,
) -> Reference:  # fmt: skip
    """What the run predicted after training, where `images` are among those it was tested on; else its network is run.

    Raises RunError when `run` is no finished run, DataError when it does not know a class of the images.
    """
    folder = Path(run)
    if images.tested is not None and (folder / "record.json").exists():
        record = RunRecord.load(folder / "record.json")
        kept = _kept(folder, record, images, progress) if record.status == "done" else None
        if kept is not None:
            return kept
    trained = load_run(folder)
    record = trained.record
    return reference_of_network(
        trained.network, record.preprocessing, record.dataset.classes, images.dataset, images.split,
        source=f"run {record.run_id}", cache_dir=cache_dir, workers=workers, progress=progress,
    )  # fmt: skip


def reference_of_weights(
    weights: str | Path, artifact: ArtifactRecord, classes: list[str], dataset: Dataset, split: Split = "test", *,
    offline: bool = False, cache_dir: Path | None = None, workers: int | None = None, progress: Progress = SILENT,
) -> Reference:  # fmt: skip
    """What published weights say with their own head, whose columns are `classes`, of images resized as by `artifact`.

    Raises WeightsError, DataError.
    """
    found = find_weights(weights, artifact.model, offline=offline, progress=progress)
    network = build_model(found.spec, num_classes=len(classes), seed=0)
    if load_weights(network, found).head != "kept":
        raise DataError(f"The weights {weights} know {found.num_classes} classes, the artifact {len(classes)}.")
    return reference_of_network(
        network, replace(found.preprocessing, resize=artifact.preprocessing.resize), classes, dataset, split,
        source=f"weights {found.source}", cache_dir=cache_dir, workers=workers, progress=progress,
    )  # fmt: skip


def reference_of_network(
    network: Network, preprocessing: Preprocessing, classes: list[str], dataset: Dataset, split: Split = "test", *,
    source: str, cache_dir: Path | None = None, workers: int | None = None, progress: Progress = SILENT,
) -> Reference:  # fmt: skip
    """Runs `network` in float32 on one split. Raises DataError when the split is empty or a class unknown to it."""
    if unknown := sorted(set(dataset.classes) - set(classes)):
        raise DataError(f"{source[:1].upper()}{source[1:]} does not know the class {unknown[0]!r} of {dataset.name}.")
    only = replace(dataset, samples=tuple(sample for sample in dataset.samples if sample.split == split))
    if not only.samples:
        raise DataError(f"{dataset.name} has no {split} images.")
    store = decode_for_evaluation(only, preprocessing, cache_dir=cache_dir, workers=workers, progress=progress)
    positions = np.arange(len(only.samples))
    batches = Batches(store, positions, batch_size=_BATCH_SIZE, device=torch.device("cpu"))
    normalized = functools.partial(normalize, preprocessing=preprocessing)
    channels_last = copy.deepcopy(network).cpu().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    probabilities = predict_batches(channels_last, batches, normalized, len(classes), progress=progress)
    return Reference(f"{source}, float32", tuple(classes), image_ids(only, positions), probabilities.numpy())


def _kept(folder: Path, record: RunRecord, images: HeldOut, progress: Progress) -> Reference | None:
    """The predictions a run left; None where they are gone, damaged or of others: its weights can say it again."""
    rows, dataset = images.tested, images.dataset
    try:
        found = RunFolder(folder).read_predictions("test")
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
    source = f"run {record.run_id}, float32, as it was tested"
    return Reference(source, classes, ids, found.probabilities[rows])
