"""Networks to export, the images to hold the files against, and what PyTorch says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from foray.data.network_input import prepare
from foray.export.graph import Deployable, deployable
from foray.models import Network, build_model
from foray.specs import ArchSpec, Preprocessing, get_spec
from tests.export.digits import PREPROCESSING, Digits, learned_digits

Run = Callable[[np.ndarray], np.ndarray]
# Upright, lying, exact, one pixel, narrower than 1:32, larger and smaller than the network's side.
SIZES = ((64, 64), (73, 73), (1, 1), (37, 501), (640, 480), (331, 10), (7, 234), (30, 41))


def lively(spec: ArchSpec, seed: int = 0) -> Network:
    """Random weights with batch norms that are not those of the initialisation, so that outputs depend on inputs."""
    network = build_model(spec, num_classes=5, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for key, buffer in network.named_buffers():
        if key.endswith("running_mean"):
            buffer.normal_(0.0, 0.1, generator=generator)
        if key.endswith("running_var"):
            buffer.uniform_(0.05, 0.3, generator=generator)
    return network.eval()


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 (H, W, 3): noise over a gradient."""
    random = np.random.default_rng(seed)
    gradient = np.linspace(0, 200, height)[:, None, None] + np.linspace(0, 50, width)[None, :, None]
    return np.clip(gradient + random.normal(0, 40, (height, width, 3)), 0, 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Case:
    """A network in front of which images are prepared."""

    module: Deployable
    preprocessing: Preprocessing

    def prepared(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W, 3) -> (N, R, R, 3)."""
        return np.stack([prepare(Image.fromarray(image), self.preprocessing) for image in images])

    def expected(self, images: np.ndarray) -> np.ndarray:
        """PyTorch's probabilities."""
        with torch.inference_mode():
            return self.module(torch.from_numpy(self.prepared(images))).numpy()

    def largest_difference(self, run: Run, images: np.ndarray) -> float:
        """Of one probability."""
        found = run(images)
        assert found.dtype == np.float32
        return float(np.abs(found - self.expected(images)).max())


def assert_resizes_as_pillow(run: Run, how: Preprocessing) -> None:
    """`run`: uint8 (N, H, W, 3) to squares. Most of the sizes have a long side that comes out between two pixels."""
    for height, width in ((41, 67), (50, 43), (50, 50), (31, 89)):
        image = photo(height, width)
        difference = np.abs(run(image[None])[0].astype(int) - prepare(Image.fromarray(image), how).astype(int))
        assert difference.max() <= 1
        assert (difference == 0).mean() > 0.9


def case(spec: ArchSpec, resolution: int = 64) -> Case:
    preprocessing = Preprocessing(resolution=resolution, interpolation="bicubic")
    return Case(deployable(lively(spec), preprocessing), preprocessing)


@pytest.fixture(scope="session")
def depthwise() -> Case:
    """MobileNetV2 at 0.35 of its width."""
    return case(get_spec("mobilenet_v2_x0.35"))


@pytest.fixture(scope="session")
def digits() -> Digits:
    """The network, trained for half a minute, and its images."""
    return learned_digits()


@pytest.fixture(scope="session")
def learned(digits: Digits) -> Case:
    """A network that has learned something, so that faults show even where rounding is coarse."""
    return Case(deployable(digits.network, PREPROCESSING), PREPROCESSING)
