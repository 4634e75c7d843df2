"""Finished results by role, and those of several roles that may be compared with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foray.records.reproduction import Evidence, Scale, Unavailable
from foray.reproduce.differences import study_of
from foray.reproduce.evidence import evidence_of
from foray.reproduce.experiments import TIMES_ROLES
from foray.reproduce.results_folder import SCALES, Result, RunResult

Runs = Mapping[str, Sequence[RunResult]]  # by role, one per seed


@dataclass(frozen=True)
class Findings:
    """Finished results by role at the preferred scale, and why the others have none.

    `also`: results at `reduced` of roles that have some at `full` too.
    """

    results: Mapping[str, Sequence[Result]]
    missing: Mapping[str, Unavailable]
    mini: bool
    also: Mapping[str, Sequence[Result]] = field(default_factory=dict)

    def evidence(self, roles: Sequence[str], at_epoch: int | None = None) -> list[Evidence]:
        """Evidence of the roles that have results; times have none of this kind."""
        there = [role for role in roles if role in self.results and role not in TIMES_ROLES]
        return [evidence_of(self.results[role], at_epoch) for role in there]

    def together(self, roles: Sequence[str]) -> Runs | None:
        """Runs of all `roles` that may be compared: those of the first scale at which all have some.

        At another resolution than the study's it has to be the same for all. None where there is no such scale.
        """
        for scale in SCALES:
            found = {role: self._at(role, scale) for role in roles}
            if all(found.values()) and _on_one_footing([runs[0] for runs in found.values()]):
                return found
        return None

    def _at(self, role: str, scale: Scale) -> list[RunResult]:
        both = [*self.results.get(role, ()), *self.also.get(role, ())]
        return [one for one in both if isinstance(one, RunResult) and one.info.scale == scale]


def _on_one_footing(runs: Sequence[RunResult]) -> bool:
    """Whether all were run at one resolution, or each at the one that the study, or the network's name, gives it."""
    return len({run.record.architecture.resolution for run in runs}) == 1 or all(map(_at_its_own_side, runs))


def _at_its_own_side(run: RunResult) -> bool:
    reference = study_of(run.info)
    if reference.resolution is None:  # a scaled name states it
        return True
    return reference.scale == "full" and reference.resolution == run.record.architecture.resolution
