"""From what tests show to the verdict on a statement, as the study's protocol and the number of seeds allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from foray.records import PairedLoss
from foray.records.reproduction import ClaimResult, Evidence, Scale, Verdict
from foray.reproduce.claim import Claim
from foray.reproduce.differences import told
from foray.reproduce.role_words import in_words

Shown = Literal["holds", "contrary", "open"]
_WORDS: Mapping[Shown, str] = {"holds": "shown", "contrary": "the contrary is shown", "open": "not decided"}


def verdict_of(steps: Sequence[tuple[Shown, int]]) -> Verdict:
    """Of all (what is shown, over how many seeds) that a statement needs.

    It does not hold when the contrary of one is shown by several seeds, since one training may be unlucky.
    """
    if any(shown == "contrary" and seeds > 1 for shown, seeds in steps):
        return "not reproduced"
    return "reproduced" if all(shown == "holds" for shown, _ in steps) else "undecided"


def shown_words(shown: Shown, seeds: int) -> str:
    """What is shown, and of what: with one seed of these networks alone."""
    return _WORDS[shown] + (" for these trainings" if seeds == 1 and shown != "open" else "")


def luck(claim: Claim, scale: Scale) -> str:
    """What a single training leaves open, and the command that adds more at its scale."""
    return (
        "A single training may be lucky or unlucky: foray reproduce "
        f"{claim.id} --scale {scale} --seeds 3 adds two per network."
    )


def stated(
    claim: Claim, verdict: Verdict, said: str, evidence: Sequence[Evidence], pairs: Sequence[PairedLoss] = (),
    brief: str = "",
) -> ClaimResult:  # fmt: skip
    """The verdict on a statement. One that the study makes is told, and not judged, where its runs were others."""
    changed = any(one.differs for one in evidence)
    if changed and claim.origin == "study":
        words = {"reproduced": "holds", "not reproduced": "does not hold"}.get(verdict, "is not decided")
        what = "another protocol" if any(one.protocol_differs for one in evidence) else "other images"
        said, verdict = f"Here the claim {words}, with {what} ({_by_role(evidence)}). {said}", "differs in protocol"
    return ClaimResult(
        claim=claim.id, verdict=verdict, brief=brief, sentence=said, evidence=list(evidence), pairs=list(pairs)
    )


def _by_role(evidence: Sequence[Evidence]) -> str:
    """Differences that all have, then those of single networks, with their names."""
    common = [change for change in evidence[0].differs if all(change in one.differs for one in evidence)]
    parts = [told(common)] if common else []
    for one in evidence:
        if rest := [change for change in one.differs if change not in common]:
            parts.append(f"{in_words(one.role)}: {told(rest)}")
    return "; ".join(parts)
