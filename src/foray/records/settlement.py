"""OUT/settle/plan.json and settlement.json: what labels of new images are asked for, and what they decided."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from foray.records.comparison import Decision, PairedLoss, PairStatus
from foray.records.record import Record
from foray.records.sealing import sha256


class PanelLeftOut(Record):
    """New images that do not count: they cannot be read; the runs have seen them, or they are near-duplicates of images
    that the runs have seen; they are near-duplicates of another new image (bursts count once)."""

    unreadable: int = 0
    near_copies: int = 0
    bursts: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.unreadable + self.near_copies + self.bursts

    @property
    def sentence(self) -> str:
        """How many and why, as a sentence; empty where there are none."""
        reasons = {
            "unreadable": self.unreadable,
            "that were used already, near-duplicates included": self.near_copies,
            "near-duplicates of another new image": self.bursts,
        }
        told = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items() if n)
        return f"Left out: {told}." if told else ""


class AskedPair(Record):
    """A comparison that new images shall decide: does `candidate` lose more than the tolerance against `reference`?

    `disagreements`: of the new images those that need a label for it. `error`: of a wrong "not worse", in (0, 0.5);
    `worse_error`: of a wrong "worse"; None: the same. `probability`: that labelling them all decides, as validation has
    it; `expected_labels`: until it does.
    """

    reference: str
    candidate: str
    disagreements: int
    error: float
    worse_error: float | None = None
    probability: float
    expected_labels: float


class SettlePlan(Record):
    """plan.json: what is asked, stored before the first label.

    `comparison` and `decision`: id and digest of what is to be settled. `error`: of all verdicts by labels of these
    images together. `runs`: run ids by model, in the order of `seeds`. `images`: new images that count; `fingerprint`:
    a digest of them; `earlier`: those of other images that were asked for before. `asked`: ids of those that need a
    label, in a random order. `repeats`: images that label.html shows twice, as (position among all it shows, index in
    `asked`). `pictures`: how many of `asked` it shows. `early`: whether a pair can be decided before all of its images
    have a label. `known`: class index by id of images that the runs have seen. `predictions`: SHA-256 of
    predictions.npz. `labels_read`: the most labels that were read at once.
    """

    way_out: ClassVar[str] = (
        "Restore it. Where no label has been given yet, delete the folder and ask again (`images`) for the same images."
    )
    schema_version: Literal[1] = 1
    created: str
    comparison: str
    decision: str
    tolerance: float
    error: float
    source: str
    classes: list[str]
    runs: dict[str, list[str]]
    seeds: list[int]
    images: int
    fingerprint: str
    earlier: list[str] = Field(default_factory=list)
    left_out: PanelLeftOut
    notes: list[str] = Field(default_factory=list)
    pairs: list[AskedPair]
    asked: list[str]
    repeats: list[tuple[int, int]]
    pictures: int
    early: bool
    known: dict[str, int] = Field(default_factory=dict)
    predictions: str
    labels_read: int = 0

    @property
    def sets(self) -> int:
        """How many sets of images were asked for, these included; each is tested at `error`."""
        return 1 + len(self.earlier)

    def asks_the_same(self, other: SettlePlan) -> bool:
        """Whether both ask for labels of the same images for the same decision, after the same other images."""
        ours, theirs = (
            (one.comparison, one.decision, one.fingerprint, one.asked, one.predictions, sorted(one.earlier))
            for one in (self, other)
        )
        return ours == theirs

    @model_validator(mode="before")
    @classmethod
    def _without_contents(cls, stored: Any) -> Any:
        """Files of earlier versions have a SHA-256 of each file that was asked for, which nothing uses."""
        if not isinstance(stored, dict):
            return stored
        return {name: value for name, value in stored.items() if name != "contents"}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        asked, classes = len(self.asked), len(self.classes)
        if len(set(self.asked)) < asked or not 0 <= self.pictures <= asked:
            raise ValueError("asked and pictures do not fit each other")
        if len({self.fingerprint, *self.earlier}) < self.sets:
            raise ValueError("the same images are counted twice")
        if any(not 0 <= index < self.pictures for _, index in self.repeats):
            raise ValueError("an image is repeated that is not shown")
        if any(not 0 <= label < classes for label in self.known.values()):
            raise ValueError("a known label is of no class")
        if any({pair.reference, pair.candidate} - self.runs.keys() for pair in self.pairs):
            raise ValueError("a pair is of a model without runs")
        return self


class SettledPair(Record):
    """What the labels say of one pair.

    Counts are of the longest complete prefix in the stored order: `labelled` images that were looked at, of which
    `losses` (only the reference was right), `gains` (only the candidate), `neither` and `skipped`; with several seeds
    only `labelled` and `skipped` are known. `decided_after`: how many labels gave the verdict; None while it is open.
    """

    reference: str
    candidate: str
    images: int
    disagreements: int
    labelled: int
    losses: int | None
    gains: int | None
    neither: int | None
    skipped: int
    status: PairStatus
    decided_after: int | None


class Settlement(Record):
    """settlement.json: what the labels decided.

    `comparison`, `decision_digest`: as in the plan. `labels`: class index by image id; None: it could not be told.
    `same_again` of the `shown_twice` images got the same answer both times. `guesses_shown`: answers that were given
    after the page showed what the models say. `decision`: of both steps together. `confirmation` and `cautions`: as in
    comparison.json, for it.
    """

    way_out: ClassVar[str] = "Delete it, and let foray settle read the same labels again."
    schema_version: Literal[1] = 1
    created: str
    comparison: str
    decision_digest: str
    source: str
    images: int
    asked: int
    left_out: PanelLeftOut
    notes: list[str] = Field(default_factory=list)
    pairs: list[SettledPair]
    labels: dict[str, int | None]
    same_again: int
    shown_twice: int
    guesses_shown: int
    decision: Decision
    confirmation: list[PairedLoss] = Field(default_factory=list)
    cautions: list[str] = Field(default_factory=list)

    @property
    def has_verdict(self) -> bool:
        """Whether it decides any of the pairs."""
        return any(pair.status != "unresolved" for pair in self.pairs)

    @property
    def is_done(self) -> bool:
        """Whether no image needs a label, or none any more."""
        return all(pair.status != "unresolved" or pair.labelled == pair.disagreements for pair in self.pairs)


def decision_digest(comparison: str, decision: Decision) -> str:
    """SHA-256 of the id of a comparison and what it decided, its wording and what only labels bring apart."""
    told = decision.model_dump_json(exclude={"sentence", "settle_sets"})
    return sha256(f"{comparison} {told}".encode())
