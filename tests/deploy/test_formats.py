"""Artifact and PyTorch give the same label to the same file, whatever kind of image it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foray.data import Dataset, ImageFile, Sample
from foray.deploy import classify, open_artifact, open_session
from foray.requests import Machine
from made_artifacts import describe, pictures, sha256, trained, write_onnx
from tests.asking import reference_of_network

PER_KIND = 400
ROTATIONS = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def odd_sized(image: Image.Image, number: int, path: Path) -> Path:
    """Every shape from 2:1 to 1:2, odd and even."""
    random = np.random.default_rng(number)
    width, height = random.integers(75, 150, 2).tolist()
    image.crop((0, 0, min(width, image.width), min(height, image.height))).save(path.with_suffix(".jpg"), quality=90)
    return path.with_suffix(".jpg")


def exif_rotated(image: Image.Image, number: int, path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation = list(ROTATIONS)[number % 3]
    image.transpose(ROTATIONS[orientation]).save(path.with_suffix(".jpg"), exif=exif, quality=90)
    return path.with_suffix(".jpg")


def grey(image: Image.Image, number: int, path: Path) -> Path:
    image.convert("L").save(path.with_suffix(".jpg"), quality=90)
    return path.with_suffix(".jpg")


def cmyk(image: Image.Image, number: int, path: Path) -> Path:
    image.convert("CMYK").save(path.with_suffix(".jpg"), quality=90)
    return path.with_suffix(".jpg")


def alpha(image: Image.Image, number: int, path: Path) -> Path:
    """Transparent towards one side."""
    ramp = np.linspace(0, 255, image.width).astype(np.uint8)[None].repeat(image.height, axis=0)
    image.putalpha(Image.fromarray(np.roll(ramp, number, axis=1)))
    image.save(path.with_suffix(".png"), compress_level=1)
    return path.with_suffix(".png")


KINDS: tuple[Callable[[Image.Image, int, Path], Path], ...] = (odd_sized, exif_rotated, grey, cmyk, alpha)


def test_labels_agree_on_every_kind_of_image(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra: onnx)")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")
    originals = pictures(tmp_path / "pictures", shared_data, train=20, test=34)
    learnt = trained("mobilenet_v2", originals, shared_data, tmp_path / "cache")
    photographs = [sample for sample in originals.samples if sample.split == "test"][:PER_KIND]
    assert len(photographs) == PER_KIND
    samples = []
    for kind in KINDS:
        (tmp_path / kind.__name__).mkdir()
        for number, sample in enumerate(photographs):
            with Image.open(sample.image.path) as image:
                path = kind(image.convert("RGB"), number, tmp_path / kind.__name__ / f"{number:03}")
            samples.append(
                Sample(f"{kind.__name__}/{path.name}", ImageFile(path), sample.label, "test", None, sha256(path))
            )
    dataset = Dataset("kinds", "a test", originals.classes, tuple(samples), "given").fingerprinted()
    reference = reference_of_network(
        learnt.network,
        learnt.preprocessing,
        list(originals.classes),
        dataset,
        machine=Machine(cache_dir=tmp_path / "cache"),
    )
    write_onnx(learnt, tmp_path / "artifact", any_size=True)
    artifact = open_artifact(describe(tmp_path / "artifact", learnt, any_size=True))
    seen = classify(artifact, open_session(artifact, threads=1), [sample.image.path for sample in samples])
    same = (seen.argmax(axis=1) == reference.probabilities.argmax(axis=1)).reshape(len(KINDS), PER_KIND)
    share = dict(zip((kind.__name__ for kind in KINDS), same.mean(axis=1).tolist(), strict=True))
    assert min(share.values()) >= 0.995, share
    assert len(np.unique(seen.argmax(axis=1))) == len(originals.classes), "a network that always says the same"
