"""`foray report`: the report of a comparison, written again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", show_default=False, help="Folder of a comparison (its --out).")
    ],
) -> None:
    """Write report.html, table.md, table.csv and figures of a finished comparison again."""
    from foray.cli.terminal import complain, say
    from foray.cli.verdict import print_comparison
    from foray.records import Comparison
    from foray.report import write_report
    from foray.report.comparison_folder import COMPARISON, as_settled, settlement_of

    path = write_report(folder)
    comparison = Comparison.load(folder / COMPARISON)
    comparison = as_settled(comparison, settlement_of(folder, comparison))
    print_comparison(comparison)
    print()
    say(f"Report: {path}")
    complain(
        f"Decided on {comparison.created[:10]}. The same foray compare command decides again and trains nothing twice."
    )
