"""Classification of images by a trained run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from foray.data import load_image, normalize, prepare
from foray.data.images import ImageReadError
from foray.deploy import ArtifactError, Prediction, images_in
from foray.errors import DataError, RunError
from foray.evaluation.precision import float32_exactly, resolve_device
from foray.process_state import restores_process_state
from foray.progress import SILENT, Progress
from foray.runs.trained import load_run
from foray.specs import Preprocessing

_BATCH_SIZE = 32
_RUNNERS_UP = 5


@restores_process_state
def predict(
    run: str | Path, images: Sequence[str | Path], *, device: str = "auto", progress: Progress = SILENT
) -> list[Prediction]:
    """Classifies image files with a finished run, in the order given, in float32.

    Args:
        run: folder of a finished run.
        images: files, folders (all images in them) and patterns such as `new/*.jpg`.
        device: where the network runs: `auto`, `cpu` or `cuda`.
        progress: what is told of the progress.

    Returns:
        One prediction per image; of one that cannot be read, `error` says why.

    Raises:
        RunError: when `run` is no finished run.
        DataError: when a folder or a pattern gives no image.
    """
    trained = load_run(run)
    target = resolve_device(device)
    network = trained.network.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    preprocessing, classes = trained.record.preprocessing, trained.record.dataset.classes
    try:
        paths = images_in(map(Path, images))
    except ArtifactError as error:
        raise DataError(str(error)) from error
    predictions: list[Prediction] = []
    with torch.inference_mode(), float32_exactly(), progress.task("predicting", total=len(paths)) as task:
        for start in range(0, len(paths), _BATCH_SIZE):
            chunk = paths[start : start + _BATCH_SIZE]
            read = [_read(path, preprocessing) for path in chunk]
            pixels = [one for one in read if not isinstance(one, str)]
            answers = iter(_answers(network, np.stack(pixels), preprocessing, target, classes) if pixels else [])
            for path, one in zip(chunk, read, strict=True):
                if isinstance(one, str):
                    predictions.append(Prediction(path, error=one))
                    continue
                top = next(answers)
                if not np.isfinite([value for _, value in top]).all():
                    raise RunError(f"{run} gives no finite probabilities for {path}: a value overflows in its network.")
                predictions.append(Prediction(path, *top[0], top))
            task.advance(len(chunk))
    return predictions


def _read(path: Path, preprocessing: Preprocessing) -> npt.NDArray[np.uint8] | str:
    """Pixels (R, R, 3), or why the image cannot be read."""
    try:
        return prepare(load_image(path), preprocessing)
    except ImageReadError as error:
        return error.reason


def _answers(
    network: nn.Module,
    pixels: npt.NDArray[np.uint8],
    preprocessing: Preprocessing,
    device: torch.device,
    classes: Sequence[str],
) -> list[list[tuple[str, float]]]:
    """Per image of `pixels` (N, R, R, 3) the most probable classes, best first, with their probabilities."""
    images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
    probabilities = network(normalize(images, preprocessing)).softmax(dim=1).cpu()
    values, order = probabilities.topk(min(_RUNNERS_UP, len(classes)), dim=1)
    return [
        [(classes[i], value) for i, value in zip(best, of_best, strict=True)]
        for best, of_best in zip(order.tolist(), values.tolist(), strict=True)
    ]
