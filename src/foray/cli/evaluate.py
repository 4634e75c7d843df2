"""`foray evaluate`: the accuracy of a run on one split of a data set."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from foray.cli import options


def evaluate(
    run: options.Run,
    data: options.Data,
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which images.")] = "test",
    as_json: options.AsJson = False,
    fold: options.Fold = None,
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    workers: options.Workers = None,
    cache_dir: options.CacheDir = None,
) -> None:
    """Score a trained run: accuracy with its interval, per class, and the confusions."""
    options.prepare_threads(threads)
    from foray.cli.progress import terminal_progress
    from foray.cli.tables import print_metrics
    from foray.training import evaluate as evaluate_run

    with terminal_progress() as progress:
        metrics = evaluate_run(
            run, data, split, fold=fold, data_dir=data_dir, offline=offline, device=device, workers=workers,
            cache_dir=cache_dir, progress=progress,
        )  # fmt: skip
    if as_json:
        print(metrics.model_dump_json(indent=1))
    else:
        print_metrics(metrics)
