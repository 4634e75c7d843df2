"""`foray certify`: whether an exported file is as accurate as the network it came from, on these images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from foray.cli import options
from foray.cli.verb import with_groups

if TYPE_CHECKING:
    from foray.records import Certificate

FAILED = 3  # exit status


@with_groups
def certify(
    *,
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", show_default=False, help="Folder of an exported artifact.")
    ],
    data: options.OptionalData = None,
    images: options.Unlabelled = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="With --images: labels.csv, of images that differ."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="RUN", help="Needed, or --weights: the run it was exported from, the float32 reference."
        ),
    ] = None,
    weights: options.WeightsFrom = None,
    tolerance: Annotated[str, typer.Option(metavar="1pt", help="Largest loss of accuracy allowed, in points.")] = "1pt",
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Split to score.")] = "test",
    as_json: options.AsJson = False,
    source: options.SourceOptions,
    machine: options.CpuOptions,
) -> None:
    """Score an exported file on your images against float32, and write the certificate beside it.

    With --images instead of DATA the images need no labels, or only those on which the file and float32 differ.
    Exit status 0: it passes, or the images are too few to decide; 3: it fails.
    """
    from foray.records.quantities import parse_points

    points = parse_points(tolerance, "--tolerance")
    options.prepare_threads(machine.threads)
    from foray.cli.certificate import print_certificate
    from foray.cli.progress import terminal_progress
    from foray.settling import certify as certify_file

    with terminal_progress() as progress:
        certificate = certify_file(
            artifact, data, run=run, weights=weights, images=images, labels=labels, tolerance=points, split=split,
            fold=source.fold, data_dir=source.data_dir, offline=source.offline, threads=machine.threads,
            workers=machine.workers, cache_dir=machine.cache_dir, progress=progress,
        )  # fmt: skip
    if as_json:
        print(certificate.model_dump_json(indent=1))
    else:
        print_certificate(certificate)
        say_what_is_next(artifact, certificate, run, images)
    if certificate.verdict == "fail":
        raise typer.Exit(FAILED)


def say_what_is_next(artifact: Path, certificate: Certificate, run: Path | None, images: Path | None) -> None:
    """Where labels of images that differ would decide: where to give them, and the command that reads them."""
    from foray.cli.terminal import command_lines, say
    from foray.data.dataset import counted
    from foray.settling.flip_question import certify_command
    from foray.settling.plan import LABELS
    from foray.settling.shipped_file import label_page_of

    page = label_page_of(artifact, certificate)
    if page is None or certificate.unlabelled is None or images is None:
        return
    todo = certificate.unlabelled.flips - certificate.unlabelled.seen
    labels = str(page.with_name(LABELS))
    print()
    say(f"{counted(todo, 'image')} that {'differs has' if todo == 1 else 'differ have'} no label yet. Open")
    say(f"  {page}")
    say("and download labels.csv from it, or fill in, in its order,")
    say(f"  {labels}")
    say("Then run this, with the path of your file:")
    for line in command_lines(certify_command(str(artifact), str(run), str(images), labels, certificate.tolerance)):
        say(line)
