"""`foray evaluate`: the accuracy of a run on one split of a data set, or of pretrained weights on ImageNet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from foray.cli import options
from foray.cli.verb import with_groups
from foray.errors import ForayError


@with_groups
def evaluate(
    *,
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] DATA",
            show_default=False,
            help="Folder of a finished run, and images as for train; with --model only the images: imagenet.",
        ),
    ],
    split: Annotated[
        Literal["train", "val", "test"],
        typer.Option(
            help="Split to score. Data without splits is all test; images that the run was fitted to are left out."
        ),
    ] = "test",
    model: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Score this model's pretrained --weights.")
    ] = None,
    weights: options.WeightsFrom = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="With --model: folder for predictions, from which an interrupted evaluation continues."
        ),
    ] = Path("evaluations"),
    skip_unreadable: options.SkipUnreadable = False,
    as_json: options.AsJson = False,
    source: options.SourceOptions,
    machine: options.MachineOptions,
) -> None:
    """Score a trained run: accuracy with its interval, per class, and the most frequent confusions.

    Or score published weights: foray evaluate --model NAME --weights DIR imagenet --data-dir DIR
    """
    options.prepare_threads(machine.threads)
    from foray.cli.progress import terminal_progress

    if model is not None or weights is not None:
        if model is None or weights is None or what != ["imagenet"]:
            raise ForayError(
                "Pretrained weights are scored with foray evaluate --model NAME --weights DIR imagenet --data-dir DIR."
            )
        from foray.cli.tables import print_pretrained
        from foray.evaluation.imagenet import evaluate_pretrained

        with terminal_progress() as progress:
            images = replace(source.request("imagenet"), skip_unreadable=skip_unreadable)
            record, folder = evaluate_pretrained(model, weights, images, machine.request(), out=out, progress=progress)
        if as_json:
            print(record.model_dump_json(indent=1))
        else:
            print_pretrained(record, folder)
        return
    if len(what) != 2:
        raise ForayError("Name a run and the images to score it on: foray evaluate RUN DATA.")
    from foray.cli.tables import print_metrics
    from foray.runs import evaluate as evaluate_run

    run, data = what
    with terminal_progress() as progress:
        metrics = evaluate_run(run, source.request(data), split, machine.request(), progress=progress)
    if as_json:
        print(metrics.model_dump_json(indent=1))
    else:
        print_metrics(metrics)
