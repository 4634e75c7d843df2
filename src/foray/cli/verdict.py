"""The end of a comparison on stdout: the verdict and a row a model."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from foray.cli.tables import interval, percent, print_table
from foray.plain_text import one_line
from foray.records import CandidateResult, Comparison
from foray.records.quantities import format_count
from foray.report.standing import standing

_SPLITS = {"out_of_fold": "out of fold", "val_crossfit": "val"}


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
        ["model", f"{_SPLITS.get(split, split)} %", "test %", "95 %", "p50 ms", "MACs", "params", "standing"],
        [_row(comparison, candidate) for candidate in ranked],
        words=["standing"],
    )
    if split == "val_crossfit":
        print("val %: cross-fitted; the epoch chosen on one half of val predicts the other.")


def _row(comparison: Comparison, candidate: CandidateResult) -> list[str]:
    cost = candidate.cost
    return [
        candidate.model,
        percent(candidate.selection.value) if candidate.selection else "-",
        percent(candidate.test.value) if candidate.test else "-",
        interval(candidate.test) if candidate.test else "-",
        "-" if cost.latency_p50_ms is None else f"{cost.latency_p50_ms:.1f}",
        format_count(cost.macs),
        format_count(cost.params),
        standing(candidate, comparison.decision).label,
    ]
