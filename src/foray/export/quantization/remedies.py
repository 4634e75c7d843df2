"""What is tried, in order, where int8 loses more accuracy than the tolerance allows, until something suffices.

A remedy starts only because of accuracy that was measured to be lost on the validation images, paired with float32:

1. Where the loss measured is above the tolerance: what makes the file no slower, more calibration images and the other
   way of taking ranges from them.
2. Where the best of these is *shown* to lose too much, its lower bound being above the tolerance: what costs time. The
   layers that the pre-check found most sensitive stay in float32, four, then sixteen; then short quantisation-aware
   fine-tuning, which takes minutes. Where the images cannot tell, the file stays as fast as it is.

The time of one image beside float32 is measured wherever layers stay in float32, and for the first file. An attempt
within the tolerance ends the search unless it is slower than float32; it is kept then only if nothing else suffices.
Of attempts that all lose too much, one with layers in float32 is kept only where it loses less than the lower bound of
the best without.

The loss of the attempt that is kept is optimistic: it was chosen by the same images. Test images, which choose nothing,
judge it afterwards (`foray.export.certify`). Each attempt leaves a sentence with what it measured.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from foray.export.quantization.fine_tuning import FineTuning
from foray.export.quantization.loss import loss_words
from foray.export.quantization.sensitivity import PreCheck
from foray.export.quantization.settings import Ranges, Settings
from foray.models import Network
from foray.records import Speed
from foray.records.quantities import format_points
from foray.statistics.paired import PairedResult

Measure = Callable[[Path], PairedResult]
Time = Callable[[Path], Speed | None]  # None: could not be measured

MORE_IMAGES = 4  # times as many
_FLOAT_LAYERS = (4, 16)
_OTHER_RANGES: dict[Ranges, Ranges] = {"full": "clipped", "clipped": "full"}


class Write(Protocol):
    """Quantises `network` by `settings` into the (new) folder `folder`; returns the entry file."""

    def __call__(self, network: Network, settings: Settings, folder: Path) -> Path: ...


@dataclass(frozen=True)
class Remedies:
    """What takes long, called when it comes to that; `tune` None leaves it out, and `plan` describes it."""

    pre_check: Callable[[], PreCheck]
    tune: Callable[[], Network] | None
    plan: FineTuning


@dataclass(frozen=True)
class Attempt:
    """One quantisation and what it lost. `what`: how it differs from the first, in words. `speed`: of it, or of an
    attempt with the same layers in float32, which takes the same time.
    """

    what: str
    settings: Settings
    folder: Path
    entry: Path
    loss: PairedResult
    speed: Speed | None

    @property
    def is_within(self) -> bool:
        """Whether the loss measured is within the tolerance."""
        return self.loss.loss <= self.loss.tolerance

    @property
    def is_slower(self) -> bool:
        """Whether it is shown to take longer than float32."""
        return self.speed is not None and self.speed.is_slower

    def sentence(self) -> str:
        """For artifact.json: `what`, the loss with its bounds, whether that is within the tolerance, and the time."""
        within = "within" if self.is_within else "above"
        time = f", {self.speed.ratio:.2f} x the time of float32" if self.speed else ""
        tolerance = format_points(self.loss.tolerance)
        return f"{self.what}: {loss_words(self.loss)}, {within} the tolerance of {tolerance}{time}."


@dataclass(frozen=True)
class Outcome:
    """`best`: what is kept. `sentences`: what was tried, and why no more was."""

    best: Attempt
    sentences: tuple[str, ...]


@dataclass
class Trials:
    """Runs attempts one after the other. `workshop`: an empty folder; every attempt gets one in it."""

    network: Network
    write: Write
    measure: Measure
    time: Time
    workshop: Path
    available: int  # train images

    def __post_init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.sentences: list[str] = []
        self._speeds: dict[tuple[str, ...], Speed | None] = {}  # by the layers in float32

    @property
    def best(self) -> Attempt:
        """What would be kept if nothing else were tried; the earlier of two that are equal."""
        within = [attempt for attempt in self.attempts if attempt.is_within]
        if within:
            return min(within, key=lambda attempt: attempt.is_slower)
        whole = min((one for one in self.attempts if not one.settings.float_layers), key=_loss)
        least = min(self.attempts, key=_loss)
        return least if _loss(least) < whole.loss.lower else whole

    def run(self, first: Settings, remedies: Remedies) -> Outcome:
        """Tries, from `first` on, until one is within the tolerance and no slower than float32."""
        for attempt in self._steps(first, remedies):
            if attempt.is_within and not attempt.is_slower:
                break
            for other in self.attempts:
                if other is not self.best:
                    shutil.rmtree(other.folder, ignore_errors=True)
        if len(self.attempts) > 1:
            self.sentences.append(
                f"Kept: {self.best.what}. It was selected among {len(self.attempts)} attempts on these images, "
                "so its loss on them is optimistic; the certificate uses test images."
            )
        return Outcome(self.best, tuple(self.sentences))

    def _steps(self, first: Settings, remedies: Remedies) -> Iterator[Attempt]:
        yield self._try("int8 after training", first, self.network)
        if self.best.is_within:  # and slower than float32, which no remedy mends
            return
        images = min(MORE_IMAGES * first.images, self.available)
        if images > first.images:
            yield self._try(f"{images} calibration images", replace(first, images=images), self.network)
        settings = self.best.settings
        other = _OTHER_RANGES[settings.ranges]
        yield self._try(f"{other} ranges of activations", replace(settings, ranges=other), self.network)
        settings, loss = self.best.settings, self.best.loss  # those of the best way of calibrating
        if loss.lower <= loss.tolerance:
            self.sentences.append(
                f"{loss.n} validation images are too few to decide whether {format_points(loss.tolerance)} or more are "
                "lost: slower remedies (layers in float32, fine-tuning) were not tried."
            )
            return
        found = remedies.pre_check()
        for count in (count for count in _FLOAT_LAYERS if 2 * count <= len(found.layers)):
            names = tuple(layer.name for layer in found.layers[:count])
            what = f"the {count} most sensitive layers in float32 ({', '.join(names)})"
            yield self._try(what, replace(settings, float_layers=names), self.network)
        self.sentences.append(found.advice)
        if remedies.tune is not None:
            tuned = remedies.tune()
            yield self._try(f"quantisation-aware fine-tuning ({remedies.plan})", settings, tuned)

    def _try(self, what: str, settings: Settings, network: Network) -> Attempt:
        folder = self.workshop / f"{len(self.attempts)}"
        folder.mkdir()
        entry = self.write(network, settings, folder)
        loss = self.measure(entry)
        if settings.float_layers not in self._speeds:
            self._speeds[settings.float_layers] = self.time(entry)
        attempt = Attempt(f"{what} ({settings})", settings, folder, entry, loss, self._speeds[settings.float_layers])
        self.attempts.append(attempt)
        self.sentences.append(attempt.sentence())
        return attempt


def _loss(attempt: Attempt) -> float:
    return attempt.loss.loss
