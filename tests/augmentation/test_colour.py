"""Changes of colour against torchvision's and Pillow's functions on the same pixels at the same strength."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from foray.augmentation import colour


def pictures(n: int = 4, side: int = 24) -> Tensor:
    """uint8 (n, 3, side, side): smooth ramps with noise, each over a range of its own; the last has a flat channel."""
    random = np.random.default_rng(side)
    ramp = np.linspace(0, 1, side)[:, None, None] * random.random((n, 1, 1, 3))
    low, width = random.integers(0, 100, (n, 1, 1, 3)), random.integers(40, 156, (n, 1, 1, 3))
    pixels = low + width * np.clip(ramp + 0.3 * random.random((n, side, side, 3)), 0, 1)
    pixels[-1, :, :, 1] = 77
    return torch.from_numpy(pixels.astype(np.uint8)).permute(0, 3, 1, 2)


def of_each(values: list[float]) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


FACTORS = [0.01, 0.6, 1.0, 1.99]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (colour.adjust_brightness, "adjust_brightness"),
        (colour.adjust_contrast, "adjust_contrast"),
        (colour.adjust_saturation, "adjust_saturation"),
        (colour.adjust_sharpness, "adjust_sharpness"),
    ],
)
def test_blends_are_torchvisions(ours: Callable[..., Tensor], theirs: str, torchvision: ModuleType) -> None:
    from torchvision.transforms import functional

    images = pictures()
    result = ours(images.float(), of_each(FACTORS))
    for image, mine, factor in zip(images, result, FACTORS, strict=True):
        # torchvision cuts to whole numbers the result, and the grey or smooth image before
        expected = getattr(functional, theirs)(image, factor).float()
        assert (mine - expected).abs().max() < 1 + 1.01 * abs(1 - factor)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (colour.adjust_brightness, ImageEnhance.Brightness),
        (colour.adjust_contrast, ImageEnhance.Contrast),
        (colour.adjust_saturation, ImageEnhance.Color),
        (colour.adjust_sharpness, ImageEnhance.Sharpness),
    ],
)
def test_blends_are_pillows(ours: Callable[..., Tensor], theirs: type) -> None:
    images = pictures()
    result = ours(images.float(), of_each(FACTORS))
    for image, mine, factor in zip(images, result, FACTORS, strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        expected = np.asarray(theirs(picture).enhance(factor)).astype(np.float32)
        assert np.abs(mine.permute(1, 2, 0).numpy() - expected).max() < 1 + 0.51 * abs(1 - factor)


@pytest.mark.parametrize("bits", range(7))
def test_posterize_is_torchvisions(bits: int, torchvision: ModuleType) -> None:
    from torchvision.transforms import functional

    images = pictures()
    result = colour.posterize(images.float(), torch.full((4, 1, 1, 1), float(bits)))
    assert torch.equal(result, functional.posterize(images, 8 - bits).float())


@pytest.mark.parametrize("threshold", [0.0, 76.5, 127.5, 128.0, 255.0])
def test_solarize_is_torchvisions(threshold: float, torchvision: ModuleType) -> None:
    from torchvision.transforms import functional

    images = pictures()
    result = colour.solarize(images.float(), torch.full((4, 1, 1, 1), threshold))
    assert torch.equal(result, functional.solarize(images, threshold).float())


def test_autocontrast_is_torchvisions_and_pillows(torchvision: ModuleType) -> None:
    from torchvision.transforms import functional

    images = pictures()
    result = colour.autocontrast(images.float())
    assert (result - functional.autocontrast(images).float()).abs().max() < 1
    for image, mine in zip(images, result, strict=True):
        expected = np.asarray(ImageOps.autocontrast(Image.fromarray(image.permute(1, 2, 0).numpy())))
        assert np.abs(mine.permute(1, 2, 0).numpy() - expected).max() <= 1.001


@pytest.mark.parametrize("side", [3, 15, 16, 24, 40])  # 255 pixels and fewer have no whole step
def test_equalize_is_torchvisions_and_pillows(side: int, torchvision: ModuleType) -> None:
    from torchvision.transforms import functional

    images = pictures(side=side)
    result = colour.equalize(images.float())
    assert torch.equal(result, functional.equalize(images).float())
    for image, mine in zip(images, result, strict=True):
        expected = np.asarray(ImageOps.equalize(Image.fromarray(image.permute(1, 2, 0).numpy())))
        assert np.array_equal(mine.permute(1, 2, 0).numpy(), expected)


def test_a_batch_of_several_images_is_each_image_alone() -> None:
    images, factors = pictures().float(), of_each(FACTORS)
    for change in (colour.adjust_contrast, colour.adjust_saturation, colour.adjust_sharpness, colour.posterize):
        alone = [change(images[i : i + 1], factors[i : i + 1]) for i in range(4)]
        assert torch.equal(change(images, factors), torch.cat(alone))
    for change in (colour.autocontrast, colour.equalize):
        assert torch.equal(change(images), torch.cat([change(images[i : i + 1]) for i in range(4)]))


@given(factor=st.floats(0, 3), side=st.integers(1, 9), seed=st.integers(0, 1000))
def test_nothing_leaves_the_range_of_pixels(factor: float, side: int, seed: int) -> None:
    images = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (2, 3, side, side))).float()
    before = images.clone()
    factors = of_each([factor, factor])
    changed = [
        *(
            change(images, factors)
            for change in (
                colour.adjust_brightness,
                colour.adjust_contrast,
                colour.adjust_saturation,
                colour.adjust_sharpness,
                colour.posterize,
                colour.solarize,
            )
        ),
        colour.autocontrast(images),
        colour.equalize(images),
    ]
    for result in changed:
        assert result.shape == images.shape
        assert result.min() >= 0
        assert result.max() <= 255
    assert torch.equal(images, before)
