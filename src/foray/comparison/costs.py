"""What the models of a comparison cost: measured on another device, on another runtime here, or in PyTorch here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from foray.clock.measure import versions_on
from foray.clock.schedule import AT_ONCE, TimingSchedule, schedule_within
from foray.comparison.plan import ComparisonPlan
from foray.deploy.bench import PRECISIONS
from foray.export.timing import fresh_subject, in_pytorch, timed_costs
from foray.progress import Progress
from foray.records import Comparison, CostProfile, hardware

_BATCHES = (1, 32)


class CostSource:
    """Where the costs of one comparison come from.

    Measured here, they are measured before training, so that no model over the budget is trained: latency does
    not depend on the values of the weights, nor on the calibration images of int8. Where latency decides
    nothing it is measured at once, without waiting for an idle machine.
    """

    def __init__(
        self, plan: ComparisonPlan, folder: Path, *, threads: int | None, wait_seconds: float, progress: Progress
    ) -> None:
        """`folder`: of the comparison, whose steady costs are used again."""
        self._plan, self._folder, self._progress = plan, folder, progress
        self._setup = plan.target or in_pytorch(threads)
        self._latency_decides = plan.prefer == "latency" or plan.budget.max_latency_ms is not None
        self.schedule: TimingSchedule = schedule_within(wait_seconds) if self._latency_decides else AT_ONCE

    def may_tell_more(self, costs: Mapping[str, CostProfile], seconds: float) -> bool:
        """Whether a deciding latency of `costs` was not steady, and the machine may be idle `seconds` later.

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
        return timed_costs(
            subjects,
            self._setup,
            keep_resident=self._plan.target is not None,
            batches=_BATCHES,
            schedule=self.schedule,
            progress=self._progress,
        )

    def _kept(self) -> dict[str, CostProfile] | None:
        """The costs in comparison.json, where all of them are good enough and were measured as they would be now.

        All or none: they were timed interleaved, and a change of the machine between two measurements would bias them.
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
        setup, now = self._setup, CostProfile.model_fields["device"].default
        how = (cost.runtime, cost.precision, cost.threads, cost.resolution, cost.device)
        return (
            ((cost.latency_is_steady and (cost.latency_bursts or 0) > 1) or not self._latency_decides)
            and how == (setup.runtime, PRECISIONS[setup.precision], setup.threads, resolution, now)
            and (cost.resident_memory_bytes is None) == (self._plan.target is None)
            and cost.hardware == hardware()
            and cost.versions == versions_on([setup.runtime])
        )
