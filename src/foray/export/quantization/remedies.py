"""What is tried, in order, where int8 loses more accuracy than the tolerance allows, until something suffices.

1. more calibration images, then the other way of taking ranges from them;
2. the layers that the pre-check found most sensitive kept in float32: four, sixteen;
3. a word on architectures that take int8 better;
4. short quantisation-aware fine-tuning, then quantisation after training as the best attempt so far.

Everything is decided on the validation split. Which of two attempts is better is said by the loss expected from the
probabilities, which a few hundred images are enough for. Each attempt leaves a sentence with what it measured.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from foray.export.quantization.fine_tuning import FineTuning
from foray.export.quantization.loss import Int8Loss
from foray.export.quantization.sensitivity import PreCheck
from foray.export.quantization.settings import Ranges, Settings
from foray.models import Network
from foray.records.quantities import format_points

Measure = Callable[[Path], Int8Loss]

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
    """One quantisation and what it lost. `what`: how it differs from the first, in words."""

    what: str
    settings: Settings
    folder: Path
    entry: Path
    loss: Int8Loss

    def sentence(self, tolerance: float) -> str:
        """For artifact.json: `what`, the loss with its bounds, and whether that is within `tolerance`."""
        verdict = "within" if self.loss.within(tolerance) else "above"
        return f"{self.what}: {self.loss.words()}, {verdict} the tolerance of {format_points(tolerance)}."


@dataclass(frozen=True)
class Outcome:
    """`best`: the first within the tolerance, else the one expected to lose least. `sentences`: what was tried."""

    best: Attempt
    sentences: tuple[str, ...]


@dataclass
class Trials:
    """Runs attempts one after the other. `workshop`: an empty folder; every attempt gets one in it."""

    network: Network
    write: Write
    measure: Measure
    tolerance: float
    workshop: Path
    available: int  # train images

    def __post_init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.sentences: list[str] = []

    @property
    def best(self) -> Attempt:
        """The attempt expected to lose least; the earlier one of two that do."""
        return min(self.attempts, key=lambda attempt: attempt.loss.expected)

    def run(self, first: Settings, remedies: Remedies) -> Outcome:
        """Tries, from `first` on, until one is within the tolerance."""
        for attempt in self._steps(first, remedies):
            if attempt.loss.within(self.tolerance):
                return Outcome(attempt, tuple(self.sentences))
            for other in self.attempts:
                if other is not self.best:
                    shutil.rmtree(other.folder, ignore_errors=True)
        return Outcome(self.best, tuple(self.sentences))

    def _steps(self, first: Settings, remedies: Remedies) -> Iterator[Attempt]:
        yield self._try("int8 after training", first, self.network)
        images = min(MORE_IMAGES * first.images, self.available)
        if images > first.images:
            yield self._try(f"{images} calibration images", replace(first, images=images), self.network)
        settings = self.best.settings
        other = _OTHER_RANGES[settings.ranges]
        yield self._try(f"{other} ranges of activations", replace(settings, ranges=other), self.network)
        settings, found = self.best.settings, remedies.pre_check()  # those of the best way of calibrating
        for count in (count for count in _FLOAT_LAYERS if 2 * count <= len(found.layers)):
            names = tuple(layer.name for layer in found.layers[:count])
            what = f"the {count} most sensitive layers in float32 ({', '.join(names)})"
            yield self._try(what, replace(settings, float_layers=names), self.network)
        self.sentences.append(found.advice)
        if remedies.tune is not None:
            tuned = remedies.tune()
            yield self._try(f"quantisation-aware fine-tuning ({remedies.plan})", self.best.settings, tuned)

    def _try(self, what: str, settings: Settings, network: Network) -> Attempt:
        folder = self.workshop / f"{len(self.attempts)}"
        folder.mkdir()
        entry = self.write(network, settings, folder)
        attempt = Attempt(f"{what} ({settings})", settings, folder, entry, self.measure(entry))
        self.attempts.append(attempt)
        self.sentences.append(attempt.sentence(self.tolerance))
        return attempt
