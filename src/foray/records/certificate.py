"""The certificate: accuracy of an exported file on the user's own images, against the float32 network it came from."""

from __future__ import annotations

from typing import Literal

from foray.records.metrics import Estimate, LeftOut
from foray.records.quantities import format_about, format_percent, format_points
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
    """The file, scored from image file to label, against float32 on the same `n` images. Accuracies in [0, 1].

    `loss`: accuracy lost against the reference, with one-sided bounds, each at `confidence`. `images_needed`: how many
    images in total, these included, would decide an inconclusive one with 80 % power; None when it is decided, or when
    ten million would not. `label_agreement`: share of images with the same label from both. `mean_shift`: mean over the
    images of the total variation distance of the two probability vectors, which is by how much the probability of any
    set of classes can have changed. `logit_error`: `|Z' - Z| / |Z|` over all images and classes, where Z are the
    log-probabilities of the reference less their mean for the image. `largest_difference`: of one probability of one
    image, which is `largest_difference_image`. `failures`: evidence that the file is wrong; `doubts`: why it cannot be
    called right; `warnings`: observations that decide nothing. `files`: SHA-256 of what was scored. `left_out`: images
    that were not scored because the network was trained or selected on them; None where that was not checked.
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
    doubts: list[str]
    warnings: list[str]
    files: dict[str, str]
    runtime_version: str | None
    threads: int | None
    created: str  # ISO 8601, UTC
    left_out: LeftOut | None = None

    @property
    def sentence(self) -> str:
        """The verdict with its numbers, as a sentence."""
        accuracies = f"{format_percent(self.top1.value)} against {format_percent(self.reference_top1.value)}"
        bound = (
            f"accuracy {accuracies} in float32 (n = {self.n:,}); "
            f"it loses {format_points(self.loss)}, with {format_percent(self.confidence)} confidence at most "
            f"{format_points(self.loss_upper)}; the tolerance is {format_points(self.tolerance)}"
        )
        more = ""
        if self.images_needed is not None:
            about = format_about(self.images_needed)
            more = f" About {about} images like these, these {self.n:,} included, would decide with 80 % power."
        reasons = " ".join([*self.failures, *self.doubts])
        return f"{self.verdict}: {bound}.{' ' if reasons else ''}{reasons}{more}"
