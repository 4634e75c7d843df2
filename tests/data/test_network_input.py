"""`prepare` and `normalize` against torchvision and timm, bit for bit, and torch kept out of the Pillow part."""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from foray.data.images import load_image
from foray.data.network_input import normalize, prepare
from foray.specs.preprocessing import HALF, Preprocessing


@pytest.fixture(scope="module")
def transforms(torchvision: ModuleType) -> ModuleType:
    return importlib.import_module("torchvision.transforms")


def noise(width: int, height: int) -> Image.Image:
    random = np.random.default_rng([width, height])
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    resolution=st.integers(1, 96),
    crop_pct=st.sampled_from([0.8, 0.875, 0.9, 0.934, 1.0]),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)
@settings(max_examples=100, deadline=None)
def test_resize_and_crop_are_torchvisions(
    transforms: ModuleType, width: int, height: int, resolution: int, crop_pct: float, interpolation: str
) -> None:
    assume(max(width, height) <= 32 * min(width, height))  # longer strips are cut first
    image = noise(width, height)
    preprocessing = Preprocessing(resolution, crop_pct, interpolation)
    mode = transforms.InterpolationMode(interpolation)
    side = int(resolution / crop_pct)
    short = min(width, height)
    rounded = tuple(side if pixels == short else round(side * pixels / short) for pixels in (height, width))
    for resize, size in {"cut": side, "rounded": rounded, "squashed": (side, side)}.items():
        expected = transforms.CenterCrop(resolution)(transforms.Resize(size, mode)(image))
        found = prepare(image, replace(preprocessing, resize=resize))
        np.testing.assert_array_equal(found, np.asarray(expected), err_msg=resize)


@pytest.mark.parametrize(
    ("resolution", "crop_pct", "interpolation", "crop_mode"),
    [
        (224, 0.875, "bicubic", "center"),
        (224, 0.875, "bilinear", "center"),
        (192, 0.9, "bicubic", "center"),
        (240, 0.882, "bicubic", "squash"),
    ],
)
def test_real_photographs_come_out_as_timms_evaluation_transform_gives_them(
    shared_data: Path, transforms: ModuleType, resolution: int, crop_pct: float, interpolation: str, crop_mode: str
) -> None:
    timm_data = pytest.importorskip("timm.data", reason="timm is not installed (extra: peers)")
    resize = {"center": "cut", "squash": "squashed"}[crop_mode]
    preprocessing = Preprocessing(resolution, crop_pct, interpolation, HALF, (0.5, 0.25, 0.125), resize)
    peer = timm_data.create_transform(
        (3, resolution, resolution),
        is_training=False,
        interpolation=interpolation,
        crop_pct=crop_pct,
        crop_mode=crop_mode,
        mean=preprocessing.mean,
        std=preprocessing.std,
    )
    with zipfile.ZipFile(shared_data / "data/imagenet_sample_1000/imagenet_sample_1000.zip") as archive:
        names = [name for name in archive.namelist() if name.lower().endswith((".jpeg", ".jpg"))][::25]
        fractions = 0
        for name in names:
            content = archive.read(name)
            with Image.open(io.BytesIO(content)) as opened:
                image = opened.convert("RGB")
            long_side = preprocessing.resize_side * max(image.size) / min(image.size)
            fractions += int(long_side) != round(long_side)
            expected = peer(image)
            pixels = torch.from_numpy(prepare(load_image(content), preprocessing).copy())
            ours = normalize(pixels.permute(2, 0, 1)[None], preprocessing)[0]
            assert torch.equal(ours, expected), name
    assert fractions >= 4  # of these images rounding gives one pixel more


def test_an_image_of_the_right_size_is_not_touched() -> None:
    image = noise(32, 32)
    np.testing.assert_array_equal(prepare(image, Preprocessing(32, crop_pct=1.0)), np.asarray(image))


def test_a_strip_of_one_pixel_costs_no_gigabytes_and_keeps_its_middle() -> None:
    strip = np.zeros((1, 100_000, 3), dtype=np.uint8)
    strip[:, 49_000:51_000] = 200
    for image in (Image.fromarray(strip), Image.fromarray(strip.transpose(1, 0, 2).copy())):
        assert (prepare(image, Preprocessing(224)) == 200).all()


def test_normalize_is_the_stated_formula_and_keeps_channels_last() -> None:
    pixels = torch.tensor([[[[0, 255, 51], [255, 0, 102]]]], dtype=torch.uint8).permute(0, 3, 1, 2)
    preprocessing = Preprocessing(2, mean=(0.5, 0.0, 0.2), std=(0.5, 2.0, 0.4))
    expected = torch.tensor([[[[-1.0, 1.0]], [[0.5, 0.0]], [[0.0, 0.5]]]])
    torch.testing.assert_close(normalize(pixels, preprocessing), expected, rtol=0, atol=1e-7)

    batch = torch.randint(0, 256, (3, 8, 9, 3), dtype=torch.uint8)
    kept = batch.clone()
    result = normalize(batch.permute(0, 3, 1, 2), preprocessing)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch, kept)
    planes_first = batch.permute(0, 3, 1, 2).contiguous()
    assert torch.equal(normalize(planes_first, preprocessing), result)


def test_decoding_and_caching_import_no_torch() -> None:
    code = "import sys, foray.data.cache, foray.data.network_input, foray.data.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
