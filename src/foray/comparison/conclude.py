"""From trained runs to a comparison: the decision on the selection split, its confirmation on test, the rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from foray.comparison.leaks import leaked_scores
from foray.comparison.mistakes import worst_mistakes
from foray.comparison.plan import ComparisonPlan
from foray.comparison.selection import selection_of
from foray.decision import Candidate, broken_bounds, cautions, confirm, decide, withheld
from foray.records import (
    ArchitectureInfo,
    Budget,
    CandidateResult,
    Comparison,
    CostProfile,
    commit,
    hardware,
    versions,
)
from foray.runs.outcomes import ModelOutcome, estimate
from foray.statistics import seed_summary
from foray.training import RunPlan


def conclude(
    plan: ComparisonPlan,
    costs: dict[str, CostProfile],
    outcomes: dict[str, ModelOutcome],
    failures: dict[str, str],
    folder: Path,
    command: str,
    seconds: float,
) -> Comparison:
    """Decides on the selection split; test is read afterwards and does not change the decision."""
    chosen_by = selection_of(outcomes, plan.recipe)
    split, selection = chosen_by.split, chosen_by.correct
    candidates = [_candidate(model.spec.name, selection, costs, outcomes) for model in plan.models]
    decision = decide(
        candidates,
        budget=plan.budget,
        tolerance=plan.tolerance,
        prefer=plan.prefer,
        selection_split=split,
        error=plan.error,
    )
    decision = withheld(decision, [one for one in candidates if one.model not in failures], plan.budget)
    test = {name: outcome.correct("test") for name, outcome in outcomes.items()}
    confirmation = confirm(
        decision, [Candidate(name, correct, costs[name]) for name, correct in test.items()], plan.tolerance
    )
    rows = []
    for model in plan.models:
        name = model.spec.name
        if name in outcomes:
            row = _trained(outcomes[name], costs[name], selection[name], test[name])
            mistakes = worst_mistakes(plan.dataset, outcomes[name].folders[0], folder, name)
            rows.append(row.model_copy(update={"mistakes": mistakes}))
        else:
            rows.append(_untrained(model, costs[name], plan.budget, failures.get(name)))
    leaks = leaked_scores(plan.dataset, outcomes.get(decision.pick or ""), [split, "test"])
    return Comparison(
        id=plan.key,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        dataset=plan.dataset.info(),
        protocol=plan.recipe.protocol,
        recipe=plan.recipe.model_dump(mode="json"),
        seeds=list(plan.seeds),
        budget=plan.budget,
        candidates=rows,
        decision=decision,
        confirmation=confirmation,
        cautions=[*chosen_by.cautions, *cautions(decision, rows, plan.budget, leaks)],
        leaks=leaks,
        total_seconds=seconds,
        notes=list(plan.dataset.notes),
        hardware=hardware(),
        versions=versions(),
        commit=commit(),
    )


def _trained(
    outcome: ModelOutcome,
    cost: CostProfile,
    selection: npt.NDArray[np.bool_],
    test: npt.NDArray[np.bool_],
) -> CandidateResult:
    """The row of a trained model in comparison.json; `selection` and `test` are (seeds, images)."""
    first = outcome.records[0]
    tests = [record.metrics["test"] for record in outcome.records]
    top5 = [metrics.top5.value for metrics in tests if metrics.top5]
    epochs = [seconds for record in outcome.records for seconds in record.seconds_per_epoch]
    return CandidateResult(
        model=outcome.model,
        architecture=first.architecture,
        weights=first.weights,
        cost=cost,
        run_ids=[record.run_id for record in outcome.records],
        selection=estimate(selection),
        selection_sd=seed_summary(selection.mean(axis=1).tolist())[1],
        test=estimate(test),
        test_sd=seed_summary(test.mean(axis=1).tolist())[1],
        test_top5=float(np.mean(top5)) if top5 else None,
        test_macro_f1=float(np.mean([metrics.macro_f1 for metrics in tests])),
        seconds_per_epoch=float(np.mean(epochs)) if epochs else None,
        train_seconds=outcome.train_seconds,
    )


def _candidate(
    name: str,
    selection: Mapping[str, npt.NDArray[np.bool_]],
    costs: Mapping[str, CostProfile],
    outcomes: Mapping[str, ModelOutcome],
) -> Candidate:
    seconds = outcomes[name].train_seconds if name in outcomes else None
    return Candidate(name, selection.get(name), costs[name], seconds)


def _untrained(model: RunPlan, cost: CostProfile, budget: Budget, failure: str | None) -> CandidateResult:
    """The row of an excluded model: over a bound, or its training failed."""
    return CandidateResult(
        model=model.spec.name,
        architecture=ArchitectureInfo(
            name=model.spec.name,
            requested=model.requested,
            num_classes=model.num_classes,
            resolution=model.preprocessing.resolution,
            params=cost.params,
            small_image=model.small_image,
        ),
        weights=None,
        cost=cost,
        broken_bounds=broken_bounds(cost, budget),
        failure=failure,
    )
