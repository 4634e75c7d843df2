"""Damage done on purpose, and what int8 files answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from foray.deploy import Session
from foray.deploy.predict import RUNTIMES as ENGINES
from foray.export.quantization.fake_quantization import named_layers
from foray.export.quiet import quiet
from foray.export.runtimes import RUNTIMES
from foray.models import Network, fold_batch_norm


def damaged(network: Network) -> tuple[Network, str]:
    """`network`, folded, with one depthwise channel scaled by 1000 and the layer after it, the one named, undoing it.

    The same function in float32, since the rectifier between them has no ceiling here; in int8 one scale for all
    channels leaves the others of that tensor hardly a level.
    """
    folded = fold_batch_norm(network)
    layers = named_layers(folded)
    folded.get_submodule("stages.1.0.depthwise").activation = nn.ReLU()
    depthwise, reader, channel = layers["stages.1.0.depthwise.conv"], "stages.1.0.project.conv", 3
    depthwise.weight[channel] *= 1000
    depthwise.bias[channel] *= 1000
    layers[reader].weight[:, channel] /= 1000
    return folded, reader


def run(runtime: str, entry: Path, images: np.ndarray) -> np.ndarray:
    """Probabilities that the int8 file in `entry` gives, through the deploy path."""
    side, batch = images.shape[1], None if RUNTIMES[runtime].resizes else 1
    description = {"precision": "int8", "input": {"height": side, "width": side, "batch": batch}}
    with quiet():  # ExecuTorch calls its own API experimental
        return Session(ENGINES[runtime][1](entry, description, 1), batch).run(images)
