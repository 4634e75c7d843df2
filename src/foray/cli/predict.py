"""`foray predict`: what a run sees in images."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from foray.cli import options


def predict(
    run: options.Run,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", show_default=False, help="Image files.")],
    as_json: options.AsJson = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
) -> None:
    """Classify images with a trained run: the most probable class of each, and the runners-up."""
    options.prepare_threads(threads)
    from foray.cli.progress import terminal_progress
    from foray.cli.tables import print_predictions
    from foray.training import predict as predict_images

    with terminal_progress() as progress:
        predictions = predict_images(run, images, device=device, progress=progress)
    if as_json:
        print(json.dumps([asdict(prediction) for prediction in predictions], default=str, indent=1))
    else:
        print_predictions(predictions)
