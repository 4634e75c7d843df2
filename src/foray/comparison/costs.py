"""What the models of a comparison cost: measured on another device, on another runtime here, or in PyTorch here."""

from __future__ import annotations

import tempfile
from pathlib import Path

from foray.comparison.on_runtimes import Target, fresh_subject, write_candidates
from foray.comparison.plan import ComparisonPlan
from foray.models import build_model
from foray.profiling import profile_models
from foray.profiling.runtimes import cost_profile, profile_on_runtimes
from foray.progress import SILENT, Progress
from foray.records import CostProfile

_BATCHES = (1, 32)


def comparison_costs(
    plan: ComparisonPlan, *, threads: int | None = None, progress: Progress = SILENT
) -> dict[str, CostProfile]:
    """By model: from another device's profiles when given, else measured here, before training heats the machine.

    Before training also on another runtime, so that no model over the budget is trained: how long a network takes does
    not depend on what its weights are, nor on the images int8 was calibrated with.
    """
    if plan.profiles is not None:
        return plan.profiles
    if plan.target is not None:
        return _on_runtime(plan, plan.target, progress)
    networks = {
        model.spec.name: (
            build_model(model.spec, num_classes=model.num_classes, small_image=model.small_image).eval(),
            model.preprocessing.resolution,
        )
        for model in plan.models
    }
    return profile_models(networks, threads=threads, progress=progress)


def _on_runtime(plan: ComparisonPlan, target: Target, progress: Progress) -> dict[str, CostProfile]:
    subjects = [
        fresh_subject(model.spec.name, model.num_classes, model.preprocessing, model.small_image)
        for model in plan.models
    ]
    with tempfile.TemporaryDirectory(prefix="foray-compare-") as folder:
        candidates = write_candidates(subjects, [target], Path(folder), progress)
        measured = profile_on_runtimes(candidates, batches=_BATCHES, progress=progress)
    return {cost.model: cost_profile(cost, measured) for cost in measured.costs}
