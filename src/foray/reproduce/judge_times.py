"""Claims about times: none is judged yet."""

from __future__ import annotations

from foray.records.reproduction import ClaimResult
from foray.reproduce.claim import Claim, TimeRatio
from foray.reproduce.findings import Findings
from foray.reproduce.without_result import without_result


def judged_times(claim: Claim, judge: TimeRatio, findings: Findings) -> ClaimResult:
    """The verdict on a ratio of times."""
    return without_result(claim, findings, judge.roles)
