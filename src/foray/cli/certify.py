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
    from foray.records import ArtifactRecord
    from foray.requests import Machine
    from foray.runs.held_out import HeldOut

FAILED = 3  # exit status


@with_groups
def certify(
    *,
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", show_default=False, help="Folder of an exported artifact.")
    ],
    data: options.Data,
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

    Exit status 0: it passes, or the images are too few to decide; 3: it fails.
    """
    from foray.errors import ForayError
    from foray.records import ArtifactRecord
    from foray.records.quantities import parse_points

    points = parse_points(tolerance, "--tolerance")
    record = ArtifactRecord.load(artifact / "artifact.json")
    if (run is None) == (weights is None):
        raise ForayError(
            f"Name what {artifact} was exported from: --run RUN, or --weights for published weights as they are."
        )
    options.prepare_threads(machine.threads)
    from foray.cli.certificate import print_certificate
    from foray.cli.progress import terminal_progress
    from foray.export.certify import certify as certify_artifact
    from foray.export.reference import reference_of_run
    from foray.runs.held_out import fold_for, held_out, without_run

    wanted, where = source.request(data), machine.request()
    wanted = replace(wanted, fold=fold_for(data, record.run.dataset, record.run.fold, source.fold))
    with terminal_progress() as progress:
        given = wanted.open_given(where.cache, progress)
        if run is not None:
            images = held_out(run, given, split, cache_dir=where.cache, progress=progress)
            reference = reference_of_run(run, images, where, progress=progress)
        else:
            assert weights is not None
            images = without_run(given, split)
            reference = _of_weights(artifact, record, weights, images, where, source.offline, progress)
        certificate = certify_artifact(
            artifact, images, reference, tolerance=points, threads=machine.threads, progress=progress
        )
    if as_json:
        print(certificate.model_dump_json(indent=1))
    else:
        print_certificate(certificate)
    if certificate.verdict == "fail":
        raise typer.Exit(FAILED)


def _of_weights(
    artifact: Path,
    record: ArtifactRecord,
    weights: str,
    images: HeldOut,
    machine: Machine,
    offline: bool,
    progress: Progress,
) -> Reference:
    from foray.deploy import ArtifactError, open_artifact
    from foray.errors import ForayError
    from foray.export.reference import reference_of_weights

    try:
        labels = open_artifact(artifact).labels
    except ArtifactError as error:
        raise ForayError(str(error)) from error
    return reference_of_weights(record, weights, labels, images, machine, offline=offline, progress=progress)
