"""Two small networks compared on coloured squares of which some are hard, and new squares whose classes are hidden."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import save_file

import foray
from foray.records import Comparison
from foray.weights.key_map import timm_keys
from tests.small_training import lively

COLOURS = {"=red": (170, 90, 90), "green": (90, 170, 90), "blue": (90, 90, 170)}  # a name that is a formula in a table
MODELS = ("tf_mobilenet_v1_x0.25", "tf_mobilenet_v1_x0.5")
NEW = 400
HIDDEN = "truth.json"
TOLERANCE = 0.04


@dataclass(frozen=True)
class World:
    """`data`: class folders; `new`: a folder of images without labels; `out`: a finished comparison; `cache`: of
    decoded images."""

    data: Path
    new: Path
    out: Path
    cache: Path

    @property
    def weights(self) -> Path:
        """Of both networks."""
        return self.data.parent / "weights"

    @cached_property
    def truth(self) -> dict[str, str]:
        """The class of each new image by its id."""
        classes: dict[str, str] = json.loads((self.new.parent / HIDDEN).read_text())
        return classes

    def labels_csv(self, path: Path, images: Sequence[str], changes: dict[str, str] | None = None) -> Path:
        """A labels.csv of these images, in this order."""
        lines = ["image,label", *(f"{id_},{(self.truth | (changes or {}))[id_]}" for id_ in images)]
        path.write_text("\n".join(lines) + "\n")
        return path


def painted(folder: Path, per_class: int) -> Path:
    """Class folders."""
    rng = np.random.default_rng(1)
    for name in COLOURS:
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            square(name, rng).save(folder / name / f"{i:03}.png")
    return folder


def unlabelled(folder: Path) -> None:
    """Images in two folders; beside `folder` a file with the class of each."""
    rng, truth = np.random.default_rng(2), {}
    for i in range(NEW):
        name, id_ = list(COLOURS)[int(rng.integers(3))], f"{'morning' if i % 2 else 'evening'}/{i:03}.png"
        (folder / id_).parent.mkdir(parents=True, exist_ok=True)
        square(name, rng).save(folder / id_)
        truth[id_] = name
    (folder.parent / HIDDEN).write_text(json.dumps(truth))


def square(name: str, rng: np.random.Generator) -> Image.Image:
    """24 pixels a side; its colour is that of its class, more or less."""
    colour = np.array(COLOURS[name]) + rng.normal(0, 30, 3)
    return Image.fromarray(np.clip(colour + rng.normal(0, 25, (24, 24, 3)), 0, 255).astype(np.uint8))


def random_weights(folder: Path) -> Path:
    """Weights in timm's layout for both networks: what they see is random, and a head learns from it."""
    for seed, name, timm in zip((30, 31), MODELS, ("mobilenetv1_025", "mobilenetv1_050"), strict=True):
        (folder / timm).mkdir(parents=True)
        network = lively(name, seed=seed, num_classes=7)
        keys = timm_keys(network.spec)
        state = {keys[key]: tensor.contiguous() for key, tensor in network.state_dict().items()}
        save_file(state, folder / timm / "model.safetensors")
        config = {
            "architecture": timm,
            "num_classes": 7,
            "model_args": {"pad_type": "same", "bn_eps": 0.001},
            "pretrained_cfg": {"input_size": [3, 32, 32], "crop_pct": 1.0, "mean": [0.5] * 3, "std": [0.5] * 3},
        }
        (folder / timm / "config.json").write_text(json.dumps(config))
    return folder


def compared(data: Path, weights: Path, out: Path, cache: Path, seeds: int) -> Comparison:
    """Trains heads on both networks and compares them."""
    return foray.compare(
        data, MODELS, "linear", weights=weights, tolerance=TOLERANCE, prefer="macs", seeds=seeds, out=out,
        cache_dir=cache, wait_seconds=0, workers=1, device="cpu",
    )  # fmt: skip
