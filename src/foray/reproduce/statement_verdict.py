"""From what tests show to the verdict on a statement, as the study's protocol and the number of seeds allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from foray.records import PairedLoss
from foray.records.reproduction import ClaimResult, Evidence, Verdict
from foray.reproduce.claim import Claim
from foray.reproduce.differences import told

Shown = Literal["holds", "contrary", "open"]
LUCK = "cannot tell the architecture from the luck of training. Two more seeds of each would."


def verdict_of(steps: Sequence[tuple[Shown, int]]) -> Verdict:
    """Of all (what is shown, over how many seeds) that a statement needs.

    It does not hold when the contrary of one is shown by several seeds, since one training may be unlucky.
    """
    if any(shown == "contrary" and seeds > 1 for shown, seeds in steps):
        return "not reproduced"
    return "reproduced" if all(shown == "holds" for shown, _ in steps) else "undecided"


def seeds_words(seeds: int) -> str:
    """How many of each network."""
    return "one seed each" if seeds == 1 else f"{seeds} seeds each"


def stated(
    claim: Claim, verdict: Verdict, said: str, evidence: Sequence[Evidence], pairs: Sequence[PairedLoss] = (),
    brief: str = "",
) -> ClaimResult:  # fmt: skip
    """The verdict on a statement. One that the study makes is told, and not judged, where its runs were others."""
    changed = list(dict.fromkeys(change for one in evidence for change in one.differs))
    if changed and claim.origin == "study":
        words = {"reproduced": "holds", "not reproduced": "does not hold"}.get(verdict, "is not decided")
        what = "another protocol" if any(one.protocol_differs for one in evidence) else "other images"
        said, verdict = f"Here the claim {words}, with {what} ({told(changed)}). {said}", "differs in protocol"
    elif changed:
        said = f"{said} Run with {told(changed)}."
    return ClaimResult(
        claim=claim.id, verdict=verdict, brief=brief, sentence=said, evidence=list(evidence), pairs=list(pairs)
    )
