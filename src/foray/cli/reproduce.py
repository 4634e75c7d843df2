"""`foray reproduce [NAMES...]`: every claim of the study, run and judged."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from pathlib import Path
from shutil import get_terminal_size
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from foray.cli import options
from foray.cli.verb import with_groups
from foray.errors import ForayError
from foray.limits import MOST_SEEDS
from foray.regular_files import is_there

if TYPE_CHECKING:
    from foray.records.reproduction import Reproduction

# Repeated from foray.records.reproduction, whose import costs too much for --help; a test holds them together.
Scale = Literal["full", "reduced", "mini"]

_WHY_WIDTH = 150  # characters, two lines of 80 columns; the page has the full sentence


@with_groups
def reproduce(
    *,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAMES]...",
            show_default=False,
            help="table1, mobilenet, figure1, comparison, scaling, analysis, related, claims of --list; default: all.",
        ),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the claims and what each needs; run nothing.")] = False,
    scale: Annotated[
        Scale,
        typer.Option(
            help="full: the study's protocol; reduced: two hours per run on two cores at most, with each difference "
            "named; mini: minutes, with numbers that say nothing about the study."
        ),
    ] = "reduced",
    results: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Judge the results in DIR and write the page; run nothing."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for runs, results and the page.")] = Path(
        "reproduction"
    ),
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="DIR", help="Images: one folder per data set, named as in --list."),
    ] = None,
    weights: options.WeightsFrom = None,
    offline: options.Offline = False,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_SEEDS, metavar="N", help="Trainings of each experiment [default: one; three for scaling]."
        ),
    ] = None,
    machine: options.MachineOptions,
) -> None:
    """Reproduce the study foray comes from, claim by claim, with a verdict on each.

    The same command continues an interrupted run; under torchrun, each run is distributed over processes.
    """
    if listing:
        _list(names or [], scale, seeds, data_dir, offline, machine)
        return
    if results is not None:
        from foray.reproduce.reproduce import rewrite

        found = rewrite(results, out, names or [])
        _print(found, out)
        return
    if data_dir is not None and not (is_there(data_dir) and data_dir.is_dir()):
        raise ForayError(f"--data-dir {data_dir} is not a folder.")
    options.prepare_threads(machine.threads)
    from foray.cli.progress import progress_of
    from foray.processes import joined_processes
    from foray.reproduce.execute import StudyRequest
    from foray.reproduce.reproduce import reproduce as run

    command = shlex.join(["foray", *sys.argv[1:]])
    request = StudyRequest(tuple(names or ()), scale, data_dir, weights, offline, seeds)
    with joined_processes(machine.device) as processes, progress_of(processes) as progress:
        found = run(request, out, machine.request(processes), command=command, progress=progress)
    if processes.is_writer:
        _print(found, out)


def _list(
    names: list[str],
    scale: Scale,
    seeds: int | None,
    data_dir: Path | None,
    offline: bool,
    machine: options.MachineOptions,
) -> None:
    from foray.cli.tables import print_table
    from foray.reproduce.all_claims import claims_named, roles_of
    from foray.reproduce.experiments import TIMES_ROLES, experiments_at
    from foray.reproduce.sources import where_is

    claims = claims_named(names)
    for claim in claims:
        _print_claim(claim.id, claim.statement)
    experiments = experiments_at(scale, roles_of(claims), seeds)
    cache, offline = machine.request().cache, offline or scale == "mini"
    print(f"\n{len(claims)} claims need {len(experiments)} experiments at scale {scale}:\n")
    print_table(
        ["experiment", "network", "images", "px", "epochs", "seeds"],
        [
            [
                one.role,
                one.model,
                one.source,
                str(one.resolution or "own"),
                str(recipe.epochs) if (recipe := one.resolved()) else "-",
                str(len(one.seeds)) if recipe else "-",
            ]
            for one in experiments
        ],
        words=["network", "images"],
    )
    print()
    sources = dict.fromkeys(one.source for one in experiments)
    print_table(
        ["images", "where"],
        [[name, where_is(name, data_dir, cache, offline=offline)] for name in sources],
        words=["where"],
    )
    timed = [role for role in TIMES_ROLES if role in roles_of(claims)]
    if timed and scale != "reduced":
        print(f"\nNetworks timed in turns, on random pixels: {', '.join(timed)}.")
    if scale == "full":
        print("\nTo train whole networks on the 8 GPUs of a machine:")
        print("  torchrun --nproc-per-node 8 -m foray reproduce table1 --scale full --data-dir DIR --weights hub")


def _print(found: Reproduction, out: Path) -> None:
    from foray.cli.terminal import say
    from foray.reproduce.verdict_words import VERDICT_WORDS

    if found.mini:
        print("Mini: a few images and two epochs, whose numbers say nothing about the study.\n")
    for one in found.results:
        _print_claim(f"{one.claim}: {one.verdict}", shorten(one.sentence, _WHY_WIDTH, placeholder=" ..."))
    counts = Counter(one.verdict for one in found.results)
    print()
    for verdict in VERDICT_WORDS:
        if counts[verdict]:
            print(f"{counts[verdict]:4} {verdict}")
    say(f"Page: {out / 'reproduction.html'}")


def _print_claim(first: str, words: str) -> None:
    """A line, and below it, indented, `words` in lines that fit the terminal."""
    from foray.cli.terminal import say

    say(first)
    for line in wrap(words, get_terminal_size().columns, initial_indent="    ", subsequent_indent="    "):
        say(line)
