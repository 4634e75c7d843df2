"""A small depthwise network that has learned scikit-learn's digits: well conditioned, and its answers depend on what it
is shown."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from foray.data.network_input import normalize
from foray.export.quantization import TrainImages
from foray.models import Network, build_model
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


def learned_digits() -> Digits:
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
