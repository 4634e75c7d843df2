"""`foray settle`: what a comparison left open, decided by labels of the new images on which its models differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foray.cli import options
from foray.cli.verb import with_groups


@with_groups
def settle(
    *,
    out: Annotated[Path, typer.Argument(metavar="OUT", show_default=False, help="Folder of a comparison (its --out).")],
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", metavar="DIR", help="New images without labels, like those of use: a folder or an archive."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", metavar="FILE", help="labels.csv, as label.html writes it or filled in by hand."),
    ] = None,
    as_json: options.AsJson = False,
    machine: options.MachineOptions,
) -> None:
    """Settle what a comparison left open, by labelling only new images on which its models differ.

    First --images finds these and writes OUT/settle/label.html and labels.csv. Label them in either, in the order that
    is given; then --labels decides anew and writes the report again. The tolerance is that of the comparison.
    """
    from foray.errors import ForayError

    if (images is None) == (labels is None):
        raise ForayError(
            "Give --images DIR to find the new images that need a label, or --labels FILE to decide by their labels."
        )
    options.prepare_threads(machine.threads)
    from foray.cli.progress import terminal_progress
    from foray.cli.settlement import print_plan, print_settlement
    from foray.settling.settle_comparison import ask, read

    if labels is not None:
        settlement = read(out, labels)
    else:
        assert images is not None
        with terminal_progress() as progress:
            plan, without_labels = ask(out, images, machine.request(), progress=progress)
        if without_labels is None or not without_labels.is_done:
            if as_json:
                print(plan.model_dump_json(indent=1))
            else:
                print_plan(plan, out, without_labels)
            return
        settlement = without_labels
    if as_json:
        print(settlement.model_dump_json(indent=1))
    else:
        print_settlement(settlement, out)
