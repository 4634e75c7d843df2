"""`foray compare`: which of the given models to ship."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from foray.cli import options
from foray.cli.verb import with_groups
from foray.errors import NotSteadyError
from foray.limits import MOST_SEEDS


@with_groups
def compare(
    *,
    data: options.Data,
    models: Annotated[
        str,
        typer.Option("--models", metavar="NAME,NAME", show_default=False, help="Models, as `foray models` lists them."),
    ],
    protocol: Annotated[options.Protocol, typer.Option(help="How the models are trained.")] = "linear",
    training: options.TrainingOptions,
    budget: options.FileBudgetOptions,
    tolerance: Annotated[
        str,
        typer.Option(
            metavar="1pt",
            help="Largest loss of accuracy against any other model that you accept, in percentage points.",
        ),
    ] = "1pt",
    prefer: Annotated[
        options.Preference, typer.Option(help="Of the models that pass, the cheapest by this cost is shipped.")
    ] = "latency",
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_SEEDS, metavar="N", help="Runs per model, seeds 0 to N-1 (default: 3 for linear, else 1)."
        ),
    ] = None,
    alone: Annotated[
        bool,
        typer.Option(
            "--alone",
            help="Allow 5 % wrong picks, not 2.5 %. Only if you will not run foray settle on this folder.",
        ),
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for runs and report.")] = Path("out"),
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Train nothing: list what must be downloaded; if nothing must, show the plan with time and disk use.",
        ),
    ] = False,
    profiles: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Costs measured on another device (device.json).")
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Measure costs on torch, onnx, openvino, litert or executorch; with --profiles: select among them.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Of --runtime: fp32 (default), fp16, bf16, int8."),
    ] = None,
    source: options.TrainingSourceOptions,
    machine: options.TimingOptions,
) -> None:
    """Train and measure models on your images; say which to ship, and how certain that is.

    Exit status: 0 a model to ship, or one for now; 1 no model keeps the budget, or none could be trained (or an
    unexpected error, with a traceback); 2 wrong arguments or data, or no memory or disk left; 4 not known, because it
    depends on a latency that was not steady: the same command measures again and trains nothing twice.
    """
    from foray.records.quantities import parse_points
    from foray.specs import split_names

    bounds, points, names = budget.request(), parse_points(tolerance, "--tolerance"), tuple(split_names(models))
    options.prepare_threads(machine.threads)
    from foray.cli.progress import terminal_progress
    from foray.cli.tables import print_rows
    from foray.cli.verdict import print_comparison, print_next_steps
    from foray.comparison import ComparisonRequest, CostRequest, missing_downloads, plan_comparison
    from foray.comparison import compare as run_comparison

    costs = CostRequest(profiles, runtime, precision, machine.wait)
    images, how = source.request(data), training.request(protocol)
    request = ComparisonRequest(images, names, how, bounds, points, prefer, seeds, costs, alone)
    where = machine.request()
    with terminal_progress() as progress:
        if dry_run:
            missing = missing_downloads(request, where.cache)
            if missing and not source.offline:
                print_rows([*missing, ("time and disk", "are known after these downloads; nothing was downloaded")])
            else:
                print_rows(plan_comparison(request, where, progress=progress).describe(where.cache))
            return
        command = shlex.join(["foray", *sys.argv[1:]])
        comparison = run_comparison(request, out, where, command=command, progress=progress)
    print_comparison(comparison)
    print()
    named = [data, *(["--fold", str(source.fold)] if source.fold is not None else [])]
    named += ["--data-dir", str(source.data_dir)] if source.data_dir is not None else []
    print_next_steps(comparison, out, named)
    if comparison.decision.outcome == "not_known":
        raise typer.Exit(NotSteadyError.exit_status)
    if comparison.decision.pick is None:
        raise typer.Exit(1)
