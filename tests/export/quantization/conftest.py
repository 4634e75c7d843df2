"""A small depthwise network that has learned scikit-learn's digits, and what its int8 files answer."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from foray.data.preprocessing import normalize
from foray.deploy import Session
from foray.deploy.predict import RUNTIMES as ENGINES
from foray.export.quantization import TrainImages
from foray.export.quantization.fake_quantization import named_layers
from foray.export.quiet import quiet
from foray.export.runtimes import RUNTIMES
from foray.models import Network, build_model, fold_batch_norm
from foray.specs import Preprocessing, get_spec
from foray.specs.spec import Conv, InvertedResidual
from tests.caches import made_once

SIDE = 16
PREPROCESSING = Preprocessing(resolution=SIDE, crop_pct=1.0)
TINY = replace(
    get_spec("mobilenet_v2"),
    name="tiny",
    resolution=SIDE,
    stem=Conv(out_channels=8, kernel=3, stride=1),
    stages=(InvertedResidual(1, 8, 1, 1), InvertedResidual(4, 12, 2, 2)),
    head=Conv(out_channels=32, kernel=1),
)
_STEPS, _BATCH = 150, 64


@dataclass(frozen=True, eq=False)
class Digits:
    """Images uint8 (N, 16, 16, 3) with labels; the first 1,200 are train, the rest val."""

    network: Network
    pixels: np.ndarray
    labels: np.ndarray
    train: TrainImages

    @property
    def val(self) -> np.ndarray:
        """Images no training or calibration sees."""
        return self.pixels[1200:]


@pytest.fixture(scope="session")
def digits() -> Digits:
    """The network, trained for half a minute, and its images."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    pixels, labels = np.repeat(grey[..., None], 3, axis=3), bunch.target.astype(np.int64)
    network = build_model(TINY, num_classes=10, dropout=0.0, seed=0)
    with made_once("digits.safetensors") as path:
        if not path.exists():
            save_file(_learned(copy.deepcopy(network), pixels[:1200], labels[:1200]).state_dict(), path)
        network.load_state_dict(load_file(path))
    train = TrainImages(pixels, np.arange(1200), labels[:1200])
    return Digits(network.eval().requires_grad_(False), pixels, labels, train)


def _learned(network: Network, pixels: np.ndarray, labels: np.ndarray) -> Network:
    """In float64, so that every machine and kernel ends with the same one: rounding to float32 would be a seed of its
    own.
    """
    network = network.double().train()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    generator = np.random.default_rng(0)
    for _ in range(_STEPS):
        rows = generator.choice(len(pixels), _BATCH, replace=False)
        images = normalize(torch.from_numpy(pixels[rows]).permute(0, 3, 1, 2), PREPROCESSING).double()
        loss = F.cross_entropy(network(images), torch.from_numpy(labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.float()


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
