"""`foray scale --search DATA` on stdout: the grid, the best direction, the claim about one dimension."""

from __future__ import annotations

import textwrap
from pathlib import Path

from foray.cli.tables import print_rows, print_table
from foray.cli.terminal import say, with_options
from foray.plain_text import one_line
from foray.records import ScaledCandidate, ScalingSearch
from foray.records.quantities import format_about, format_count, format_interval, format_points, percent_number
from foray.records.split_names import format_split
from foray.scaling.search_plan import SearchPlan


def print_search_plan(plan: SearchPlan) -> None:
    """What would be trained, for --dry-run."""
    info = plan.dataset.info()
    counts = ", ".join(f"{split} {n:,}" for split, n in info.counts.items())
    print_rows(
        [
            ("data", f"{info.name}: {len(info.classes)} classes, {counts} images"),
            ("recipe", f"{plan.recipe.protocol}, {plan.recipe.epochs} epochs, batch {plan.recipe.batch_size}"),
            ("proxy", plan.proxy.name),
            *(("twice its MACs", spec.name) for spec in plan.networks),
            ("runs", f"{len(plan.specs()) * len(plan.seeds)} (seeds {', '.join(map(str, plan.seeds))})"),
        ]
    )


def print_search(search: ScalingSearch, out: Path, picture: Path) -> None:
    """The grid, the most accurate first, the verdict, and the path of the figure."""
    rows = sorted(search.candidates, key=lambda row: -(row.val.value if row.val else -1.0))
    first = next((row.val for row in rows if row.val), None)
    split = format_split(search.selection_split)
    say(f"{search.dataset.name}, {split}: n = {first.n if first else 0:,}, {len(search.seeds)} seeds")
    print_table(
        ["depth", "width", "side", "MACs", "x", "val %", "95 %", "sd", "scaled"],
        [_row(search, row) for row in rows],
        words=["scaled"],
    )
    print("\nMultipliers against the proxy, as built. x: of MACs. sd: over seeds.")
    print("* nearest to 1.2, 1.1, 1.15, the coefficients of Tan & Le.")
    print(f"\n{textwrap.fill(one_line(search.sentence), 80)}")
    for caution in search.cautions:
        print(textwrap.fill(one_line(f"Caution: {caution}"), 80))
    for loss in search.one_dimension:
        status = "worse" if loss.status == "worse" else "not shown to be worse"
        needed = f"; about {format_about(loss.images_needed)} in total would tell" if loss.images_needed else ""
        bounds = f"{100 * loss.lower:.1f} to {100 * loss.upper:.1f}, n = {loss.n:,}"
        said = f"loses {format_points(loss.loss)} on test ({bounds}){needed}"
        print(f"  {loss.candidate}: {status}")
        print(textwrap.fill(said, 80, initial_indent="    ", subsequent_indent="    "))
    if search.best:
        best = search.candidate(search.best)
        print(f"\nMost accurate on {split}: {best.model}")
        if search.alike:
            print(f"  (these images cannot distinguish it from {len(search.alike)} others)")
        print(f"  foray scale {search.family} --max-macs 600M --alpha {best.depth:.2f} \\")
        print(f"      --beta {best.width:.2f} --gamma {best.resolution:.2f}")
    print()
    say(f"Figure: {picture}")
    say(f"Results: {out / 'scaling_search.json'}")


def _row(search: ScalingSearch, row: ScaledCandidate) -> list[str]:
    scaled = row.kind + (", best" if row.model == search.best else "") + (" *" if row.published else "")
    return [
        f"{row.depth:.2f}", f"{row.width:.2f}", f"{row.resolution:.2f}", format_count(row.macs), f"{row.work:.2f}",
        percent_number(row.val.value if row.val else None), format_interval(row.val) if row.val else "-",
        percent_number(row.val_sd), with_options(row.failure) if row.failure else scaled,
    ]  # fmt: skip
