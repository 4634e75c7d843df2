"""Results of a scaling search: the best direction, and whether scaling one dimension alone is worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from foray.comparison import Selection, selection_of
from foray.decision import paired_record
from foray.decision.sentences import one_seed
from foray.records import PairedLoss, ScaledCandidate, ScalingKind, ScalingSearch, commit, hardware, versions
from foray.records.quantities import format_points
from foray.runs.outcomes import ModelOutcome, estimate
from foray.scaling.capacity import realised_multipliers
from foray.scaling.cost_formulas import scaled_cost
from foray.scaling.directions import WORK
from foray.scaling.search_plan import SearchPlan
from foray.specs import ArchSpec, Multipliers
from foray.statistics import seed_summary


def conclude(
    plan: SearchPlan, outcomes: Mapping[str, ModelOutcome], failures: Mapping[str, str], command: str, seconds: float
) -> ScalingSearch:
    """val selects the direction; test compares the single dimensions with the best of the others."""
    chosen_by = selection_of(outcomes, plan.recipe)
    macs = scaled_cost(plan.proxy, plan.family.num_classes).macs
    rows = [_row(plan, spec, macs, outcomes, failures, chosen_by) for spec in plan.specs()]
    trained = [row for row in rows if row.val is not None and row.kind != "proxy"]
    best = _most_accurate(trained)
    several = _most_accurate([row for row in trained if row.kind != "one dimension"])
    single = [row.model for row in trained if row.kind == "one dimension"]
    test = {name: outcome.correct("test") for name, outcome in outcomes.items()}
    confidence = 1 - 0.05 / max(len(single), 1)
    judged = [  # "worse": the lower bound of the loss is above 0
        paired_record(several.model, test[several.model], name, test[name], 0.0, confidence, "test")
        for name in single
        if several
    ]
    return ScalingSearch(
        id=plan.key,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        family=plan.family.name,
        proxy=plan.proxy.name,
        dataset=plan.dataset.info(),
        recipe=plan.recipe.model_dump(mode="json"),
        seeds=list(plan.seeds),
        target_macs=round(WORK * macs),
        candidates=rows,
        best=best.model if best else None,
        alike=_alike(best.model, trained, chosen_by) if best else [],
        several=several.model if several else None,
        one_dimension=judged,
        sentence=verdict(judged, [outcome.train_seconds for outcome in outcomes.values()]),
        selection_split=chosen_by.split,
        cautions=chosen_by.cautions,
        total_seconds=seconds,
        hardware=hardware(),
        versions=versions(),
        commit=commit(),
    )


def _row(
    plan: SearchPlan,
    spec: ArchSpec,
    proxy_macs: int,
    outcomes: Mapping[str, ModelOutcome],
    failures: Mapping[str, str],
    chosen_by: Selection,
) -> ScaledCandidate:
    cost = scaled_cost(spec, plan.family.num_classes)
    built = realised_multipliers(spec, plan.proxy)
    row = ScaledCandidate(
        model=spec.name,
        kind=_kind(built),
        depth=built.depth,
        width=built.width,
        resolution=built.resolution,
        published=spec.name == plan.published.name,
        params=cost.params,
        macs=cost.macs,
        work=cost.macs / proxy_macs,
        failure=failures.get(spec.name),
    )
    outcome = outcomes.get(spec.name)
    if outcome is None:
        return row
    correct = chosen_by.correct[spec.name]
    epochs = [seconds for record in outcome.records for seconds in record.seconds_per_epoch]
    return row.model_copy(
        update={
            "run_ids": [record.run_id for record in outcome.records],
            "val": estimate(correct),
            "val_sd": seed_summary(correct.mean(axis=1).tolist())[1],
            "seconds_per_epoch": sum(epochs) / len(epochs) if epochs else None,
        }
    )


def _kind(built: Multipliers) -> ScalingKind:
    scaled = sum(multiplier > 1 for multiplier in built)
    return "proxy" if scaled == 0 else "one dimension" if scaled == 1 else "several dimensions"


def _most_accurate(rows: Sequence[ScaledCandidate]) -> ScaledCandidate | None:
    """On val; ties go to fewer MACs."""
    return max(rows, key=lambda row: (row.val.value if row.val else 0.0, -row.macs), default=None)


def _alike(best: str, trained: Sequence[ScaledCandidate], chosen_by: Selection) -> list[str]:
    """Networks that the selection split does not show to be worse than the best, with 95 % confidence each."""
    right, split = chosen_by.correct, chosen_by.split
    others = [row.model for row in trained if row.model != best]
    return [name for name in others if paired_record(best, right[best], name, right[name], 0.0, 0.95, split).lower <= 0]


def verdict(judged: Sequence[PairedLoss], train_seconds: Sequence[float | None] = ()) -> str:
    """Whether scaling one dimension alone is worse, as a sentence; `train_seconds`: of one run of each network."""
    if not judged:
        return "No single dimension could be judged: training failed for its networks or for all others."
    said = _of_single_dimensions(judged)
    return said if judged[0].seeds > 1 else f"{said} {one_seed(train_seconds)}"


def _of_single_dimensions(judged: Sequence[PairedLoss]) -> str:
    worse = [loss for loss in judged if loss.status == "worse"]
    most = max(judged, key=lambda loss: loss.loss)
    if len(worse) == len(judged):
        return (
            "Scaling one dimension alone is worse here for every dimension: each loses to the best of the others at "
            f"about equal MACs, by up to {format_points(most.loss)} on test."
        )
    if worse:
        return (
            f"Scaling one dimension alone is shown to be worse for {len(worse)} of {len(judged)} here, by up to "
            f"{format_points(most.loss)} on test; for the others these images and seeds are not enough to decide."
        )
    return (
        "These images and seeds do not show that scaling one dimension alone is worse: the largest loss on test is "
        f"{format_points(most.loss)}, and its interval contains zero."
    )
