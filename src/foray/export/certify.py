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

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from foray.data import ImageArray, Sample
from foray.deploy import Artifact, ArtifactError, ImageError, classify, open_artifact, open_session
from foray.deploy.predict import RUNTIMES, Source
from foray.errors import DataError, ForayError
from foray.export.agreement import Agreement, Probabilities, agreement, no_probabilities
from foray.export.artifact_folder import label_lines
from foray.export.card import write_card
from foray.export.reader_probes import is_own_reader, reader_faults
from foray.export.reference import Reference
from foray.limits import require_tolerance
from foray.progress import SILENT, Progress
from foray.records import ArtifactRecord, Certificate, CertificateVerdict, ClassDelta, Estimate
from foray.records.quantities import format_points
from foray.runs.held_out import HeldOut
from foray.statistics import PairedResult, paired_loss, wilson_interval

CONFIDENCE = 0.95  # one-sided, each way
SAME_FUNCTION = ("fp32", "fp16")  # precisions of which the network's own outputs are expected
_FEW_CHANGED_LABELS = 0.02  # share above which a file of lower precision is worth a look

Labels = npt.NDArray[np.int64]


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
    try:
        artifact = open_artifact(folder)
        scored = _scored(images, reference)
        columns = _columns(artifact, reference)
        probabilities = _probabilities(artifact, scored.samples, threads, progress)[:, columns]
    except ImageError as error:
        raise DataError(str(error)) from error
    except ArtifactError as error:
        raise ForayError(str(error)) from error
    record = ArtifactRecord.load(artifact.folder / "artifact.json")
    certificate = _certificate(artifact.folder, record, images, reference, scored, probabilities, tolerance, threads)
    certified = record.model_copy(update={"certificate": certificate})
    certified.save(artifact.folder / "artifact.json")
    write_card(artifact.folder, certified)
    return certificate


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


def _probabilities(artifact: Artifact, samples: list[Sample], threads: int | None, progress: Progress) -> Probabilities:
    session = open_session(artifact, threads)
    rows = []
    with progress.task(f"scoring {artifact.folder.name}", total=len(samples)) as task:
        for source in _sources(samples):
            rows.append(classify(artifact, session, [source]))
            task.advance()
    return np.concatenate(rows)


def _sources(samples: list[Sample]) -> Iterator[Source]:
    """Image files; what a dataset holds as pixels becomes one on the way."""
    for sample in samples:
        if isinstance(sample.image, ImageArray):
            stream = io.BytesIO()
            Image.fromarray(sample.image.pixels).save(stream, "PNG", compress_level=1)
            yield stream.getvalue()
        else:
            yield sample.image.path


def _columns(artifact: Artifact, reference: Reference) -> list[int]:
    """Where the artifact, by its labels.txt, gives each of the reference's classes. Names may repeat, as ImageNet's do,
    where both have the same order."""
    classes = label_lines(reference.classes)
    if artifact.labels == classes:
        return list(range(len(artifact.labels)))
    if sorted(artifact.labels) != sorted(classes) or len(set(artifact.labels)) < len(artifact.labels):
        raise DataError(
            f"The labels of {artifact.folder} are not the classes of {reference.source}. Name the run it was exported "
            "from."
        )
    return [artifact.labels.index(name) for name in classes]


def _certificate(
    folder: Path,
    record: ArtifactRecord,
    images: HeldOut,
    reference: Reference,
    scored: _ScoredImages,
    probabilities: Probabilities,
    tolerance: float,
    threads: int | None,
) -> Certificate:
    ours, theirs = (rows.argmax(axis=1) == scored.labels for rows in (scored.expected, probabilities))
    paired = paired_loss(ours[None], theirs[None], tolerance, confidence=CONFIDENCE)
    compared = agreement(scored.expected, np.nan_to_num(probabilities))
    per_class = _per_class(reference.classes, scored.labels, ours, theirs, tolerance)
    failures = _failures(record, probabilities, paired, compared, per_class)
    doubts = _doubts(folder)
    verdict = _verdict(paired, failures, doubts)
    return Certificate(
        verdict=verdict,
        tolerance=tolerance,
        confidence=CONFIDENCE,
        n=paired.n,
        dataset=images.dataset.name,
        fingerprint=images.dataset.fingerprint,
        split=images.split,
        reference=reference.source,
        top1=_share(int(theirs.sum()), paired.n),
        reference_top1=_share(int(ours.sum()), paired.n),
        loss=paired.loss,
        loss_lower=paired.lower,
        loss_upper=paired.upper,
        images_needed=paired.images_needed if verdict == "inconclusive" else None,
        label_agreement=_share(compared.same_labels, compared.n),
        mean_shift=compared.mean_shift,
        logit_error=compared.logit_error,
        largest_difference=compared.largest_difference,
        largest_difference_image=scored.samples[compared.largest_row].id,
        per_class=per_class,
        failures=failures,
        doubts=doubts,
        warnings=[*images.notes, *_warnings(record, scored, compared, per_class)],
        files={name: info.sha256 for name, info in record.files.items()},
        runtime_version=_version(RUNTIMES[record.runtime][0]),
        threads=threads,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        left_out=images.left_out,
    )


def _verdict(paired: PairedResult, failures: list[str], doubts: list[str]) -> CertificateVerdict:
    if failures:
        return "fail"
    return "pass" if paired.status == "not_worse" and not doubts else "inconclusive"


def _failures(
    record: ArtifactRecord,
    probabilities: Probabilities,
    paired: PairedResult,
    compared: Agreement,
    per_class: list[ClassDelta],
) -> list[str]:
    found = []
    if impossible := no_probabilities(probabilities):
        found.append(impossible)
    if paired.status == "worse":
        found.append(f"It loses at least {format_points(paired.lower)}, more than the tolerance.")
    for row in per_class:
        if row.loss_lower is not None and row.loss_lower > paired.tolerance:
            found.append(f"The class {row.name} loses at least {format_points(row.loss_lower)}.")
    if record.precision in SAME_FUNCTION:
        found += compared.unlike()
    if wrong := reader_faults():
        found.append(f"predict.py decodes these images wrongly: {', '.join(wrong)}.")
    return found


def _doubts(folder: Path) -> list[str]:
    if is_own_reader(folder):
        return []
    return ["the predict.py beside it has changed since it was scored: export again."]


def _warnings(
    record: ArtifactRecord, scored: _ScoredImages, compared: Agreement, per_class: list[ClassDelta]
) -> list[str]:
    found = []
    changed = compared.n - compared.same_labels
    if record.precision not in SAME_FUNCTION and changed > _FEW_CHANGED_LABELS * compared.n:
        found.append(f"{changed} of {compared.n:,} labels differ from those of float32.")
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


def _share(successes: int, n: int) -> Estimate:
    low, high = wilson_interval(successes, n, CONFIDENCE)
    return Estimate(value=successes / n, low=low, high=high, n=n)


def _version(package: str) -> str | None:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:  # installed under another name, as onnxruntime for a GPU is
        return None
