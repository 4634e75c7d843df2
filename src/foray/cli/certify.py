"""`foray certify`: whether an exported file is as good as the network it came from, on these images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from foray.cli import options

if TYPE_CHECKING:
    from foray.export.reference import Reference
    from foray.progress import Progress
    from foray.records import ArtifactRecord
    from foray.runs.held_out import HeldOut

FAILED = 3  # exit status


def certify(
    artifact: Annotated[
        Path, typer.Argument(metavar="ARTIFACT", show_default=False, help="Folder of an exported artifact.")
    ],
    data: options.Data,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="RUN", help="The run it was exported from: the float32 reference.")
    ] = None,
    weights: options.WeightsFrom = None,
    tolerance: Annotated[str, typer.Option(metavar="1pt", help="Loss of accuracy that is allowed, in points.")] = "1pt",
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which images.")] = "test",
    as_json: options.AsJson = False,
    fold: options.Fold = None,
    data_dir: options.DataDir = None,
    offline: options.Offline = False,
    threads: options.Threads = None,
    workers: options.Workers = None,
    cache_dir: options.CacheDir = None,
) -> None:
    """Score an exported file on your images against float32, and write the certificate beside it.

    Exit status 0: it passes, or the images are too few to tell; 3: it fails.
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
    options.prepare_threads(threads)
    from foray.cache_folder import cache_directory
    from foray.cli.certificate import print_certificate
    from foray.cli.progress import terminal_progress
    from foray.data.open import open_given
    from foray.export.certify import certify as certify_artifact
    from foray.runs.held_out import fold_for, held_out, without_run

    with terminal_progress() as progress:
        given = open_given(
            data, fold=fold_for(data, record.run.dataset, record.run.fold, fold), data_dir=data_dir, offline=offline,
            cache_dir=cache_dir, progress=progress,
        )  # fmt: skip
        if run is not None:
            images = held_out(run, given, split, cache_dir=cache_dir or cache_directory(), progress=progress)
        else:
            images = without_run(given, split)
        reference = _reference(artifact, record, run, weights, images, offline, workers, cache_dir, progress)
        certificate = certify_artifact(
            artifact, images.dataset, reference, split=split, tolerance=points, threads=threads,
            left_out=images.left_out, notes=images.notes, progress=progress,
        )  # fmt: skip
    if as_json:
        print(certificate.model_dump_json(indent=1))
    else:
        print_certificate(certificate)
    if certificate.verdict == "fail":
        raise typer.Exit(FAILED)


def _reference(
    artifact: Path,
    record: ArtifactRecord,
    run: Path | None,
    weights: str | None,
    images: HeldOut,
    offline: bool,
    workers: int | None,
    cache_dir: Path | None,
    progress: Progress,
) -> Reference:
    from foray.deploy import ArtifactError, open_artifact
    from foray.errors import ForayError
    from foray.export.reference import reference_of_run, reference_of_weights

    if run is not None:
        return reference_of_run(run, images, cache_dir=cache_dir, workers=workers, progress=progress)
    assert weights is not None
    try:
        labels = open_artifact(artifact).labels
    except ArtifactError as error:
        raise ForayError(str(error)) from error
    return reference_of_weights(
        weights, record, labels, images.dataset, images.split, offline=offline, cache_dir=cache_dir, workers=workers,
        progress=progress,
    )  # fmt: skip
