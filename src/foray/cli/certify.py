"""`foray certify`: whether an exported file is as accurate as the network it came from, on these images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from foray.cli import options
from foray.cli.verb import with_groups

if TYPE_CHECKING:
    from foray.export.reference import Reference
    from foray.progress import Progress
    from foray.records import ArtifactRecord, Certificate
    from foray.requests import ImageSource, Machine
    from foray.runs.held_out import HeldOut

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
        Path | None, typer.Option("--run", metavar="RUN", help="The run it was exported from: the float32 reference.")
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
    from foray.shipping import require_one_source

    points = parse_points(tolerance, "--tolerance")
    require_one_source(artifact, data, images, labels, run, weights)
    options.prepare_threads(machine.threads)
    from foray.cli.certificate import print_certificate
    from foray.cli.progress import terminal_progress

    where = machine.request()
    with terminal_progress() as progress:
        if images is not None:
            assert run is not None
            certificate = _without_data(artifact, run, images, labels, points, where, progress)
        else:
            assert data is not None
            certificate = _with_data(artifact, run, weights, source.request(data), split, points, where, progress)
    if as_json:
        print(certificate.model_dump_json(indent=1))
    else:
        print_certificate(certificate)
        if images is not None:
            _say_what_next(artifact, certificate, run, images)
    if certificate.verdict == "fail":
        raise typer.Exit(FAILED)
