"""Pooled features of a frozen backbone: computed once per image, in the fastest float32 engine installed, and kept.

Engines (inference_engine.py): `openvino` (CPU, when the package is importable) or `torch` (channels-last), both in
float32. OpenVINO's features of the first images are compared with torch's before they are trusted.

Augmented views: view 0 of an image is the image as it is in evaluation; view v is what epoch v of a training by batches
would show, but for the order of images. An image that heads are scored on is only ever seen as view 0.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foray.augmentation import Augment
from foray.data import ImageStore, normalize
from foray.data.storage import cache_lock, require_free_space
from foray.errors import RunError
from foray.evaluation.arrays import DamagedArraysError, read_array
from foray.evaluation.inference_engine import (
    CHECKED_IMAGES,
    LARGEST_RELATIVE_ERROR,
    InferenceEngine,
    OpenVINOEngine,
    TorchEngine,
    openvino_fits,
    relative_error,
)
from foray.models import Network
from foray.progress import SILENT, Progress
from foray.records import Record, atomic_writer, versions
from foray.requests import Machine
from foray.specs.preprocessing import Preprocessing

Features = npt.NDArray[np.float32]
Engine = Literal["auto", "torch", "openvino"]
BATCH_SIZE = 16
_FORMAT_VERSION = 1


class BackboneInput(Protocol):
    """What the backbone runs over, always in the same order. `identity`: what decides the pixels, as JSON."""

    @property
    def identity(self) -> dict[str, Any]: ...

    def __len__(self) -> int: ...

    def batches(self) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
        """Which images, and these: (N, R, R, 3), uint8 pixels, or float32 and normalised."""
        ...


class DecodedImages:
    """Every image of `store` as it is in evaluation: uint8."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    @property
    def identity(self) -> dict[str, Any]:
        return {"images": self._store.path.parent.name}

    def __len__(self) -> int:
        return len(self._store)

    def batches(self) -> Iterator[tuple[slice, npt.NDArray[np.uint8]]]:
        """In dataset order."""
        for where in batch_slices(len(self)):
            yield where, np.array(self._store.pixels[where])


def batch_slices(n: int) -> Iterator[slice]:
    """Slices of `BATCH_SIZE` images, the last one of what is left."""
    return (slice(start, min(start + BATCH_SIZE, n)) for start in range(0, n, BATCH_SIZE))


def extract_features(
    network: Network,
    images: BackboneInput,
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    engine: Engine = "auto",
    progress: Progress = SILENT,
) -> tuple[Features, str]:
    """Features (N, F) of `images`, in their order, and the engine that computed them.

    The network is used in inference mode and left so. `auto` takes OpenVINO on the CPU where it is installed and
    agrees with torch to a relative error of 1e-3 on the first images, else torch.
    """
    reference = TorchEngine(_Backbone(network.eval(), preprocessing), device)
    if engine == "torch" or (engine == "auto" and not openvino_fits(device)):
        return _extracted(reference, images, network.num_features, progress), "torch"
    _, first = next(images.batches())
    fast = OpenVINOEngine(reference.module, first)
    features = _extracted(fast, images, network.num_features, progress)
    error = _error(features, reference, images)
    if error > LARGEST_RELATIVE_ERROR:
        progress.note(
            f"OpenVINO's features differ from torch's by {error:.1e} (relative): torch computes them instead."
        )
        return _extracted(reference, images, network.num_features, progress), "torch"
    return features, "openvino"


def cached_features(
    network: Network,
    weights_sha256: str,
    images: BackboneInput,
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    cache_dir: Path,
    progress: Progress = SILENT,
) -> tuple[Features, str]:
    """`extract_features`, kept under `cache_dir`/features: computed once for all seeds of a model and repeated runs.

    The key is the identity of the images, the weights, the architecture, the normalisation and the engine with its
    version. Features that are damaged, or of an earlier version without a digest, are computed again, with a note.
    """
    engine = "openvino" if openvino_fits(device) else "torch"
    about = {
        "format": _FORMAT_VERSION, **images.identity, "weights": weights_sha256,
        "architecture": network.spec.name, "mean": preprocessing.mean, "std": preprocessing.std,
        "engine": engine, "version": versions().get(engine), "device": device.type,
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:20]
    folder = cache_dir / "features" / f"{network.spec.name}-{key}"
    with cache_lock(folder, wait_seconds=-1.0, what="feature extraction"):
        shape = (len(images), network.num_features)
        for name in ("openvino", "torch"):
            if (folder / f"{name}.npy").exists():
                if (found := _kept(folder, name, shape)) is not None:
                    return found, name
                progress.note(f"{folder / name}.npy is damaged, or of an earlier version: features are computed again.")
        require_free_space(folder, len(images) * network.num_features * 4, "Keeping features")
        features, used = extract_features(network, images, preprocessing, device=device, progress=progress)
        _keep(folder, used, features)
    return features, used


