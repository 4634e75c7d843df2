"""comparison.json: the candidates, the decision, and the confirmation on test."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from foray.records.cost import BrokenBound, Budget, CostProfile
from foray.records.cost_vocabulary import Preference
from foray.records.environment import Hardware
from foray.records.metrics import Estimate, Leak
from foray.records.record import Record
from foray.records.run import ArchitectureInfo, DatasetInfo, WeightsInfo

PairStatus = Literal["not_worse", "worse", "unresolved"]
Outcome = Literal[
    "best_stands",
    "cheaper_not_worse",
    "not_worse",
    "unresolved",
    "not_known",
    "nobody_in_budget",
    "nobody_trained",
    "only_one",
]


class PairedLoss(Record):
    """How much accuracy `candidate` loses against `reference`, paired over the same images and over seeds.

    `loss` > 0: the candidate is worse. `lower` and `upper`: one-sided bounds, each at `confidence`: 1 less the error of
    the decision, or higher where several models share that error (Holm). With one seed they cover the variance over
    images only. `not_worse`: upper < tolerance; `worse`: lower > tolerance; else `unresolved`: then `images_needed`,
    the present ones included, give a verdict either way with 80 % power (None: not within ten million), or `more_seeds`
    are needed. Files of earlier versions hold the number for a power of about 50 %.
    `disagreements`: where only images with different labels were labelled (`split` is then `settle`), the number of
    those among the `n`, and `labels`, how many of them got a label; of a pair with a verdict, those that gave it. None:
    all `n` have labels.
    """

    reference: str
    candidate: str
    split: str
    n: int
    seeds: int
    loss: float
    lower: float
    upper: float
    confidence: float = 0.95
    tolerance: float
    status: PairStatus
    images_needed: int | None = None
    more_seeds: bool = False
    p_value: float | None = None  # two-sided paired test of "no difference"
    disagreements: int | None = None
    labels: int | None = None

    @property
    def labels_left(self) -> int:
        """Images without a label that could tell more about this pair; 0 where all have labels, or it is decided."""
        return 0 if self.status != "unresolved" else (self.disagreements or 0) - (self.labels or 0)


class Decision(Record):
    """The pick. `best`: most accurate within budget on the selection split; `pick`: what to ship.

    Both are None when no model keeps the budget or none could be trained. `outcome`: `best_stands`, the pick is the
    most accurate; `cheaper_not_worse`, it is cheaper than that; `not_worse`, neither; in all three it loses less than
    the tolerance against every other model. `unresolved`: no model is shown to do so, and the pick is for now.
    `not_known`: the decision depends on a latency that was not steady; then the most accurate is the pick for now, or
    there is no pick, where latency is bounded.
    `pairs`: the pick against every rival, the closest comparison first; then models cheaper than the pick, the cheapest
    first, and the most accurate, each against its strongest rival (in older files: every cheaper model against the
    best). `pareto`: the front of accuracy and preferred cost within budget, cheapest first.
    `error`: chance of a wrong pick, all tests on the selection split together. `settle_error`: the same of labels of
    new images, which decided what was open; None: there are none. `settle_sets`: sets of new images that were tried,
    each tested at that error. All of them add up.
    """

    prefer: Preference
    tolerance: float
    selection_split: str
    best: str | None
    pick: str | None
    outcome: Outcome
    sentence: str
    pairs: list[PairedLoss] = Field(default_factory=list)
    pareto: list[str] = Field(default_factory=list)
    error: float = 0.05  # files of earlier versions do not state theirs
    settle_error: float | None = None
    settle_sets: int = 1

    @property
    def error_by_labels(self) -> float:
        """Chance of a wrong pick by labels, all sets of new images that were tried together."""
        return (self.settle_error or 0.0) * self.settle_sets


class Mistake(Record):
    """A test image that the model misclassified with high probability. `picture`: path relative to the comparison
    folder."""

    image_id: str
    label: str
    predicted: str
    probability: float
    picture: str


class CandidateResult(Record):
    """One model over all seeds. `selection` and `test`: mean over seeds, interval over images."""

    model: str  # the variant's name, unique within the comparison
    architecture: ArchitectureInfo
    weights: WeightsInfo | None
    cost: CostProfile
    broken_bounds: list[BrokenBound] = Field(default_factory=list)
    failure: str | None = None
    run_ids: list[str] = Field(default_factory=list)
    selection: Estimate | None = None
    selection_sd: float | None = None  # over seeds; None with one seed
    test: Estimate | None = None
    test_sd: float | None = None
    test_top5: float | None = None
    test_macro_f1: float | None = None
    seconds_per_epoch: float | None = None
    train_seconds: float | None = None  # mean total seconds of a run
    mistakes: list[Mistake] = Field(default_factory=list)


class Comparison(Record):
    """comparison.json."""

    way_out: ClassVar[str] = (
        "Delete it, and run foray compare with the same arguments: finished runs are not trained again."
    )
    schema_version: Literal[1] = 1
    id: str
    created: str
    command: str
    dataset: DatasetInfo
    protocol: str
    recipe: dict[str, Any]
    seeds: list[int]
    budget: Budget
    candidates: list[CandidateResult]
    decision: Decision
    confirmation: list[PairedLoss] = Field(default_factory=list)  # on test, once: pick against best and the others
    total_seconds: float | None = None
    cautions: list[str] = Field(default_factory=list)  # to be read with the verdict
    leaks: list[Leak] = Field(default_factory=list)  # splits that hold copies of earlier images: the pick without them
    notes: list[str] = Field(default_factory=list)  # about the data
    hardware: Hardware
    versions: dict[str, str]
    commit: str | None = None
