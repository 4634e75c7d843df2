"""The graph that is shipped: the network's own probabilities, and Pillow's pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from foray.data.network_input import normalize, prepare
from foray.export.executorch import in_float16
from foray.export.graph import deployable, example_images
from foray.specs import HALF, Preprocessing, get_spec
from tests import rounding
from tests.export.prepare import Prepare
from tests.rounding import FLOAT16

from .conftest import SIZES, lively, photo


@pytest.mark.parametrize("name", ["mobilenet_v2_x0.35", "tf_efficientnet_v2_b0", "tf_mobilenet_v3_small"])
@torch.inference_mode()
def test_deployable_gives_the_probabilities_of_the_network(name: str) -> None:
    network = lively(get_spec(name)).train()
    how = Preprocessing(resolution=64, mean=HALF, std=(0.25, 0.5, 1.0))
    module = deployable(network, how)
    images = example_images(module, n=3)
    expected = network.eval()(normalize(images.permute(0, 3, 1, 2), how)).softmax(dim=1)
    torch.testing.assert_close(module(images), expected, rtol=0, atol=1e-5)
    assert expected.std(0).max() > 1e-4  # it looks at its input


def test_deployable_is_a_folded_copy_that_asks_for_no_gradients() -> None:
    network = lively(get_spec("mobilenet_v2_x0.35")).train()
    module = deployable(network, Preprocessing(resolution=64))
    assert not [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert not any(parameter.requires_grad for parameter in module.parameters())
    assert not any(layer.training for layer in module.modules())
    assert network.training
    assert network.stem.conv.weight.requires_grad
    assert isinstance(network.stem.norm, nn.BatchNorm2d)


def test_half_a_network_still_answers_in_float32(learned, digits) -> None:
    module = in_float16(learned.module)
    images = torch.from_numpy(digits.val[:32])
    found = module(images)
    assert module.network.classifier.weight.dtype == torch.float16
    assert learned.module.network.classifier.weight.dtype == torch.float32
    assert found.dtype == torch.float32
    difference = rounding.largest_difference(found, learned.module(images))
    assert difference < rounding.tolerance(learned.module, images, FLOAT16)


def assert_pillows_pixels(how: Preprocessing, image: np.ndarray, equal: float) -> None:
    """No pixel is off by more than one grey level, and a share of `equal` by none.

    Where sides change by a ratio of small numbers, sums often lie on a half.
    """
    found = Prepare(how)(torch.from_numpy(image)[None])
    assert found.dtype == torch.uint8
    expected = prepare(Image.fromarray(image), how)
    assert found.shape == (1, *expected.shape)
    difference = np.abs(found[0].numpy().astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= equal


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_prepare_in_the_graph_gives_pillows_pixels(interpolation: str, size: tuple[int, int]) -> None:
    assert_pillows_pixels(Preprocessing(resolution=64, interpolation=interpolation), photo(*size), 0.98)


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    resolution=st.integers(1, 48),
    crop_pct=st.floats(0.5, 1.0),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    resize=st.sampled_from(["cut", "rounded", "squashed"]),
    seed=st.integers(0, 9),
)
def test_prepare_in_the_graph_gives_pillows_pixels_at_any_size(
    size: tuple[int, int], resolution: int, crop_pct: float, interpolation: str, resize: str, seed: int
) -> None:
    assume(2 * size[0] <= 3 * size[1] and (resize != "squashed" or size[0] <= size[1]))  # taller ones: see below
    how = Preprocessing(resolution=resolution, crop_pct=crop_pct, interpolation=interpolation, resize=resize)
    assert_pillows_pixels(how, photo(*size, seed=seed), 0.0)


def test_tall_images_come_close() -> None:
    """Pillow 13 and later take the vertical pass first where the height shrinks by over twice as much as the width."""
    how, image = Preprocessing(resolution=64), photo(300, 100)
    found = Prepare(how)(torch.from_numpy(image)[None])[0].numpy().astype(int)
    difference = np.abs(found - prepare(Image.fromarray(image), how))
    assert difference.max() <= 8
    assert difference.mean() < 0.5


def test_images_of_a_batch_are_prepared_alone() -> None:
    prepare_all = Prepare(Preprocessing(resolution=32))
    batch = torch.from_numpy(np.stack([photo(50, 71, seed=seed) for seed in range(3)]))
    alone = torch.cat([prepare_all(image[None]) for image in batch])
    torch.testing.assert_close(prepare_all(batch), alone, rtol=0, atol=1)
