"""`foray compare`: which of the given models to ship."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from foray.cli import options
from foray.errors import NotSteadyError
from foray.limits import MOST_SEEDS


def compare(
    data: options.Data,
    models: Annotated[
        str,
        typer.Option("--models", metavar="NAME,NAME", show_default=False, help="Models, as `foray models` lists them."),
    ],
    protocol: Annotated[options.Protocol, typer.Option(help="How the models are trained.")] = "linear",
    weights: options.WeightsFrom = None,
    epochs: options.Epochs = None,
    unfreeze: options.Unfreeze = None,
    recipe: options.RecipeFile = None,
    changes: options.Changes = None,
    resolution: options.Resolution = None,
    max_params: options.MaxParams = None,
    max_macs: options.MaxMacs = None,
    max_latency: options.MaxLatency = None,
    max_memory: options.MaxMemory = None,
    max_file: options.MaxFile = None,
    tolerance: Annotated[
        str, typer.Option(metavar="1pt", help="Accuracy, in points, that you would trade for a lower cost.")
    ] = "1pt",
    prefer: Annotated[
        options.Preference, typer.Option(help="The cost that decides between equally accurate models.")
    ] = "latency",
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_SEEDS, metavar="N", help="Runs per model, seeds 0 to N-1 (default: 3 for linear, else 1)."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for runs and report.")] = Path("out"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, time, disk and downloads; train nothing.")
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
    fold: options.Fold = None,
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    skip_unreadable: options.SkipUnreadable = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    wait: options.Wait = options.WAIT_SECONDS,
    workers: options.Workers = None,
    cache_dir: options.CacheDir = None,
) -> None:
    """Train and measure models on your images; say which to ship, and how certain that is.

    Exit status: 0 a verdict; 1 no model keeps the budget, or none could be trained; 2 wrong
    arguments or data; 4 not known, because it depends on a latency that was not steady: the same command measures again
    and trains nothing twice.
    """
    from foray.records.quantities import parse_points
    from foray.specs import split_names

    budget = options.budget(max_params, max_macs, max_latency, max_memory, max_file)
    points = parse_points(tolerance, "--tolerance")
    names = split_names(models)
    own_recipe = options.read_recipe_file(recipe, epochs, unfreeze)

    options.prepare_threads(threads)
    from foray.cli.progress import terminal_progress
    from foray.cli.tables import print_rows
    from foray.cli.verdict import print_comparison, print_next_steps
    from foray.comparison import compare as run_comparison
    from foray.comparison import missing_downloads, plan_comparison

    with terminal_progress() as progress:
        if dry_run:
            wanted = None if protocol == "scratch" else weights  # the plan refuses weights there
            missing = missing_downloads(data, names, weights=wanted, data_dir=data_dir, cache_dir=cache_dir)
            if missing and not offline:
                print_rows([*missing, ("time and disk", "are known after these downloads; nothing was downloaded")])
                return
            plan = plan_comparison(
                data, names, protocol, recipe=own_recipe, weights=weights, epochs=epochs, unfreeze=unfreeze,
                changes=changes or (), resolution=resolution, budget=budget, tolerance=points, prefer=prefer,
                seeds=seeds, fold=fold, data_dir=data_dir, offline=offline, cache_dir=cache_dir,
                profiles=profiles, runtime=runtime, precision=precision, threads=threads, progress=progress,
            )  # fmt: skip
            print_rows(plan.describe(cache_dir))
            return
        comparison = run_comparison(
            data, names, protocol, recipe=own_recipe, weights=weights, epochs=epochs, unfreeze=unfreeze,
            changes=changes or (), resolution=resolution, budget=budget, tolerance=points, prefer=prefer, seeds=seeds,
            out=out, fold=fold, data_dir=data_dir, offline=offline, cache_dir=cache_dir, profiles=profiles,
            runtime=runtime, precision=precision, skip_unreadable=skip_unreadable, device=device, workers=workers,
            threads=threads, wait_seconds=wait, command=shlex.join(["foray", *sys.argv[1:]]), progress=progress,
        )  # fmt: skip
    print_comparison(comparison)
    print()
    images = [data, *(["--fold", str(fold)] if fold is not None else [])]
    print_next_steps(comparison, out, [*images, *(["--data-dir", str(data_dir)] if data_dir is not None else [])])
    if comparison.decision.outcome == "not_known":
        raise typer.Exit(NotSteadyError.exit_status)
    if comparison.decision.pick is None:
        raise typer.Exit(1)
