"""`foray train --resume DIR`: reads a run's arguments, checks those given against them, and continues the run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foray.cli import options
from foray.parsing import home_expanded
from foray.regular_files import is_there

if TYPE_CHECKING:
    from foray.records import RunRecord


def begin_again(folder: Path, given: Mapping[str, Any]) -> None:
    """Continues the run in `folder`. `given`: arguments beside --resume. Raises ForayError for those that differ."""
    from foray.records import RunFolder, find_run

    run = find_run(folder).path
    recorded = RunFolder(run).load()
    refuse_contradictions(run, recorded, given)
    options.prepare_threads(recorded.threads)
    from foray.cli.progress import progress_of
    from foray.cli.tables import print_run
    from foray.processes import joined_processes
    from foray.runs import resume

    kind = recorded.device.partition(":")[0]
    with said_how_to_go_on(), joined_processes(kind) as processes, progress_of(processes) as progress:
        record = resume(run, processes=processes, progress=progress)
    if processes.is_writer:
        print_run(record, run, recorded.inputs.data if recorded.inputs else "DATA")


def refuse_contradictions(run: Path, record: RunRecord, given: Mapping[str, Any]) -> None:
    """Raises ForayError for the first given argument whose value is not the run's own."""
    from foray.errors import ForayError
    from foray.recipes import changed
    from foray.recipes.toml import validated
    from foray.records import RunFolder, RunInputs

    recipe = validated(record.recipe, str(RunFolder(run).record))
    inputs = record.inputs or RunInputs(data=record.dataset.source)
    own: dict[str, Any] = inputs.model_dump() | {
        "model": record.architecture.requested,
        "protocol": recipe.protocol,
        "epochs": recipe.epochs,
        "unfreeze": recipe.unfreeze if recipe.protocol == "partial" else None,
        "seed": record.seed,
        "deterministic": record.deterministic,
        "device": record.device,
        "threads": record.threads,
        "recipe": recipe,
        "changes": recipe,
        "out": run.parent.absolute(),
    }
    for name, value in given.items():
        match name:
            case "recipe":
                value = options.read_recipe_file(value, None, None)
            case "changes":
                value = changed(recipe, value)
            case "out":
                value = value.absolute()
            case "data" | "weights" | "data_dir" | "cache_dir" if is_there(home_expanded(value)):
                value = own[name] if value == own[name] else str(home_expanded(value).absolute())
        if value != own[name]:
            argument = {"data": "DATA", "changes": "--set"}.get(name, "--" + name.replace("_", "-"))
            there = "" if name in ("recipe", "changes") else f", which has {own[name]}"
            raise ForayError(
                f"{argument} contradicts the run in {run}{there}. --resume reads everything from the run's folder: "
                f"leave {argument} out, or start a new run without --resume."
            )


@contextmanager
def said_how_to_go_on() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end with the command that continues, and exit status 130."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        folder: Path | None = getattr(interrupt, "folder", None)  # of foray.training.Interrupted
        if folder is None:
            raise
        what = (
            f"Interrupted {interrupt}. Everything before it is saved"
            if str(interrupt)
            else "Interrupted at once: steps since the last save are lost, earlier ones are saved"
        )
        print(
            f"\n{what}; continue with:\n  {_launcher()} train --resume {shlex.quote(str(_shortest(folder)))}",
            file=sys.stderr,
        )
        raise SystemExit(130) from None


def _launcher() -> str:
    """How foray was started: as one process, or by torchrun with several on one machine."""
    count = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return "foray" if count == "1" else f"torchrun --nproc-per-node {count} -m foray"


def _shortest(folder: Path) -> Path:
    """The folder given to --out where that names this run alone."""
    from foray.records import unfinished_runs

    return folder.parent if unfinished_runs(folder.parent) == [folder] else folder
