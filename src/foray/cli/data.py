"""`foray data inspect`: the contents of a data set, before anything is trained on it."""

from __future__ import annotations

import typer

from foray.cli import options
from foray.cli.verb import Verb

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Inspect data sets.")


@app.callback()
def _data() -> None:
    pass


@app.command("inspect", cls=Verb)
def inspect(
    data: options.Data,
    as_json: options.AsJson = False,
    fold: options.Fold = None,
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    cache_dir: options.CacheDir = None,
) -> None:
    """Show counts, sizes, imbalance and licence; name unreadable files and duplicates."""
    from foray.cli.audit import print_audit
    from foray.cli.progress import terminal_progress
    from foray.data import inspect_dataset, open_dataset

    with terminal_progress() as progress:
        dataset = open_dataset(
            data, fold=fold, data_dir=data_dir, offline=offline, cache_dir=cache_dir, progress=progress
        )
        audit = inspect_dataset(dataset, cache_dir=cache_dir, progress=progress)
    print(audit.model_dump_json(indent=1)) if as_json else print_audit(audit)
