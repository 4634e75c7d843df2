"""A claim of the study as data: its statement, where it is printed, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from foray.recipes import STUDY, Choice
from foray.records import Estimate
from foray.records.quantities import format_points
from foray.records.reproduction import Evidence
from foray.reproduce.experiments import ROLES

Section = Literal["table1", "mobilenet", "figure1", "comparison", "scaling", "analysis", "related"]
SECTIONS: Mapping[Section, str] = {
    "table1": "EfficientNet: Table 1 and Rock-Paper-Scissors",
    "mobilenet": "MobileNetV2 on ImageNet and DeepWeeds",
    "figure1": "What figure 1 shows",
    "comparison": "EfficientNet against MobileNetV2",
    "scaling": "Compound scaling",
    "analysis": "Separable convolutions and the numbers of others",
    "related": "Related work",
}


@dataclass(frozen=True)
class Accuracy:
    """A printed accuracy on validation images. `at_epoch`: after so many; None: the best (or last) of the recipe.

    `on`: the split of ours that stands for the study's validation images. `also`: roles shown beside it.
    """

    role: str
    expected: float
    tolerance: float = 0.01
    at_epoch: int | None = None
    also: tuple[str, ...] = ()
    on: Literal["val", "test"] = "val"

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.role, *self.also)

    def of(self, evidence: Evidence) -> Estimate:
        """The accuracy that is compared with the printed one."""
        if self.on == "val":
            return evidence.measured
        assert evidence.test is not None, f"{evidence.role} was not scored on test"
        return evidence.test

    def rule(self) -> str:
        return (
            f"accuracy on {self.on}. On the study's images, by its protocol: reproduced within "
            f"{format_points(self.tolerance)} of {100 * self.expected:.4g} % or when that is in the 95 % interval, "
            "else exceeded (above) or not reproduced (below). By another protocol: "
            f"exceeded when it is more than {format_points(self.tolerance)} above and its interval lies above too, "
            "else not judged"
        )


@dataclass(frozen=True)
class Order:
    """Each of a chain is more accurate than the one before: paired tests of all neighbours on test."""

    chains: tuple[tuple[str, ...], ...]

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(role for chain in self.chains for role in chain))

    def rule(self) -> str:
        return (
            "paired tests on the same test images, all 95 % intervals together: reproduced when every step is shown, "
            "not reproduced when the contrary of one is shown by several seeds, undecided otherwise"
        )


@dataclass(frozen=True)
class Gap:
    """What `candidate` gains over `reference`, against `margin`.

    "no better": less than the margin. "similar": it neither gains nor loses as much. "better": more than the margin.
    """

    reference: str
    candidate: str
    kind: Literal["no better", "similar", "better"]
    margin: float

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.reference, self.candidate)

    def rule(self) -> str:
        holds = {"no better": "below", "similar": "within", "better": "above"}[self.kind]
        return (
            "paired test on the same test images: reproduced when the gain's 95 % interval lies "
            f"{holds} {format_points(self.margin)}, not reproduced when the contrary is shown by several seeds, "
            "undecided otherwise"
        )


class Timed(NamedTuple):
    """A network at a resolution in pixels whose training, or inference, is timed beside others.

    `trains`: every weight, or a new head alone with the backbone run anew in each epoch.
    """

    model: str
    resolution: int
    trains: Literal["whole", "head"] = "whole"

    @property
    def label(self) -> str:
        """As in `mobilenet_v2 at 224 px`, with the head alone said."""
        alone = ", the head alone" if self.trains == "head" else ""
        return f"{self.model} at {self.resolution} px{alone}"


@dataclass(frozen=True)
class TimeRatio:
    """How many times as long as `fast` `slow` takes, timed in turns on one machine.

    `of`: one epoch of training over the same images; or a run of `epochs` (those of fast and of slow); or latency, the
    time of one image on a runtime.
    """

    fast: Timed
    slow: Timed
    low: float
    high: float | None = None
    of: Literal["epoch", "run", "latency"] = "epoch"
    epochs: tuple[int, int] | None = None

    @property
    def roles(self) -> tuple[str, ...]:
        return ("times-latency" if self.of == "latency" else "times-training",)

    def rule(self) -> str:
        bounds = f"at least {self.low:g}" if self.high is None else f"{self.low:g} to {self.high:g}"
        what = {"epoch": "an epoch", "run": "a run", "latency": "one image"}[self.of]
        return (
            f"seconds of {what} of the slower over those of the faster, in turns on one machine: reproduced when the "
            f"ratio is {bounds}, undecided when its 95 % interval holds a bound"
        )


@dataclass(frozen=True)
class CurveShape:
    """A curve that "overfits" (train rises, val stays) or "keeps rising" (train high early, val still rising)."""

    role: str
    shape: Literal["overfits", "keeps rising"]

    @property
    def roles(self) -> tuple[str, ...]:
        return (self.role,)

    def rule(self) -> str:
        lines = "straight lines fitted to train and val from the first quarter of the epochs on: reproduced when "
        rest = ", not reproduced when several seeds show the contrary, undecided otherwise and below 8 epochs"
        if self.shape == "overfits":
            return (
                f"{lines}train rises by 2 points, or by half of what is missing to 100 %, above 0 with its 95 % "
                f"interval, and val's change lies within 2 points either way, with its interval{rest}"
            )
        return f"{lines}train reaches 90 % in the first quarter and val's slope is above 0 with its 95 % interval{rest}"


@dataclass(frozen=True)
class Sum:
    """Result of arithmetic on a claim: the verdict with its lines. `brief`: what came out, in a few words."""

    verdict: Literal["reproduced", "not reproduced", "error in the study"]
    sentence: str
    lines: tuple[str, ...]
    brief: str = ""


@dataclass(frozen=True)
class Arithmetic:
    """Computed from tables and formulas, no images needed. `also`: roles whose curves are shown beside it."""

    compute: Callable[[], Sum]
    how: str
    also: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        return self.also

    def rule(self) -> str:
        return self.how


Judge = Accuracy | Order | Gap | TimeRatio | CurveShape | Arithmetic


@dataclass(frozen=True)
class Claim:
    """One number or statement of the study.

    `where`: where it is printed; `origin`: whether the study states it, or the experiment is ours; `original`: the
    statement of the cited papers, and `original_percent` their number, as the table shows it; `recipe`: a name of
    foray.recipes.STUDY, whose unstated choices are the claim's; `unstated`: further ones; `brief`: the statement in a
    few words, as the summary tells it with what came out. Raises ValueError for an unknown role or recipe.
    """

    id: str
    section: Section
    statement: str
    where: str
    data: str
    judge: Judge
    origin: Literal["study", "ours"] = "study"
    recipe: str | None = None
    expected: str = ""
    original: str = ""
    original_percent: str = ""
    note: str = ""
    brief: str = ""
    unstated: Mapping[str, Choice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.section not in SECTIONS:
            raise ValueError(f"{self.id}: unknown section {self.section!r}")
        if unknown := set(self.judge.roles) - set(ROLES):
            raise ValueError(f"{self.id}: no experiment is called {', '.join(sorted(unknown))}")
        if self.recipe is not None and self.recipe not in STUDY:
            raise ValueError(f"{self.id}: the study has no recipe {self.recipe!r}")
        if isinstance(self.judge, Accuracy) and not (0 < self.judge.expected < 1 and 0 < self.judge.tolerance < 0.5):
            raise ValueError(f"{self.id}: accuracies and tolerances are shares of 1")

    def choices(self) -> Mapping[str, Choice]:
        """Everything the study leaves unstated, with our choice."""
        return {**(STUDY[self.recipe].unstated if self.recipe else {}), **self.unstated}
