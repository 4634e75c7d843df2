"""Paired comparisons: on the selection split, which decided, and on test, which only confirms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from foray.records import Comparison, PairedLoss

VERDICTS: dict[str, str] = {"not_worse": "not worse", "worse": "worse", "unresolved": "unresolved"}


@dataclass(frozen=True)
class Pair:
    """`candidate` against `reference`, on the split that decided and on test; None where it was not compared."""

    reference: str
    candidate: str
    selection: PairedLoss | None
    test: PairedLoss | None

    @property
    def label(self) -> str:
        """'candidate vs reference'."""
        return f"{self.candidate} vs {self.reference}"

    @property
    def sides(self) -> list[tuple[Literal["selection", "test"], PairedLoss]]:
        """The comparisons that were made, selection first."""
        sides: list[tuple[Literal["selection", "test"], PairedLoss]] = []
        if self.selection is not None:
            sides.append(("selection", self.selection))
        if self.test is not None:
            sides.append(("test", self.test))
        return sides


def pairs(comparison: Comparison) -> list[Pair]:
    """Every pair that was compared on either split, in the order of the decision."""
    selection = {(loss.reference, loss.candidate): loss for loss in comparison.decision.pairs}
    test = {(loss.reference, loss.candidate): loss for loss in comparison.confirmation}
    return [Pair(*key, selection.get(key), test.get(key)) for key in dict.fromkeys([*selection, *test])]
