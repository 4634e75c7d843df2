"""Pooled features of a frozen backbone: computed once per image, in the fastest float32 engine installed, and kept.

Engines: `openvino` (CPU, when the package is importable) or `torch` (channels-last). Both compute in float32: OpenVINO
silently uses bfloat16 on processors that have it unless INFERENCE_PRECISION_HINT says otherwise. OpenVINO's features of
the first images are compared with torch's before they are trusted.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foray.data import ImageStore, normalize
from foray.data.storage import require_free_space
from foray.models import Network
from foray.progress import SILENT, Progress
from foray.records import atomic_writer, folder_lock, versions
from foray.specs.preprocessing import Preprocessing
from foray.training.precision import float32_exactly

Features = npt.NDArray[np.float32]
Engine = Literal["auto", "torch", "openvino"]
_BATCH_SIZE = 16
_CHECKED_IMAGES = 4
_LARGEST_RELATIVE_ERROR = 1e-3
_FORMAT_VERSION = 1


def extract_features(
    network: Network,
    store: ImageStore,
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    engine: Engine = "auto",
    progress: Progress = SILENT,
) -> tuple[Features, str]:
    """Features (N, F) of every image of `store`, in its order, and the engine that computed them.

    The network is used in inference mode and left so. `auto` takes OpenVINO on the CPU where it is installed and
    agrees with torch to a relative error of 1e-3 on the first images, else torch.
    """
    network.eval()
    if engine == "torch" or (engine == "auto" and not _openvino_fits(device)):
        return _with_torch(network, store, preprocessing, device, progress), "torch"
    features = _with_openvino(network, store, preprocessing, progress)
    error = _relative_error(features, network, store, preprocessing, device)
    if error > _LARGEST_RELATIVE_ERROR:
        progress.note(
            f"OpenVINO's features differ from torch's by {error:.1e} (relative): torch computes them instead."
        )
        return _with_torch(network, store, preprocessing, device, progress), "torch"
    return features, "openvino"


def cached_features(
    network: Network,
    weights_sha256: str,
    store: ImageStore,
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    cache_dir: Path,
    progress: Progress = SILENT,
) -> tuple[Features, str]:
    """`extract_features`, kept under `cache_dir`/features: the seeds of a model and repeated runs pay once.

    The key is the decoded images, the weights, the architecture, the normalisation and the engine with its version.
    """
    engine = "openvino" if _openvino_fits(device) else "torch"
    about = {
        "format": _FORMAT_VERSION, "images": store.path.parent.name, "weights": weights_sha256,
        "architecture": network.spec.name, "mean": preprocessing.mean, "std": preprocessing.std,
        "engine": engine, "version": versions().get(engine), "device": device.type,
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:20]
    folder = cache_dir / "features" / f"{network.spec.name}-{key}"
    with folder_lock(folder, wait_seconds=-1.0, what="feature extraction"):
        for name in ("openvino", "torch"):
            if (path := folder / f"{name}.npy").exists():
                return np.load(path), name
        require_free_space(folder, len(store) * network.num_features * 4, "Keeping features")
        features, used = extract_features(network, store, preprocessing, device=device, progress=progress)
        with atomic_writer(folder / f"{used}.npy") as stream:
            np.save(stream, features)
    return features, used


class _UInt8Backbone(nn.Module):
    """uint8 (N, H, W, 3) -> features (N, F): the normalisation is part of the graph, so bytes are all that is fed."""

    def __init__(self, network: Network, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.preprocessing = preprocessing

    def forward(self, images: Tensor) -> Tensor:
        return self.network.forward_features(normalize(images.permute(0, 3, 1, 2), self.preprocessing))


def _openvino_fits(device: torch.device) -> bool:
    return device.type == "cpu" and importlib.util.find_spec("openvino") is not None


def _with_torch(
    network: Network, store: ImageStore, preprocessing: Preprocessing, device: torch.device, progress: Progress
) -> Features:
    backbone = _UInt8Backbone(network, preprocessing).to(device)
    features = np.empty((len(store), network.num_features), dtype=np.float32)
    with torch.inference_mode(), float32_exactly(), progress.task("extracting features", total=len(store)) as task:
        for where, images in _batches(store):
            # A permuted NHWC array is channels-last already: nothing is copied.
            features[where] = backbone(torch.from_numpy(images).to(device)).cpu().numpy()
            task.advance(len(images))
    return features


def _with_openvino(network: Network, store: ImageStore, preprocessing: Preprocessing, progress: Progress) -> Features:
    import openvino  # an extra, and half a second to import

    model = _convert(openvino, _UInt8Backbone(network, preprocessing).eval(), store)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    features = np.empty((len(store), network.num_features), dtype=np.float32)
    queue = openvino.AsyncInferQueue(compiled)  # as many requests as the device wants for throughput
    with progress.task("extracting features", total=len(store)) as task:

        def keep(request: Any, where: slice) -> None:
            features[where] = request.get_output_tensor(0).data
            task.advance(where.stop - where.start)

        queue.set_callback(keep)
        for where, images in _batches(store):
            queue.start_async({0: images}, where)
        queue.wait_all()
    return features


def _convert(openvino: Any, backbone: nn.Module, store: ImageStore) -> Any:
    """The backbone as an OpenVINO model with a free batch size."""
    example = torch.from_numpy(np.array(store.pixels[:2]))
    with warnings.catch_warnings(), torch.inference_mode():
        # Tracing warns that padding computed from the resolution becomes constant; the resolution is fixed here.
        warnings.simplefilter("ignore")
        model = openvino.convert_model(backbone, example_input=example)
    model.reshape([-1, *store.pixels.shape[1:]])
    return model


def _relative_error(
    features: Features, network: Network, store: ImageStore, preprocessing: Preprocessing, device: torch.device
) -> float:
    """Largest difference from torch on the first images, relative to the largest feature; NaN counts as infinite."""
    with torch.inference_mode():
        first = torch.from_numpy(np.array(store.pixels[:_CHECKED_IMAGES])).to(device)
        expected = _UInt8Backbone(network, preprocessing).to(device)(first).cpu().numpy()
    difference = np.abs(features[:_CHECKED_IMAGES] - expected).max()
    return float(np.nan_to_num(difference / np.abs(expected).max(), nan=np.inf))


def _batches(store: ImageStore) -> Iterator[tuple[slice, npt.NDArray[np.uint8]]]:
    for start in range(0, len(store), _BATCH_SIZE):
        where = slice(start, min(start + _BATCH_SIZE, len(store)))
        yield where, np.array(store.pixels[where])
