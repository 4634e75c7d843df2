"""Finished results by role, and those of several roles that may be compared with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foray.records.reproduction import Evidence, Scale, Unavailable
from foray.reproduce.differences import older_recipe, study_of
from foray.reproduce.evidence import correct, evidence_of
from foray.reproduce.experiments import TIMES_ROLES
from foray.reproduce.results_folder import SCALES, Result, RunResult
from foray.reproduce.sources import of_commands

Runs = Mapping[str, Sequence[RunResult]]  # by role, one per seed


@dataclass(frozen=True)
class Findings:
    """Finished results by role at the preferred scale, and why the others have none.

    `also`: results at `reduced` of roles that have some at `full` too. `missing`: by scale and role (`full/rps-b0`).
    """

    results: Mapping[str, Sequence[Result]]
    missing: Mapping[str, Unavailable]
    mini: bool
    also: Mapping[str, Sequence[Result]] = field(default_factory=dict)

    def evidence(self, roles: Sequence[str], at_epoch: int | None = None) -> list[Evidence]:
        """Evidence of the roles that have results; times have none of this kind."""
        there = [role for role in roles if role in self.results and role not in TIMES_ROLES]
        return [evidence_of(self.results[role], at_epoch) for role in there]

    def reasons(self, role: str) -> list[str]:
        """Why a role has no result, or lacks seeds, at any scale."""
        keys = [f"{scale}/{role}" for scale in SCALES]
        return [reason_of(self.missing[key]) for key in keys if key in self.missing]

    def together(self, roles: Sequence[str]) -> Runs | None:
        """Runs of all `roles` that may be compared: those of the first scale at which they may, present recipes first.

        None where there is no such scale: `why_not_together` says why.
        """
        scales = [scale for scale in SCALES if self.why_not_together(roles, scale) is None]
        found = [{role: self._at(role, scale) for role in roles} for scale in scales]
        return min(found, key=_are_older, default=None)

    def why_not_together(self, roles: Sequence[str], scale: Scale) -> str | None:
        """Why the runs of `roles` at `scale` may not be compared; None where they may.

        At another resolution than the study's it has to be the same for all. All have to be made with the present
        recipes, or all with older ones, and scored on the same test images.
        """
        runs = {role: self._at(role, scale) for role in roles}
        if absent := [role for role, seeds in runs.items() if not seeds]:
            return f"{_joined(absent)} not run"
        first = {role: seeds[0] for role, seeds in runs.items()}
        if not _on_one_footing(list(first.values())):
            return ", ".join(f"{role} at {run.record.architecture.resolution} px" for role, run in first.items())
        older = [role for role, run in first.items() if older_recipe(run)]
        if older and len(older) < len(first):
            return f"{_joined(older)} run with an older recipe"
        if len({tuple(correct(seeds, "test")[0]) for seeds in runs.values()}) > 1:
            return f"{_joined(roles)} scored on different test images, or copies of them: run all from one folder"
        return None

    def scales_of(self, roles: Sequence[str]) -> list[Scale]:
        """At which any of `roles` was run."""
        return [scale for scale in SCALES if any(self._at(role, scale) for role in roles)]

    def _at(self, role: str, scale: Scale) -> list[RunResult]:
        both = [*self.results.get(role, ()), *self.also.get(role, ())]
        return [one for one in both if isinstance(one, RunResult) and one.info.scale == scale]


_MISSING = {"data": "Images not available here: ", "weights": "Weights not available here: ", "failed": ""}


def reason_of(why: Unavailable) -> str:
    """Why an experiment has no result, in words that stand beside its command."""
    return f"{_MISSING[why.kind]}{of_commands(why.reason)}"


def _are_older(runs: Runs) -> bool:
    """Whether they were made with another version of their recipes than the present one."""
    return any(older_recipe(seeds[0]) for seeds in runs.values())


def _joined(roles: Sequence[str]) -> str:
    """`a was`, or `a, b were`."""
    return f"{', '.join(roles)} {'was' if len(roles) == 1 else 'were'}"


def _on_one_footing(runs: Sequence[RunResult]) -> bool:
    """Whether all were run at one resolution, or each at the one that the study, or the network's name, gives it."""
    return len({run.record.architecture.resolution for run in runs}) == 1 or all(map(_at_its_own_side, runs))


def _at_its_own_side(run: RunResult) -> bool:
    reference = study_of(run.info)
    if reference.resolution is None:  # a scaled name states it
        return True
    return reference.scale == "full" and reference.resolution == run.record.architecture.resolution
