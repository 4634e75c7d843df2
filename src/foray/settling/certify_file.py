"""Certifying an exported file: on images with labels, or on images without, of which few may need one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from foray.data import Split
from foray.deploy import ArtifactError, open_artifact
from foray.errors import ForayError
from foray.export.artifact_folder import RECORD
from foray.export.certify import certify as certify_on_labelled
from foray.export.reference import Reference, reference_of_run, reference_of_weights
from foray.process_state import restores_process_state
from foray.progress import SILENT, Progress
from foray.records import ArtifactRecord, Certificate
from foray.requests import ImageSource, Machine
from foray.runs.held_out import HeldOut, fold_for, held_out, without_run
from foray.settling.shipped_file import certify_by_labels, certify_on_images

Kind = Literal["data", "images", "labels"]


@restores_process_state
def certify(
    artifact: str | Path,
    data: str | Path | None = None,
    *,
    run: str | Path | None = None,
    weights: str | Path | None = None,
    images: str | Path | None = None,
    labels: str | Path | None = None,
    tolerance: float = 0.01,
    split: Split = "test",
    fold: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    threads: int | None = None,
    workers: int | None = None,
    cache_dir: Path | None = None,
    progress: Progress = SILENT,
) -> Certificate:
    """Scores an exported file against float32, and writes the certificate into its artifact.json and its model card.

    With `data` every image has a label. With `images` none needs one where so few labels differ from float32 that the
    loss is within the tolerance anyway; else `artifact`/settle/label.html and labels.csv ask for labels of those that
    differ, and the same call with `labels` decides.

    Args:
        artifact: folder of an exported artifact.
        data: images with labels, as for `compare`; or `images`.
        run: folder of the run it was exported from.
        weights: the published weights it was exported from, where there is no run; with `data` only.
        images: images without labels, like those of use: a folder, folders in it included, or an archive.
        labels: with `images`: a CSV of image,label, as the page writes it.
        tolerance: loss of accuracy that is allowed, in [0, 1].
        split: of `data`, what is scored.
        fold: fold of a data set with official folds; None: the one the run was trained on.
        data_dir: folder with a copy of the named data set.
        offline: download nothing.
        threads: of the runtime; None: one per core.
        workers: threads that decode images; None: one per core.
        cache_dir: decoded images and downloads; None: see `foray.cache_folder`.
        progress: what is told of the progress.

    Returns:
        The certificate.

    Raises:
        ForayError: for options that do not fit each other, and a file that is damaged or of another run.
        DataError: for classes, images or labels that do not fit, and when no image is left.
    """
    _require_one_source(artifact, run, weights)
    kind = _kind(data, images, labels, weights, split)
    machine = Machine("cpu", threads, workers, cache_dir)
    if kind == "data":
        assert data is not None
        source = ImageSource(data, fold, data_dir, offline)
        return _on_data(Path(artifact), run or "", weights, source, split, tolerance, machine, progress)
    assert images is not None
    assert run is not None
    if labels is None:
        return certify_on_images(artifact, run, images, machine, tolerance=tolerance, progress=progress)
    return certify_by_labels(artifact, run, images, labels, machine, tolerance=tolerance, progress=progress)


def _require_one_source(artifact: str | Path, run: str | Path | None, weights: str | Path | None) -> None:
    if (run is None) == (weights is None):
        raise ForayError(f"Name what {artifact} was exported from: `run`, or `weights` for published weights.")


def _kind(
    data: str | Path | None,
    images: str | Path | None,
    labels: str | Path | None,
    weights: str | Path | None,
    split: Split,
) -> Kind:
    """On what is certified. Raises ForayError for arguments that do not fit each other."""
    if images is None and labels is not None:
        raise ForayError("`labels` are of images without labels: name these as well, with `images`.")
    if (data is None) == (images is None):
        raise ForayError("Name either images with labels (`data`) or images without (`images`).")
    if images is None:
        return "data"
    if weights is not None:
        raise ForayError("`images` go with `run`, not with `weights`: on which images these were trained is not known.")
    if split != "test":
        raise ForayError("`split` is of images with labels (`data`): with `images` leave it out.")
    return "images" if labels is None else "labels"


def _on_data(
    artifact: Path,
    run: str | Path,
    weights: str | Path | None,
    source: ImageSource,
    split: Split,
    tolerance: float,
    machine: Machine,
    progress: Progress,
) -> Certificate:
    record = ArtifactRecord.load(artifact / RECORD)
    source = replace(source, fold=fold_for(source.data, record.run.dataset, record.run.fold, source.fold))
    given = source.open_given(machine.cache, progress)
    if weights is None:
        images = held_out(run, given, split, cache_dir=machine.cache, progress=progress)
        reference = reference_of_run(run, images, machine, progress=progress)
    else:
        images = without_run(given, split)
        reference = _of_weights(artifact, record, weights, images, source.offline, machine, progress)
    return certify_on_labelled(
        artifact, images, reference, tolerance=tolerance, threads=machine.threads, progress=progress
    )


def _of_weights(
    artifact: Path,
    record: ArtifactRecord,
    weights: str | Path,
    images: HeldOut,
    offline: bool,
    machine: Machine,
    progress: Progress,
) -> Reference:
    try:
        labels = open_artifact(artifact).labels
    except ArtifactError as error:
        raise ForayError(str(error)) from error
    return reference_of_weights(record, weights, labels, images, machine, offline=offline, progress=progress)
