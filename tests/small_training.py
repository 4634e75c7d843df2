"""A small data set that can be learnt, a recipe, and weights in timm's layout for a small network; as fixtures too."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from foray.data import Dataset, ImageArray, Sample
from foray.evaluation.predictions import Predictions
from foray.models import Network, build_model
from foray.recipes import SGD, FinetuneRecipe, Recipe, ScratchRecipe
from foray.specs import get_spec
from foray.weights.key_map import timm_keys

MODEL = "mobilenet_v1_x0.25"
COLOURS = {"red": (190, 70, 70), "green": (80, 180, 80), "blue": (70, 80, 190)}

# What a network says of val, where it does not matter.
HALF_RIGHT = Predictions(
    np.array(["a", "b"]), np.array([0, 1]), np.array([[0.6, 0.2, 0.2], [0.6, 0.2, 0.2]], dtype=np.float32)
)


def coloured_squares(*, per_class: int = 20, side: int = 24, noise: float = 40.0) -> Dataset:
    """Three classes that differ in colour: of each class 60 % train, 20 % val, 20 % test."""
    random = np.random.default_rng(0)
    samples = []
    for label, (name, colour) in enumerate(COLOURS.items()):
        for i in range(per_class):
            pixels = np.clip(np.array(colour) + random.normal(0, noise, (side, side, 3)), 0, 255).astype(np.uint8)
            split = ("train", "train", "train", "val", "test")[i % 5]
            content = hashlib.sha256(pixels.tobytes()).hexdigest()
            samples.append(Sample(f"{name}/{i:03d}", ImageArray(pixels), label, split, None, content))
    dataset = Dataset("squares", "a test", tuple(COLOURS), tuple(samples), "given")
    return dataset.fingerprinted()


@pytest.fixture(scope="session")
def squares() -> Dataset:
    return coloured_squares()


def lively(name: str = MODEL, seed: int = 0, **options: object) -> Network:
    """A fresh network whose batch-norm statistics are not those of its initialisation, so that features do not fade."""
    network = build_model(get_spec(name), seed=seed, **{"num_classes": 3} | options)
    generator = torch.Generator().manual_seed(seed)
    for key, buffer in network.named_buffers():
        if key.endswith("running_mean"):
            buffer.normal_(0.0, 0.1, generator=generator)
        if key.endswith("running_var"):
            buffer.uniform_(0.05, 0.3, generator=generator)
    return network


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of `tf_mobilenet_v1_x0.25` for 7 classes and 32 pixels, with lively batch-norm statistics."""
    folder = tmp_path_factory.mktemp("weights") / "mobilenetv1_025"
    folder.mkdir()
    network = lively("tf_mobilenet_v1_x0.25", seed=5, num_classes=7)
    state = network.state_dict()
    keys = timm_keys(network.spec)
    save_file({keys[key]: tensor.contiguous() for key, tensor in state.items()}, folder / "model.safetensors")
    config = {
        "architecture": "mobilenetv1_025",
        "num_classes": 7,
        "model_args": {"pad_type": "same", "bn_eps": 0.001},
        "pretrained_cfg": {"input_size": [3, 32, 32], "crop_pct": 1.0, "mean": [0.5] * 3, "std": [0.5] * 3},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def small_recipe(**changes: object) -> Recipe:
    """Two epochs of momentum SGD, from scratch unless `protocol` is "finetune"."""
    kind = FinetuneRecipe if changes.get("protocol") == "finetune" else ScratchRecipe
    return kind(
        epochs=2,
        batch_size=8,
        optimizer=SGD(learning_rate=0.05, momentum=0.9, weight_decay=1e-4),
        precision="float32",
    ).model_copy(update=changes)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small networks gain nothing from more, and equal thread counts make equal sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
