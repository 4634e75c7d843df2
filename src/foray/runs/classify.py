"""What a trained run sees in images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from foray.data import load_image, normalize, prepare
from foray.deploy import Prediction
from foray.errors import RunError
from foray.evaluation.precision import float32_exactly, resolve_device
from foray.process_state import restores_process_state
from foray.progress import SILENT, Progress
from foray.runs.trained import load_run

_BATCH_SIZE = 32
_RUNNERS_UP = 5


@restores_process_state
def predict(
    run: str | Path, images: Sequence[str | Path], *, device: str = "auto", progress: Progress = SILENT
) -> list[Prediction]:
    """Classifies image files with a finished run, in the order given, in float32.

    Raises RunError when `run` is no finished run and DataError naming an image that cannot be read.
    """
    trained = load_run(run)
    target = resolve_device(device)
    network = trained.network.to(device=target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    preprocessing, classes = trained.record.preprocessing, trained.record.dataset.classes
    predictions: list[Prediction] = []
    with torch.inference_mode(), float32_exactly(), progress.task("predicting", total=len(images)) as task:
        for start in range(0, len(images), _BATCH_SIZE):
            paths = [Path(image) for image in images[start : start + _BATCH_SIZE]]
            pixels = np.stack([prepare(load_image(path), preprocessing) for path in paths])  # (N, R, R, 3) uint8
            batch = torch.from_numpy(pixels).to(target).permute(0, 3, 1, 2)
            probabilities = network(normalize(batch, preprocessing)).softmax(dim=1).cpu()
            if not torch.isfinite(probabilities).all():
                raise RunError(
                    f"{run} has no answer for {paths[0]} or those after it: a value overflows in its network."
                )
            values, order = probabilities.topk(min(_RUNNERS_UP, len(classes)), dim=1)
            for path, best, of_best in zip(paths, order.tolist(), values.tolist(), strict=True):
                top = [(classes[i], value) for i, value in zip(best, of_best, strict=True)]
                predictions.append(Prediction(path, top[0][0], top[0][1], top))
            task.advance(len(paths))
    return predictions
