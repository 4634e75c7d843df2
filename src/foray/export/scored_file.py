"""An exported file scored beside float32: what is known of it without any label."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from foray.data import ImageArray, Sample
from foray.deploy import Artifact, ArtifactError, ImageError, classify, open_artifact, open_session
from foray.deploy.predict import RUNTIMES, Source
from foray.errors import DataError, ForayError
from foray.export.agreement import Agreement, Probabilities, agreement, no_probabilities
from foray.export.artifact_folder import RECORD, label_lines
from foray.export.card import write_card
from foray.export.reader_probes import is_own_reader, reader_faults
from foray.export.reference import Reference
from foray.progress import SILENT, Progress
from foray.records import ArtifactRecord, Certificate, Estimate
from foray.statistics import wilson_interval
from foray.statistics.flips import CERTIFICATE_ERROR

CONFIDENCE = 1 - CERTIFICATE_ERROR  # of a certificate: one-sided, each way
SAME_FUNCTION = ("fp32", "fp16")  # precisions of which the network's own outputs are expected

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ScoredFile:
    """The artifact in `folder` on N images.

    `samples`: the images. `reference`: where the float32 probabilities came from, in words. `expected` and
    `probabilities`: (N, C), of float32 and of the file. `compared`: the two held against each other.
    """

    folder: Path
    record: ArtifactRecord
    samples: Sequence[Sample]
    reference: str
    expected: Probabilities
    probabilities: Probabilities
    compared: Agreement

    @property
    def changed_labels(self) -> int:
        """Images whose label differs from that of float32."""
        return self.compared.n - self.compared.same_labels

    def faults(self) -> list[str]:
        """Evidence that the file is wrong which needs no label, in words."""
        found = []
        if impossible := no_probabilities(self.probabilities):
            found.append(impossible)
        if self.record.precision in SAME_FUNCTION:
            found += self.compared.unlike()
        if wrong := reader_faults():
            found.append(f"predict.py decodes these images wrongly: {', '.join(wrong)}.")
        return found

    def facts(self, threads: int | None) -> dict[str, Any]:
        """The fields of a certificate that need no label. `threads`: those it was scored with."""
        compared, record = self.compared, self.record
        return {
            "confidence": CONFIDENCE,
            "n": compared.n,
            "reference": self.reference,
            "label_agreement": share(compared.same_labels, compared.n),
            "mean_shift": compared.mean_shift,
            "logit_error": compared.logit_error,
            "largest_difference": compared.largest_difference,
            "largest_difference_image": self.samples[compared.largest_row].id,
            "files": record.digests,
            "runtime_version": _version(RUNTIMES[record.runtime][0]),
            "threads": threads,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def score_file(
    folder: str | Path,
    samples: Sequence[Sample],
    expected: Probabilities,
    reference: Reference,
    *,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> ScoredFile:
    """Runs the artifact in `folder` on image files, by its own reader.

    `expected`: float32 probabilities (N, C) of the N `samples`, C the classes of `reference`. Raises ForayError for an
    artifact that is damaged or whose runtime is not installed, and DataError for classes or images that do not fit.
    """
    try:
        artifact = open_artifact(folder)
        columns = _columns(artifact, reference)
        probabilities = _probabilities(artifact, samples, threads, progress)[:, columns]
    except ImageError as error:
        raise DataError(str(error)) from error
    except ArtifactError as error:
        raise ForayError(str(error)) from error
    record = ArtifactRecord.load(artifact.folder / RECORD)
    compared = agreement(expected, np.nan_to_num(probabilities))
    return ScoredFile(artifact.folder, record, samples, reference.source, expected, probabilities, compared)


def doubts_about(folder: Path) -> list[str]:
    """Why the artifact in `folder` cannot be called right, in words."""
    if is_own_reader(folder):
        return []
    return ["the predict.py beside it has changed since it was scored: export again."]


def write_certificate(folder: Path, certificate: Certificate) -> Certificate:
    """Writes it into artifact.json and the model card of the artifact in `folder`; returns it with the other sets of
    images on which that file was tried before."""
    record = ArtifactRecord.load(folder / RECORD).certified(certificate)
    record.save(folder / RECORD)
    write_card(folder, record)
    assert record.certificate is not None
    return record.certificate


def share(successes: int, n: int) -> Estimate:
    """A proportion of the `n` images with its interval."""
    low, high = wilson_interval(successes, n, CONFIDENCE)
    return Estimate(value=successes / n, low=low, high=high, n=n)


def _probabilities(
    artifact: Artifact, samples: Sequence[Sample], threads: int | None, progress: Progress
) -> Probabilities:
    session = open_session(artifact, threads)
    rows = []
    with progress.task(f"scoring {artifact.folder.name}", total=len(samples)) as task:
        for source in _sources(samples):
            rows.append(classify(artifact, session, [source]))
            task.advance()
    return np.concatenate(rows)


def _sources(samples: Sequence[Sample]) -> Iterator[Source]:
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


def _version(package: str) -> str | None:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:  # installed under another name, as onnxruntime for a GPU is
        return None
