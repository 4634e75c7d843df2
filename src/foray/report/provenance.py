"""Where the numbers come from, as (term, text): the decision, the recipe, the data, the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from foray.decision import awaits_labels
from foray.records import COSTS, Comparison, Decision, Estimate
from foray.records.quantities import format_confidence, format_points, format_seconds
from foray.records.split_names import format_split
from foray.report.candidate_table import NOT_MEASURED
from foray.report.comparison_folder import ComparisonFolder, Entrant
from foray.report.status import (
    describe_bound,
    describe_unsteady,
    explain_split,
    status_of,
)

Fact = tuple[str, str]  # term, text


_TO_SETTLE = ("Still open", "labels of new images on which the models differ may settle it (foray settle)")


def decision_facts(comparison: Comparison) -> list[Fact]:
    """What the verdict is based on."""
    decision = comparison.decision
    split = decision.selection_split
    seeds = ", ".join(map(str, comparison.seeds))
    bounds = [(COSTS[key], limit) for key, limit in comparison.budget.stated().items()]
    budget = ", ".join(f"{cost.name} ≤ {cost.write(limit)}" for cost, limit in bounds)
    selection = _images([candidate.selection for candidate in comparison.candidates])
    test = _images([candidate.test for candidate in comparison.candidates])
    return [
        ("Decided on", "; ".join(filter(None, [f"{format_split(split)}{selection}", explain_split(split)]))),
        ("Test", f"test{test}; read once, after the decision, and selects nothing"),
        ("Seeds", f"{len(comparison.seeds)} ({seeds})"),
        (
            "Tolerance",
            f"{format_points(decision.tolerance)} of accuracy: the most that the pick may lose against any other "
            f"model, by the upper bound of its paired loss; {_error(decision)}",
        ),
        ("Cheaper means", COSTS[decision.prefer].less),
        ("Budget", budget or "none stated"),
        *([_TO_SETTLE] if awaits_labels(decision) and decision.settle_error is None else []),
    ]


def exclusion_facts(comparison: Comparison) -> list[Fact]:
    """Every excluded candidate with the bounds it breaks or its failure, and those not trained yet."""
    excluded = []
    for candidate in comparison.candidates:
        reasons = [f"{_capital(describe_bound(bound, candidate.cost))}." for bound in candidate.broken_bounds]
        if candidate.failure is not None:
            reasons.insert(0, f"Failed: {candidate.failure}")
        elif status_of(candidate, comparison.decision).kind == "unknown" and candidate.selection is None:
            reasons.append(f"{_capital(describe_unsteady(candidate.cost))}. It may be over its bound.")
        if reasons:
            trained = "" if candidate.selection or candidate.failure else " It was not trained."
            excluded.append((candidate.model, " ".join(reasons) + trained))
    return excluded


def recipe_facts(recipe: Mapping[str, Any], prefix: str = "") -> list[Fact]:
    """The resolved recipe, one line per setting, nested names joined by dots."""
    facts: list[Fact] = []
    for name, value in recipe.items():
        if isinstance(value, Mapping):
            facts += recipe_facts(value, f"{prefix}{name}.")
        else:
            facts.append((f"{prefix}{name}", _plain(value)))
    return facts


def data_facts(comparison: Comparison) -> list[Fact]:
    """The data set, its splits and its licence."""
    data = comparison.dataset
    counts = ", ".join(f"{split} {count:,}" for split, count in data.counts.items())
    facts = [
        ("Name", data.name),
        ("Source", data.source),
        ("Images", f"{sum(data.counts.values()):,} ({counts})"),
        ("Classes", f"{len(data.classes)}"),
        ("Splits", data.split_origin),
        ("Licence", data.licence or "not stated"),
        ("Fingerprint", data.fingerprint),
    ]
    return facts if data.fold is None else [*facts, ("Fold", str(data.fold))]


def machine_facts(folder: ComparisonFolder) -> list[Fact]:
    """Hardware, versions, commit and time."""
    comparison = folder.comparison
    runs = [run.record for entrant in folder.entrants for run in entrant.runs]
    facts = [("Hardware", comparison.hardware.label()), ("System", comparison.hardware.system)]
    if runs:
        devices = ", ".join(dict.fromkeys(run.device for run in runs))
        threads = ", ".join(str(count) for count in dict.fromkeys(run.threads for run in runs))
        facts.append(("Training", f"on {devices}, {threads} threads"))
    for candidate in comparison.candidates:
        cost = candidate.cost
        if cost.hardware is not None and cost.hardware != comparison.hardware:
            fact = ("Costs measured on", f"{cost.device}: {cost.hardware.label()}")
            if fact not in facts:
                facts.append(fact)
    facts.append(("Versions", ", ".join(f"{name} {version}" for name, version in comparison.versions.items())))
    facts.append(("Commit", comparison.commit or "an installed package"))
    facts.append(("Created", comparison.created))
    if comparison.total_seconds is not None:
        facts.append(("Took", format_seconds(comparison.total_seconds)))
    return facts


def run_rows(entrants: Sequence[Entrant]) -> list[tuple[str, ...]]:
    """Per model: name, seeds, input, preprocessing, precision, feature engine, kept epochs."""
    rows: list[tuple[str, ...]] = []
    for entrant in entrants:
        if not entrant.runs:
            continue
        first, prepared = entrant.runs[0].record, entrant.runs[0].record.preprocessing
        small = "" if first.architecture.small_image == "none" else f", {first.architecture.small_image}"
        resized = "squashed to a square of" if prepared.resize == "squashed" else "short side"
        kept = [run.record.best_epoch for run in entrant.runs if run.record.best_epoch is not None]
        rows.append(
            (
                entrant.name,
                ", ".join(str(run.record.seed) for run in entrant.runs),
                f"{prepared.resolution} px{small}",
                f"{resized} {prepared.resize_side} px, {prepared.interpolation}, centre crop; "
                f"mean {_triple(prepared.mean)}, sd {_triple(prepared.std)}",
                _each(run.record.train_precision for run in entrant.runs),
                _each(run.record.feature_engine or NOT_MEASURED for run in entrant.runs),
                ", ".join(map(str, kept)) or NOT_MEASURED,
            )
        )
    return rows


def _each(values: Iterable[str]) -> str:
    """Those of all seeds, each once."""
    return ", ".join(dict.fromkeys(values))


def notes(folder: ComparisonFolder) -> list[str]:
    """The notes of the comparison, then those of the runs, each once."""
    found = list(folder.comparison.notes)
    for entrant in folder.entrants:
        found += [f"{entrant.name}: {note}" for run in entrant.runs for note in run.record.notes]
    return list(dict.fromkeys(found))


def _error(decision: Decision) -> str:
    """How often the tests pass a model that loses more."""
    if decision.settle_error is None:
        return f"the error rate of all tests together is {format_confidence(decision.error)}"
    steps = decision.error, decision.error_by_labels, decision.error + decision.error_by_labels
    compare, settle, both = map(format_confidence, steps)
    return f"the error rate is {compare} on these images and {settle} by labels of new images, {both} together"


def _images(estimates: Sequence[Estimate | None]) -> str:
    sizes = sorted({estimate.n for estimate in estimates if estimate is not None})
    return f", n = {' or '.join(f'{n:,}' for n in sizes)} images" if sizes else ""


def _triple(values: Sequence[float]) -> str:
    return " / ".join(f"{value:g}" for value in dict.fromkeys(values))


def _plain(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list | tuple):
        return " to ".join(map(str, value))
    return str(value)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
