"""What an exported file was found to be worth on the user's own images, against the float32 network it came from."""

from __future__ import annotations

from typing import Literal

from foray.records.metrics import Estimate
from foray.records.record import Record

CertificateVerdict = Literal["pass", "fail", "inconclusive"]


class ClassDelta(Record):
    """One class. `loss`: recall of the reference minus that of the file; `loss_lower`: its lower bound, simultaneous
    over all classes. All None where the split has no image of the class.
    """

    name: str
    n: int
    reference_recall: float | None
    recall: float | None
    loss: float | None
    loss_lower: float | None


class Certificate(Record):
    """The file, scored from image file to label, beside float32 on the same `n` images. Accuracies in [0, 1].

    `loss`: accuracy lost against the reference, with one-sided bounds, each at `confidence`. `images_needed`: how many
    images would decide an inconclusive one, were they like these; None when it is decided, or when no number would.
    `label_agreement`: share of images with the same label from both. `mean_shift`: mean over the images of the total
    variation distance of the two probability vectors, which is the largest change of the probability of any set of
    classes. `logit_error`: median over the images of |z' - z| / |z|, where z is the vector of log-probabilities less
    their mean. `largest_difference`: of one probability of one image, `largest_difference_image`.
    `failures`: why it fails; `warnings`: what to look at, which decides nothing. `files`: SHA-256 of what was scored.
    """

    verdict: CertificateVerdict
    tolerance: float
    confidence: float
    n: int
    dataset: str
    fingerprint: str
    split: str
    reference: str  # where the float32 probabilities came from
    top1: Estimate
    reference_top1: Estimate
    loss: float
    loss_lower: float
    loss_upper: float
    images_needed: int | None
    label_agreement: Estimate
    mean_shift: float
    logit_error: float
    largest_difference: float
    largest_difference_image: str
    per_class: list[ClassDelta]
    failures: list[str]
    warnings: list[str]
    files: dict[str, str]
    runtime_version: str | None
    threads: int | None
    created: str  # ISO 8601, UTC
