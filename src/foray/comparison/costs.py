"""What the models of a comparison cost: measured on another device, on another runtime here, or in PyTorch here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from foray.clock.runtimes import cost_profile, profile_on_runtimes, versions_on
from foray.clock.schedule import AT_ONCE, Schedule, schedule_within
from foray.comparison.plan import ComparisonPlan
from foray.costs import analyse
from foray.deploy.bench import PRECISIONS
from foray.export.candidates import Subject, Target, fresh_subject, write_candidates
from foray.progress import Progress
from foray.records import Comparison, CostProfile, hardware, scratch_folder

_BATCHES = (1, 32)
_AT_ONCE_IN_MEMORY = 12  # processes of a few hundred MB each


class CostSource:
    """Where the costs of one comparison come from.

    Measured here, they are measured before training, so that no model over the budget is trained: how long a network
    takes does not depend on what its weights are, nor on the images int8 was calibrated with. Where latency decides
    nothing it is measured at once, without waiting for a quiet machine.
    """

    def __init__(
        self, plan: ComparisonPlan, folder: Path, *, threads: int | None, wait_seconds: float, progress: Progress
    ) -> None:
        """`folder`: of the comparison, whose steady costs are used again."""
        self._plan, self._folder, self._progress = plan, folder, progress
        self._target = plan.target or Target("torch", "fp32", threads or torch.get_num_threads())
        self._latency_decides = plan.prefer == "latency" or plan.budget.max_latency_ms is not None
        self.schedule: Schedule = schedule_within(wait_seconds) if self._latency_decides else AT_ONCE

    def may_tell_more(self, costs: Mapping[str, CostProfile], seconds: float) -> bool:
        """Whether a latency of `costs` that counts was not steady, and the machine may be quiet `seconds` later.

        Never for profiles of another device, nor where everything is measured at once.
        """
        can_be_steady = self._plan.profiles is None and self.schedule.bursts > 1
        unsteady = not all(cost.latency_is_steady for cost in costs.values())
        return can_be_steady and unsteady and seconds > self.schedule.wait_seconds

    def first(self) -> dict[str, CostProfile]:
        """By model: from another device's profiles when given, from an earlier start of the same comparison where all
        of them were steady or latency decides nothing, else measured."""
        if self._plan.profiles is not None:
            return self._plan.profiles
        if kept := self._kept():
            self._progress.note("The costs measured before are kept.")
            return kept
        return self.measured()

    def measured(self) -> dict[str, CostProfile]:
        """By model, timed against each other now."""
        subjects = [
            fresh_subject(model.spec.name, model.num_classes, model.preprocessing, model.small_image)
            for model in self._plan.models
        ]
        costs: dict[str, CostProfile] = {}
        for start in range(0, len(subjects), _AT_ONCE_IN_MEMORY):
            costs |= self._timed(subjects[start : start + _AT_ONCE_IN_MEMORY])
        return costs

    def _timed(self, subjects: list[Subject]) -> dict[str, CostProfile]:
        with scratch_folder("foray-compare") as folder:
            candidates = write_candidates(subjects, [self._target], folder, self._progress)
            measured = profile_on_runtimes(
                candidates, batches=_BATCHES, schedule=self.schedule, progress=self._progress
            )
        costs = {cost.model: cost_profile(cost, measured) for cost in measured.costs}
        if self._plan.target is not None:
            return costs
        return {subject.name: _in_pytorch(subject, costs[subject.name]) for subject in subjects}

    def _kept(self) -> dict[str, CostProfile] | None:
        """The costs in comparison.json, where all of them are good enough and were measured as they would be now.

        All or none: they were timed in turns, and a machine that was slower yesterday would favour what is timed today.
        """
        path = self._folder / "comparison.json"
        if not path.exists():
            return None
        there = {candidate.model: candidate.cost for candidate in Comparison.load(path).candidates}
        wanted = {model.spec.name: model.preprocessing.resolution for model in self._plan.models}
        if not all(name in there and self._is_as_now(there[name], side) for name, side in wanted.items()):
            return None
        return {name: there[name] for name in wanted}

    def _is_as_now(self, cost: CostProfile, resolution: int) -> bool:
        target, now = self._target, CostProfile.model_fields["device"].default
        how = (cost.runtime, cost.precision, cost.threads, cost.resolution, cost.device)
        return (
            ((cost.latency_is_steady and (cost.latency_bursts or 0) > 1) or not self._latency_decides)
            and how == (target.runtime, PRECISIONS[target.precision], target.threads, resolution, now)
            and (cost.resident_memory_bytes is None) == (self._plan.target is None)
            and cost.hardware == hardware()
            and cost.versions == versions_on([target.runtime])
        )


def _in_pytorch(subject: Subject, cost: CostProfile) -> CostProfile:
    """With memory and file by analysis: what a process holds is mostly PyTorch."""
    analysed = analyse(subject.source.network, cost.model, cost.resolution)
    return cost.model_copy(
        update={
            "peak_memory_bytes": analysed.peak_memory_bytes,
            "resident_memory_bytes": None,
            "file_bytes": analysed.file_bytes,
        }
    )
