"""`foray train`: one model on one data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foray.cli import options


def train(
    data: options.Data,
    model: Annotated[str, typer.Option(metavar="NAME", show_default=False, help="A model of `foray models`.")],
    protocol: Annotated[options.Protocol, typer.Option(help="How it is trained.")] = "finetune",
    weights: options.WeightsFrom = None,
    epochs: options.Epochs = None,
    unfreeze: options.Unfreeze = None,
    recipe: options.RecipeFile = None,
    changes: options.Changes = None,
    resolution: options.Resolution = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of initialisation, order, augmentation.")] = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the run's folder goes.")] = Path("runs"),
    fold: options.Fold = None,
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    skip_unreadable: options.SkipUnreadable = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    workers: options.Workers = None,
    cache_dir: options.CacheDir = None,
) -> None:
    """Train one model on your images and score it on the test split."""
    options.prepare_threads(threads)
    from foray.cli.progress import terminal_progress
    from foray.cli.tables import print_run
    from foray.training import train as train_model

    with terminal_progress() as progress:
        record = train_model(
            data, model, protocol, recipe=options.read_recipe_file(recipe, epochs, unfreeze), weights=weights,
            epochs=epochs, unfreeze=unfreeze, changes=changes or (), resolution=resolution, seed=seed, out=out,
            fold=fold, data_dir=data_dir, offline=offline, skip_unreadable=skip_unreadable, device=device,
            workers=workers, cache_dir=cache_dir, progress=progress,
        )  # fmt: skip
    print_run(record, out / record.run_id, data)