class _FeatureIndex(Record):
    """<engine>.json: the SHA-256 of the features beside it."""

    sha256: str


def _keep(folder: Path, engine: str, features: Features) -> None:
    """Writes the features, then what they are: neither file counts without the other."""
    for leftover in (*folder.glob("*.json"), *folder.glob("*.npy")):
        leftover.unlink()
    with atomic_writer(folder / f"{engine}.npy") as stream:
        np.save(stream, features)
    _FeatureIndex(sha256=_sha256(features)).save(folder / f"{engine}.json")


def _kept(folder: Path, engine: str, shape: tuple[int, int]) -> Features | None:
    """The features, if they are what was kept."""
    try:
        expected = _FeatureIndex.load(folder / f"{engine}.json").sha256
        features = read_array(folder / f"{engine}.npy")
    except (RunError, DamagedArraysError):
        return None
    is_whole = features.shape == shape and features.dtype == np.float32 and _sha256(features) == expected
    return features if is_whole else None


def _sha256(features: Features) -> str:
    return hashlib.sha256(np.ascontiguousarray(features).data).hexdigest()


class _Backbone(nn.Module):
    """(N, H, W, 3) -> features (N, F). Of uint8 the normalisation is part of the graph: bytes are all that is fed."""

    def __init__(self, network: Network, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.preprocessing = preprocessing

    def forward(self, images: Tensor) -> Tensor:
        channels_first = images.permute(0, 3, 1, 2)  # of a contiguous array: channels-last, nothing is copied
        if images.dtype == torch.uint8:
            channels_first = normalize(channels_first, self.preprocessing)
        return self.network.forward_features(channels_first)


def _extracted(engine: InferenceEngine, images: BackboneInput, num_features: int, progress: Progress) -> Features:
    features = np.empty((len(images), num_features), dtype=np.float32)
    with progress.task("extracting features", total=len(images)) as task:
        for where, output in engine.outputs(images.batches()):
            features[where] = output
            task.advance(len(output))
    return features


def _error(features: Features, reference: TorchEngine, images: BackboneInput) -> float:
    """Relative difference from torch on the first images."""
    where, first = next(images.batches())
    _, expected = next(reference.outputs([(where, first[:CHECKED_IMAGES])]))
    return relative_error(features[: len(expected)], expected)


class AugmentedImages:
    """One augmented view of the images at `positions` of a training store: float32, normalised."""

    def __init__(self, store: ImageStore, positions: npt.NDArray[np.int64], augment: Augment, view: int) -> None:
        self._store, self._positions, self._augment, self._view = store, positions, augment, view

    @property
    def preprocessing(self) -> Preprocessing:
        """How images are shown to the network, beside the augmentation."""
        return self._augment.preprocessing

    @property
    def identity(self) -> dict[str, Any]:
        """What is random follows from the seed, the view, and an image's batch and place in it."""
        return {
            "images": self._store.path.parent.name,
            "positions": hashlib.sha256(self._positions.tobytes()).hexdigest(),
            "batch_size": BATCH_SIZE,
            "resolution": self._augment.preprocessing.resolution,
            "augmentation": self._augment.augmentation.model_dump(mode="json"),
            "seed": self._augment.seed,
            "view": self._view,
        }

    def __len__(self) -> int:
        return len(self._positions)

    def batches(self) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """In the order of `positions`."""
        for step, where in enumerate(batch_slices(len(self))):
            pixels = torch.from_numpy(self._store.pixels[self._positions[where]])
            images = self._augment(pixels.permute(0, 3, 1, 2), self._view, step)
            yield where, images.permute(0, 2, 3, 1).contiguous().numpy()


def cached_views(
    network: Network, weights_sha256: str, views: Sequence[AugmentedImages], machine: Machine, progress: Progress
) -> tuple[Features, set[str]]:
    """Features (V, N, F) of V `views` of N images, and the engines that ran.

    Each view is kept by itself: of eight views, the first three are those of a run with three.
    """
    features, engines = [], set()
    for number, images in enumerate(views, start=1):
        progress.note(f"augmented view {number} of {len(views)}")
        found, engine = cached_features(
            network, weights_sha256, images, images.preprocessing,
            device=torch.device(machine.device), cache_dir=machine.cache, progress=progress,
        )  # fmt: skip
        features.append(found)
        engines.add(engine)
    return np.stack(features), engines
