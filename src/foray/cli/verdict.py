"""The end of a comparison on stdout: the verdict and a row a model."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from foray.cli.tables import interval, percent, print_table
from foray.plain_text import one_line
from foray.records import COSTS, CandidateResult, Comparison, Preference
from foray.report.status import status_of

_SPLITS = {"out_of_fold": "out of\nfold", "val_crossfit": "val"}


def print_comparison(comparison: Comparison) -> None:
    """The verdict with what to beware of, then the models: the most accurate on the selection split first.

    A row: accuracy on the selection split and on test with its 95 % interval, costs, standing. Those out come last.
    """
    console = Console(highlight=False)
    console.print(Text(one_line(comparison.decision.sentence)))
    for caution in comparison.cautions:
        console.print(Text(one_line(f"Caution: {caution}")))
    print()
    split = comparison.decision.selection_split
    ranked = sorted(
        comparison.candidates,
        key=lambda candidate: -(candidate.selection.value if candidate.selection else -1.0),
    )
    print_table(
        [
            "model",
            f"{_SPLITS.get(split, split)} %",
            "test %",
            "95 %",
            "p50 ms",
            COSTS[_other_cost(comparison)].name,
            "standing",
        ],
        [_row(comparison, candidate) for candidate in ranked],
        words=["standing"],
    )
    if any(_is_unsteady(candidate) for candidate in ranked):
        print("* This latency was not steady: it decides nothing.")
    if split == "val_crossfit":
        print("val %: cross-fitted; the epoch chosen on one half of val predicts the other.")


def _row(comparison: Comparison, candidate: CandidateResult) -> list[str]:
    cost, other = candidate.cost, candidate.cost.cost(_other_cost(comparison))
    return [
        candidate.model,
        percent(candidate.selection.value) if candidate.selection else "-",
        percent(candidate.test.value) if candidate.test else "-",
        interval(candidate.test) if candidate.test else "-",
        "-" if cost.latency_p50_ms is None else f"{cost.latency_p50_ms:.1f}{'*' if _is_unsteady(candidate) else ''}",
        "-" if other is None else COSTS[_other_cost(comparison)].write(other),
        status_of(candidate, comparison.decision).label,
    ]


def _other_cost(comparison: Comparison) -> Preference:
    """The cost that stands beside latency: the one that decides, else MACs. All of them are in the report."""
    prefer = comparison.decision.prefer
    return "macs" if prefer == "latency" else prefer


def _is_unsteady(candidate: CandidateResult) -> bool:
    return candidate.cost.latency_p50_ms is not None and not candidate.cost.latency_is_steady
