"""The certificate: accuracy of an exported file on the user's own images, against the float32 network it came from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from foray.records.metrics import Estimate, LeftOut
from foray.records.quantities import format_about, format_percent, format_points
from foray.records.record import Record
from foray.records.settlement import PanelLeftOut

CertificateVerdict = Literal["pass", "fail", "inconclusive"]
WITHOUT_LABELS = "unlabelled"  # the split of such images


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


class FlipLabels(Record):
    """What is known of images without labels: of `flips` images the file's label differs from that of float32.

    `losses`, `gains`, `neither`: of those labelled, on which only float32 was right, only the file, or neither.
    `skipped`: those of which the label could not be told. Where labels decide before all are there, these are the
    labels that decided, and `later` came after them; `decided` says so. `unused`: labels after the first gap in the
    stored order. `pass_within`, `fail_from`: once all have a label the file passes where losses less gains are at most
    the one, and fails from the other on; None where it cannot, or needs no label. `shown_twice`: images that got an
    answer twice; `same_again`: how many of them the same one. `guesses_shown`: answers that were given after the page
    showed what both say. `left_out`: images of the folder that do not count.
    """

    flips: int
    losses: int = 0
    gains: int = 0
    neither: int = 0
    skipped: int = 0
    decided: bool = False
    later: int = 0
    unused: int = 0
    pass_within: int | None = None
    fail_from: int | None = None
    shown_twice: int = 0
    same_again: int = 0
    guesses_shown: int = 0
    left_out: PanelLeftOut = PanelLeftOut()

    @property
    def seen(self) -> int:
        """How many of the flips were looked at, `later` ones apart."""
        return self.losses + self.gains + self.neither + self.skipped

    @property
    def sentence(self) -> str:
        """What the labels say, as a sentence."""
        kinds = {
            "only float32 is right": self.losses,
            "only the file": self.gains,
            "neither": self.neither,
        }
        told = ", ".join(f"{kind} on {n:,}" for kind, n in kinds.items())
        skipped = f"; {self.skipped:,} could not be told, counted against either verdict" if self.skipped else ""
        if not self.decided:
            return f"{self.seen:,} of the {self.flips:,} are labelled: {told}{skipped}."
        later = f" {self.later:,} later ones change nothing until all have one." if self.later else ""
        return f"Decided after {self.seen:,} of {self.flips:,} labels: {told}{skipped}.{later}"

    @property
    def remarks(self) -> list[str]:
        """What is not known, which images do not count, and how the labels were given, as sentences."""
        not_known = "Not known without labels of the other images: the accuracy, and the loss per class."
        sentences = (self.left_out.sentence, self._unused(), self._repeats(), self._guesses(), not_known)
        return [sentence for sentence in sentences if sentence]

    def reach(self, images: int) -> list[str]:
        """At which loss on the `images` labels of all flips decide, as a sentence; empty where at none."""
        parts = []
        if self.pass_within is not None:
            parts.append(
                f"to pass the file where its loss on these images is at most {_points(self.pass_within, images)}"
            )
        if self.fail_from is not None:
            parts.append(f"to fail it where that loss is at least {_points(self.fail_from, images)}")
        return [f"Labels of all {self.flips:,} are sure {', and '.join(parts)}."] if parts else []

    def _unused(self) -> str:
        if not self.unused:
            return ""
        return f"{self.unused:,} labels do not count: an image before them in the stored order has none."

    def _repeats(self) -> str:
        if not self.shown_twice:
            return ""
        return f"Of {self.shown_twice} images shown twice, {self.same_again} got the same answer again."

    def _guesses(self) -> str:
        if not self.guesses_shown:
            return ""
        return f"{self.guesses_shown} answers were given after the page showed what the file and float32 say."


class EarlierSet(Record):
    """A set of `n` images of `dataset` on which the same file was tried before, at `tolerance`, and what came of it."""

    dataset: str
    split: str
    n: int
    tolerance: float
    verdict: CertificateVerdict
    created: str  # ISO 8601, UTC


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

    `unlabelled`: of images without labels, whose `split` is so called; None for images with labels. Without labels
    nobody knows `top1`, `reference_top1` and the classes, of which `per_class` has none; `loss` and `loss_lower` are
    known where flips were labelled, and `loss` where there are none. The bounds hold at all numbers of labels together.

    `earlier_sets`: other images on which the same file was tried before.
    """

    verdict: CertificateVerdict
    tolerance: float
    confidence: float
    n: int
    dataset: str
    fingerprint: str
    split: str
    reference: str  # where the float32 probabilities came from
    top1: Estimate | None
    reference_top1: Estimate | None
    loss: float | None
    loss_lower: float | None
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
    unlabelled: FlipLabels | None = None
    earlier_sets: list[EarlierSet] = Field(default_factory=list)

    @property
    def image_set(self) -> tuple[str, str]:
        """Which images it is on."""
        return self.split, self.fingerprint

    @property
    def question(self) -> tuple[str, str, float]:
        """Its images and its tolerance, which are the question it answers."""
        return *self.image_set, self.tolerance

    @property
    def is_by_labels(self) -> bool:
        """Whether it rests on labels of images that had none at first."""
        return self.unlabelled is not None and self.unlabelled.seen > 0

    @property
    def cautions(self) -> list[str]:
        """The warnings, and what earlier tries on other images do to the chance of a wrong verdict."""
        return [*self.warnings, *self._tries()]

    @property
    def sentence(self) -> str:
        """The verdict with its numbers, as a sentence."""
        return " ".join([f"{self.verdict}: {self.numbers}", *self.failures, *self.doubts, *self.more])

    @property
    def numbers(self) -> str:
        """The numbers that the verdict rests on, as a sentence that begins in lower case."""
        if self.unlabelled is not None:
            return self._by_flips(self.unlabelled)
        assert self.top1 is not None
        assert self.reference_top1 is not None
        accuracies = f"{format_percent(self.top1.value)} against {format_percent(self.reference_top1.value)}"
        return f"accuracy {accuracies} in float32 (n = {self.n:,}); {self._bound()}"

    @property
    def more(self) -> list[str]:
        """What would decide, as a sentence, where that is known and it is not decided."""
        flips = self.unlabelled
        if flips is not None and flips.seen < flips.flips and self.verdict == "inconclusive":
            return flips.reach(self.n) if self.loss_upper >= self.tolerance else []
        if self.images_needed is None:
            return []
        if self.unlabelled is not None and not self.unlabelled.flips:
            return [f"{self.images_needed:,} images would be enough if no label differs."]
        about = format_about(self.images_needed)
        return [f"About {about} images like these, these {self.n:,} included, would decide with 80 % power."]

    def _tries(self) -> list[str]:
        if not self.earlier_sets:
            return []
        told = "; ".join(
            f"{one.verdict} on {one.n:,} {one.split} images of {one.dataset} ({one.created[:10]})"
            for one in self.earlier_sets
        )
        sets, error = len(self.earlier_sets) + 1, 1 - self.confidence
        together = f"with a chance of at most {100 * error:.0f} %, the {sets} together of at most"
        return [
            f"This file was tried on {sets} sets of images. Before this one: {told}. Each set passes a wrong file "
            f"{together} {min(100 * error * sets, 100):.0f} %."
        ]

    def _by_flips(self, flips: FlipLabels) -> str:
        differ = f"{self.n:,} images without labels: {flips.flips:,} of {self.n:,} labels differ from float32"
        if flips.seen:
            return f"{differ}. {flips.sentence} {self._bound().capitalize()}"
        below = self.loss_upper < self.tolerance
        if flips.flips:
            every = f"{'even ' if below else ''}if every one of them were an error, the loss "
            could = every + ("would be below" if below else "could be above")
        else:
            confident = f"with {format_percent(self.confidence)} confidence the loss is below"
            could = confident if below else "so few images do not show that the loss is below"
        bound = f"upper bound {_beside(self.loss_upper, self.tolerance)}"
        return f"{differ}; {could} {format_points(self.tolerance)} ({bound})."

    def _bound(self) -> str:
        assert self.loss is not None
        return (
            f"it loses {format_points(self.loss)}, with {format_percent(self.confidence)} confidence at most "
            f"{format_points(self.loss_upper)}; the tolerance is {format_points(self.tolerance)}."
        )


def _points(net_losses: int, images: int) -> str:
    return format_points(net_losses / images)


def _beside(bound: float, tolerance: float) -> str:
    """The bound in points, with as many decimals as show on which side of the tolerance it lies."""
    for decimals in range(2, 7):
        number = f"{100 * bound:.{decimals}f}"
        if (float(number) < 100 * tolerance) == (bound < tolerance):
            break
    return number
