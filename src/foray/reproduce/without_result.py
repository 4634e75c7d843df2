"""Claims whose experiments have no results: what is missing, the command that gives it, and where the images are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from foray.data import NAMED_DATASETS
from foray.records.reproduction import ClaimResult, Scale
from foray.reproduce.claim import Claim, Judge, Order
from foray.reproduce.experiments import BY_SCALE
from foray.reproduce.findings import Findings
from foray.reproduce.sources import SOURCES


def without_result(claim: Claim, findings: Findings, roles: Sequence[str]) -> ClaimResult:
    """No verdict, as `roles`, all of which are needed, have no results that may be judged together."""
    return ClaimResult(
        claim=claim.id,
        verdict="no result",
        sentence=f"{why_without(findings, roles)} {how_to_run(claim, findings, roles)}",
        evidence=findings.evidence(roles),
    )


def why_without(findings: Findings, roles: Sequence[str]) -> str:
    """Which of `roles` have no results, and why; or why the results of all are not compared, by scale."""
    absent = [role for role in roles if role not in findings.results]
    if absent:
        reasons = dict.fromkeys(reason for role in absent for reason in findings.reasons(role))
        return " ".join([f"Not run: {', '.join(absent)}.", *reasons])
    told = [f"{scale}: {findings.why_not_together(roles, scale)}" for scale in findings.scales_of(roles)]
    return f"Not comparable. {'; '.join(told)}."


def how_to_run(claim: Claim, findings: Findings, roles: Sequence[str]) -> str:
    """The command that gives `roles` results that may be judged together, and where their images are."""
    scales = _scales(claim.judge, roles)
    return " ".join(filter(None, [_command(claim, scales), _where(findings, roles, scales)]))


def _scales(judge: Judge, roles: Sequence[str]) -> list[Scale]:
    """At which `roles`, or those of a step of an order among them, are planned so that they may be judged together."""
    steps = [step for chain in judge.chains for step in pairwise(chain)] if isinstance(judge, Order) else []
    needed: list[Sequence[str]] = [step for step in steps if set(step) <= set(roles)]
    scales: tuple[Scale, ...] = ("reduced", "full")
    return [scale for scale in scales if any(_are_planned_together(those, scale) for those in needed or [roles])]


def _are_planned_together(roles: Sequence[str], scale: Scale) -> bool:
    planned = [BY_SCALE[scale][role] for role in roles if role in BY_SCALE[scale]]
    sides = {one.resolution for one in planned}
    return len(planned) == len(roles) and (scale == "full" or len(sides) == 1)


def _command(claim: Claim, scales: Sequence[Scale]) -> str:
    return f"To run it: foray reproduce {claim.id} --scale {'|'.join(scales)} --data-dir DIR --weights DIR."


def _where(findings: Findings, roles: Sequence[str], scales: Sequence[Scale]) -> str:
    """Where the images of the roles are that have no results and no reason, which would say it."""
    absent = [role for role in roles if role not in findings.results and not findings.reasons(role)]
    sources = [SOURCES[BY_SCALE[scale][role].source] for scale in scales for role in absent if role in BY_SCALE[scale]]
    wanted = {source.named: source for source in sources}  # full is last: the complete ones of several copies
    places = [f"{one.title} ({NAMED_DATASETS[one.named].page}) in DIR/{one.name}" for one in wanted.values()]
    return f"Images: {', '.join(places)}." if places else ""
