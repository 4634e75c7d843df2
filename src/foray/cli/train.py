"""`foray train`: one model on one data set; `--resume` continues an interrupted run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foray.cli import options
from foray.cli.resuming import begin_again, said_how_to_go_on
from foray.cli.verb import with_groups
from foray.errors import ForayError


@with_groups
def train(
    *,
    ctx: typer.Context,
    data: options.OptionalData = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="A model of `foray models`.")
    ] = None,
    protocol: Annotated[options.Protocol, typer.Option(help="Training protocol.")] = "finetune",
    training: options.TrainingOptions,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of initialisation, order, augmentation.")] = 0,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Float32 and deterministic algorithms: bitwise reproducible.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the run.")] = Path("runs"),
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Continue the run in DIR, given to --out before; no other argument is needed."
        ),
    ] = None,
    source: options.TrainingSourceOptions,
    machine: options.MachineOptions,
) -> None:
    """Train one model on your images and score it on the test split."""
    if resume is not None:
        given = {name: value for name, value in ctx.params.items() if name != "resume" and _is_given(ctx, name)}
        begin_again(resume, given)
        return
    if data is None or model is None:
        raise ForayError(
            "Name the images and the model: foray train DATA --model NAME --weights hub (or --protocol scratch "
            "without --weights). Or a run to continue: --resume DIR."
        )
    options.prepare_threads(machine.threads)
    from foray.cli.progress import progress_of
    from foray.cli.tables import print_run
    from foray.processes import joined_processes
    from foray.runs import train as train_model

    with said_how_to_go_on(), joined_processes(machine.device) as processes, progress_of(processes) as progress:
        record = train_model(
            source.request(data), model, training.request(protocol), machine.request(processes), out=out, seed=seed,
            deterministic=deterministic, progress=progress,
        )  # fmt: skip
    if processes.is_writer:
        print_run(record, out / record.run_id, data)


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
