"""The end of a comparison on stdout: the verdict, one row per model, and the commands for what comes next."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from foray.cli.tables import print_table
from foray.cli.terminal import say
from foray.decision import awaits_labels, details, headline
from foray.deploy.bench import PRECISIONS
from foray.plain_text import one_line
from foray.records import COSTS, CandidateResult, Comparison, CostProfile, Preference
from foray.records.quantities import format_interval, percent_number
from foray.report.status import status_of

_WIDTH = 80  # characters
_SPLITS = {"out_of_fold": "out of\nfold", "val_crossfit": "val"}


def print_comparison(comparison: Comparison) -> None:
    """The verdict and its cautions, then the models, the most accurate on the selection split first.

    A row: accuracy on the selection split and on test with its 95 % interval, costs, status. Excluded models come last.
    """
    decision = comparison.decision
    for sentence in (f"{headline(decision)}.", details(decision), *(f"Caution: {one}" for one in comparison.cautions)):
        print(textwrap.fill(one_line(sentence), _WIDTH))
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
            "status",
        ],
        [_row(comparison, candidate) for candidate in ranked],
        words=["status"],
    )
    if any(_is_unsteady(candidate) for candidate in ranked):
        print("* This latency was not steady, so nothing was decided by it.")
    if split == "val_crossfit":
        print("val %: cross-fitted, each half of val at the epoch that the other half chose.")


def print_next_steps(comparison: Comparison, out: Path, data: Sequence[str]) -> None:
    """Where the report is; how to settle what is open; the run of the pick (its first seed) and the command that
    exports and certifies it.

    `data`: the arguments that name the images.
    """
    say(f"Report: {out / 'report.html'}")
    if awaits_labels(comparison.decision):
        say("Labels of new images on which the models differ may settle it:")
        say(f"  foray settle {shlex.quote(str(out))} --images DIR")
    for row in comparison.candidates:
        if row.model == comparison.decision.pick and row.run_ids:
            run = out / "runs" / row.run_ids[0]
            say(f"Run of {row.model}: {run}")
            say(f"  foray export {shlex.join([str(run), *_target(row.cost), '--data', *data])}")


def _target(cost: CostProfile) -> list[str]:
    """What `foray export` is asked for: the runtime and precision that were timed, its default for PyTorch."""
    if cost.runtime == "torch":
        return []
    precision = next(name for name, of_file in PRECISIONS.items() if of_file == cost.precision)
    return ["--to", cost.runtime, "--precision", precision]


def _row(comparison: Comparison, candidate: CandidateResult) -> list[str]:
    cost, other = candidate.cost, candidate.cost.cost(_other_cost(comparison))
    return [
        candidate.model,
        percent_number(candidate.selection.value if candidate.selection else None),
        percent_number(candidate.test.value if candidate.test else None),
        format_interval(candidate.test) if candidate.test else "-",
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
