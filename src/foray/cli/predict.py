"""`foray predict`: the classes of images, by a run or by a file exported from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foray.cli import options
from foray.errors import ForayError
from foray.regular_files import is_there

if TYPE_CHECKING:
    from foray.deploy import Prediction
    from foray.progress import Progress


def predict(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|ARTIFACT", show_default=False, help="Folder of a finished run, or of an exported artifact."
        ),
    ],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", show_default=False, help="Image files, folders or patterns.")
    ],
    as_json: options.AsJson = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
    """Classify images with a trained run or an exported artifact: the most probable class of each, and the next ones.

    All images in a folder are classified. An unreadable image does not stop the others; the exit status is then 2. An
    artifact runs on the CPU by its own runtime; PyTorch is not needed then.
    """
    options.prepare_threads(threads)
    from foray.cli.progress import terminal_progress
    from foray.cli.tables import print_predictions
    from foray.cli.terminal import complain

    with terminal_progress() as progress:
        if is_there(run / "artifact.json"):
            predictions = _by_artifact(run, images, device, threads, progress)
        else:
            _require_run(run)
            from foray.runs import predict as predict_images

            predictions = predict_images(run, images, device=device, progress=progress)
    if as_json:
        print(json.dumps([asdict(prediction) for prediction in predictions], default=str, indent=1))
    elif readable := [prediction for prediction in predictions if not prediction.error]:
        print_predictions(readable)
    if unreadable := [prediction for prediction in predictions if prediction.error]:
        for prediction in unreadable:
            complain(f"foray: Cannot read the image {prediction.path}: {prediction.error}.")
        raise typer.Exit(2)


def _require_run(folder: Path) -> None:
    if not is_there(folder):
        raise ForayError(f"{folder} does not exist. Name the folder of a run or of an exported artifact.")
    if not is_there(folder / "record.json"):
        raise ForayError(
            f"{folder} is neither a run (record.json) nor an exported artifact (artifact.json). Name a folder below "
            "runs/ or artifacts/."
        )


def _by_artifact(
    folder: Path, images: Sequence[Path], device: str, threads: int | None, progress: Progress
) -> list[Prediction]:
    from foray.deploy import ArtifactError, images_in, open_artifact, open_session, predict_images

    if device not in ("auto", "cpu"):
        raise ForayError(f"{folder} is an exported artifact, which runs on the CPU. Leave --device out.")
    predictions = []
    try:
        artifact = open_artifact(folder)
        if artifact.failed is not None:
            progress.note(f"Beware: {folder} failed its certification. {artifact.failed}")
        session = open_session(artifact, threads)
        paths = images_in(images)
        with progress.task("predicting", total=len(paths)) as task:
            for prediction in predict_images(artifact, session, paths):
                predictions.append(prediction)
                task.advance()
    except ArtifactError as error:
        raise ForayError(str(error)) from error
    return predictions
