"""All claims of the study: run the experiments, judge, write the page; or judge and write without running."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foray.errors import RunError
from foray.progress import SILENT, Progress
from foray.records import require_writable
from foray.records.reproduction import Reproduction, Scale, Timing, Unavailable
from foray.regular_files import is_there
from foray.reproduce.all_claims import claims_named, roles_of
from foray.reproduce.claim import Claim
from foray.reproduce.evidence import current, evidence_of
from foray.reproduce.execute import Study, StudyRequest
from foray.reproduce.experiments import BY_SCALE, TIMES_ROLES
from foray.reproduce.findings import Findings
from foray.reproduce.judge import judged
from foray.reproduce.reproduction_page import write_reproduction
from foray.reproduce.results_folder import SCALES, Result, TimesResult, read_results, read_unavailable
from foray.requests import Machine


def reproduce(
    request: StudyRequest = StudyRequest(),
    out: str | Path = "reproduction",
    machine: Machine = Machine(),
    *,
    command: str = "",
    progress: Progress = SILENT,
) -> Reproduction:
    """Runs the experiments of the claims that `request` names and writes `out`/reproduction.html.

    Results in `out` are not computed again. `command`: for the page. Raises ForayError for unknown names and damaged
    results.
    """
    require_writable(Path(out))
    claims = claims_named(request.names)
    study = Study(request, Path(out), machine, command, progress)
    study.run_all(roles_of(claims))
    findings = read_findings(study.results, mini=request.scale == "mini")
    found = judge_all(findings, claims)
    if machine.processes.is_writer:
        write_reproduction(found, findings, Path(out))
    return found


def rewrite(results: Path, out: str | Path, names: Sequence[str] = (), *, mini: bool | None = None) -> Reproduction:
    """Judges the results in a folder and writes the page to `out`; nothing is run.

    `mini`: the mini results instead of all others; None: where there are no others. Raises RunError when the folder
    holds none, or a damaged one.
    """
    require_writable(Path(out))
    kinds = [scale for scale in SCALES if is_there(results) and any((results / scale).glob("*/*/experiment.json"))]
    if not kinds:
        raise RunError(f"There are no results in {results}: name the results/ of an earlier foray reproduce.")
    findings = read_findings(results, mini=kinds == ["mini"] if mini is None else mini)
    found = judge_all(findings, claims_named(names))
    write_reproduction(found, findings, Path(out))
    return found


def judge_all(findings: Findings, claims: Sequence[Claim]) -> Reproduction:
    """Every claim's verdict, the runs behind it, and the experiments without results."""
    needed = roles_of(claims)
    roles = [role for role in needed if role not in TIMES_ROLES]
    return Reproduction(
        mini=findings.mini,
        results=[judged(claim, findings) for claim in claims],
        runs=[
            evidence_of(by_role[role])
            for role in roles
            for by_role in (findings.results, findings.also)
            if role in by_role
        ],
        timings=[
            _timing(one)
            for role in TIMES_ROLES
            for one in findings.results.get(role, ())
            if role in needed and isinstance(one, TimesResult)
        ],
        missing={key: why for key, why in findings.missing.items() if key.partition("/")[2] in needed},
    )


def read_findings(results: Path, *, mini: bool) -> Findings:
    """Current results by role: of `mini` alone, or of `full` before `reduced`. Other roles' are passed over."""
    chosen: dict[str, Sequence[Result]] = {}
    also: dict[str, Sequence[Result]] = {}
    missing: dict[str, Unavailable] = {}
    scales: tuple[Scale, ...] = ("mini",) if mini else ("full", "reduced")
    for scale in scales:
        for role, found in read_results(results, scale).items():
            if role in BY_SCALE[scale] or role in TIMES_ROLES:
                (also if role in chosen else chosen)[role] = current(found)
        missing |= {f"{scale}/{role}": why for role, why in read_unavailable(results, scale).roles.items()}
    lacking = {key: why for key, why in missing.items() if why.kind == "failed" or key.partition("/")[2] not in chosen}
    return Findings(chosen, lacking, mini, also)


def _timing(result: TimesResult) -> Timing:
    info, times = result.info, result.times
    return Timing(
        role=info.role,
        scale=info.scale,
        timed=times.timed,
        networks=len(times.networks),
        rounds=times.rounds,
        threads=times.threads,
        runtime=times.runtime,
        precision=times.precision,
        created=times.created,
        hardware=times.hardware.label(),
        commit=times.commit,
        command=info.command,
    )
