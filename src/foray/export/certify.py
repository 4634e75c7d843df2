"""Scores an exported file on the user's own images, from image file to label, and says whether it may be shipped.

Three things are asked of it, and a file passes when all hold:

- The accuracy it loses against the float32 network, on the same images, is within the tolerance: its one-sided 95 %
  upper bound is. A lower bound above the tolerance is a failure; in between, the images are too few to tell. The same
  is asked of every class: none may lose more than the tolerance beyond what chance explains.
- Float32 and float16 files are the same function as the network, so rounding is all that may differ (see `agreement`).
  A resize without antialias or a crop left out may cost no accuracy on this split, and is found here. int8 and
  bfloat16 change every output a little: there the labels decide, and large differences are warnings.
- The reader that is shipped reads every kind of image as training did (see `reader_probes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.data import Sample
from foray.errors import DataError
from foray.export.agreement import Probabilities
from foray.export.reference import Reference
from foray.export.scored_file import (
    CONFIDENCE,
    SAME_FUNCTION,
    Labels,
    ScoredFile,
    doubts_about,
    score_file,
    share,
    write_certificate,
)
from foray.limits import require_tolerance
from foray.progress import SILENT, Progress
from foray.records import Certificate, CertificateVerdict, ClassDelta
from foray.records.quantities import format_points
from foray.runs.held_out import HeldOut
from foray.statistics import PairedResult, Verdict, paired_loss

_FEW_CHANGED_LABELS = 0.02  # share above which a file of lower precision is worth a look


def certify(
    folder: str | Path,
    images: HeldOut,
    reference: Reference,
    *,
    tolerance: float = 0.01,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> Certificate:
    """Scores the artifact in `folder` on `images` and writes the certificate into its artifact.json and its model card.

    `reference`: float32 probabilities of the same images, by id; images it does not have are left out, and said.
    `tolerance`: loss of accuracy that is allowed, in [0, 1]. Raises ForayError for an artifact that is damaged or
    whose runtime is not installed, and DataError for classes or images that do not fit.
    """
    require_tolerance(tolerance)
    scored = _scored(images, reference)
    file = score_file(folder, scored.samples, scored.expected, reference, threads=threads, progress=progress)
    return write_certificate(file.folder, _certificate(file, images, reference, scored, tolerance, threads))


@dataclass(frozen=True, eq=False)
class _ScoredImages:
    """What is scored: samples with their class as a column of the reference, and the reference's rows."""

    samples: list[Sample]
    labels: Labels  # (N,)
    expected: Probabilities  # (N, C)
    unpredicted: int  # left out, for want of a float32 prediction


def _scored(images: HeldOut, reference: Reference) -> _ScoredImages:
    dataset, split = images.dataset, images.split
    columns = {name: i for i, name in enumerate(reference.classes)}
    column_of = list(range(len(columns))) if dataset.classes == reference.classes else None
    if column_of is None:
        if unknown := sorted(set(dataset.classes) - set(columns)):
            raise DataError(f"{reference.source} has no class {unknown[0]!r} of {dataset.name}.")
        column_of = [columns[name] for name in dataset.classes]
    rows = {id_: row for row, id_ in enumerate(reference.image_ids.tolist())}
    of_split = [sample for sample in dataset.samples if sample.split == split]
    samples = [sample for sample in of_split if sample.id in rows]
    if not samples:
        raise DataError(f"{reference.source} has no prediction for any {split} image of {dataset.name}.")
    return _ScoredImages(
        samples,
        np.array([column_of[sample.label] for sample in samples], dtype=np.int64),
        reference.probabilities[[rows[sample.id] for sample in samples]],
        len(of_split) - len(samples),
    )


def _certificate(
    file: ScoredFile,
    images: HeldOut,
    reference: Reference,
    scored: _ScoredImages,
    tolerance: float,
    threads: int | None,
) -> Certificate:
    ours, theirs = (rows.argmax(axis=1) == scored.labels for rows in (scored.expected, file.probabilities))
    paired = paired_loss(ours[None], theirs[None], tolerance, confidence=CONFIDENCE)
    per_class = _per_class(reference.classes, scored.labels, ours, theirs, tolerance)
    failures, doubts = [*_losses(paired, per_class), *file.faults()], doubts_about(file.folder)
    verdict = verdict_of(paired.status, failures, doubts)
    return Certificate(
        verdict=verdict,
        tolerance=tolerance,
        dataset=images.dataset.name,
        fingerprint=images.dataset.fingerprint,
        split=images.split,
        top1=share(int(theirs.sum()), paired.n),
        reference_top1=share(int(ours.sum()), paired.n),
        loss=paired.loss,
        loss_lower=paired.lower,
        loss_upper=paired.upper,
        images_needed=paired.images_needed if verdict == "inconclusive" else None,
        per_class=per_class,
        failures=failures,
        doubts=doubts,
        warnings=[*images.notes, *_warnings(file, scored, per_class)],
        left_out=images.left_out,
        **file.facts(threads),
    )


def verdict_of(status: Verdict, failures: list[str], doubts: list[str]) -> CertificateVerdict:
    """What follows from the status of the loss, the evidence that the file is wrong, and the doubts."""
    if failures:
        return "fail"
    return "pass" if status == "not_worse" and not doubts else "inconclusive"


def too_large(lower: float) -> str:
    """The failure of a file whose loss has this lower bound, above the tolerance."""
    return f"It loses at least {format_points(lower)}, more than the tolerance."


def _losses(paired: PairedResult, per_class: list[ClassDelta]) -> list[str]:
    found = [too_large(paired.lower)] if paired.status == "worse" else []
    for row in per_class:
        if row.loss_lower is not None and row.loss_lower > paired.tolerance:
            found.append(f"The class {row.name} loses at least {format_points(row.loss_lower)}.")
    return found


def _warnings(file: ScoredFile, scored: _ScoredImages, per_class: list[ClassDelta]) -> list[str]:
    found = []
    changed, n = file.changed_labels, len(file.samples)
    if file.record.precision not in SAME_FUNCTION and changed > _FEW_CHANGED_LABELS * n:
        found.append(f"{changed} of {n:,} labels differ from those of float32.")
    if scored.unpredicted:
        found.append(f"{scored.unpredicted} images have no float32 prediction and were left out.")
    if unseen := [row.name for row in per_class if not row.n]:
        found.append(f"The loss is not known for {len(unseen)} classes without images, such as {unseen[0]}.")
    return found


def _per_class(
    classes: tuple[str, ...],
    labels: Labels,
    ours: npt.NDArray[np.bool_],
    theirs: npt.NDArray[np.bool_],
    tolerance: float,
) -> list[ClassDelta]:
    """Lower bounds hold for all classes at once (Bonferroni): one of the classes is always the lowest by chance."""
    confidence = 1 - (1 - CONFIDENCE) / len(np.unique(labels))
    rows = []
    for i, name in enumerate(classes):
        of_class = labels == i
        if not of_class.any():
            rows.append(ClassDelta(name=name, n=0, reference_recall=None, recall=None, loss=None, loss_lower=None))
            continue
        paired = paired_loss(ours[None, of_class], theirs[None, of_class], tolerance, confidence=confidence)
        rows.append(
            ClassDelta(
                name=name,
                n=paired.n,
                reference_recall=float(ours[of_class].mean()),
                recall=float(theirs[of_class].mean()),
                loss=paired.loss,
                loss_lower=paired.lower,
            )
        )
    return rows
