"""Networks, pictures and artifacts for the tests of what reads and scores exported files."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from foray.data import Batches, Dataset, ImageFile, Sample, decode_for_evaluation, normalize
from foray.deploy import predict as reader
from foray.export import onnx
from foray.export.graph import deployable
from foray.models import Network, build_model
from foray.records import ArtifactRecord
from foray.records.artifact import ArtifactOrigin, ArtifactPreprocessing, FileInfo, InputShape
from foray.specs import Preprocessing, get_spec
from foray.weights import create_model
from foray.weights.pretrained import find_weights

SIDE = 64
# Families with the weights each has among the real ones: depthwise layers, and squeeze-excitation with SiLU.
FAMILIES = {
    "mobilenet_v2": ("mobilenet_v2_x0.5", "mobilenetv2_050.tf_qat_in1k"),
    "efficientnet_v2": ("efficientnet_v2_b0", "tf_efficientnetv2_b0.in1k"),
}


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with a head that was fitted to the train images of `dataset`."""

    network: Network
    preprocessing: Preprocessing
    dataset: Dataset


def pictures(folder: Path, shared: Path | None, *, train: int, test: int) -> Dataset:
    """Plant seedlings of twelve species, 150 x 150, or, without the real ones, twelve textures of about that size.

    `train`, `test`: images a class.
    """
    archive = shared / "data/plant_seedlings/plant_seedlings.zip" if shared else None
    files = _seedlings(archive, folder, train, test) if archive else _textures(folder, train, test)
    classes = tuple(sorted({path.parent.name for path, _ in files}))
    samples = tuple(
        Sample(
            str(path.relative_to(folder)), ImageFile(path), classes.index(path.parent.name), split, None, sha256(path)
        )
        for path, split in sorted(files)
    )
    return Dataset("pictures", "a test", classes, samples, "given").fingerprinted()


def _seedlings(archive: Path, folder: Path, train: int, test: int) -> list[tuple[Path, str]]:
    files = []
    with zipfile.ZipFile(archive) as content:
        names = sorted(name for name in content.namelist() if name.endswith(".jpg"))
        for split, count in (("train", train), ("test", test)):
            of_split = [Path(name) for name in names if f"{split}/" in name]
            for species in sorted({name.parent.name for name in of_split}):
                for name in [name for name in of_split if name.parent.name == species][:count]:
                    path = folder / split / species / name.name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content.read(str(name)))
                    files.append((path, split))
    return files


def _textures(folder: Path, train: int, test: int) -> list[tuple[Path, str]]:
    """Gratings of twelve directions and colours under noise, fine enough to alias when pixels are skipped."""
    random = np.random.default_rng(0)
    files = []
    for kind in range(12):
        for i in range(train + test):
            split = "train" if i < train else "test"
            height, width = random.integers(120, 180, 2)
            y, x = np.mgrid[:height, :width]
            along = np.cos(np.pi * kind / 12) * x + np.sin(np.pi * kind / 12) * y
            grating = np.sin(along * random.uniform(1.2, 1.6) + random.uniform(0, 6))
            colour = 128 + 60 * np.cos(2 * np.pi * (kind / 12 + np.arange(3) / 3))
            noise = random.normal(0, 25, (height, width, 3))
            pixels = np.clip(colour + 50 * grating[..., None] + noise, 0, 255).astype(np.uint8)
            path = folder / split / f"texture {kind:02}" / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            files.append((path, split))
    return files


def trained(family: str, dataset: Dataset, shared: Path | None, cache: Path, *, seed: int = 0) -> Trained:
    """Published weights (else random ones, with batch norms that fit the images) below a head solved for by least
    squares on a random nine tenths of the train images.
    """
    name, folder = FAMILIES[family]
    if shared:
        weights = shared / "weights" / folder
        network = create_model(name, num_classes=len(dataset.classes), weights=weights)
        preprocessing = replace(find_weights(weights, name).preprocessing, resolution=SIDE)
    else:
        network = build_model(get_spec(name), num_classes=len(dataset.classes), seed=0)
        preprocessing = Preprocessing(SIDE)
    store = decode_for_evaluation(dataset, preprocessing, cache_dir=cache, workers=1)
    rows = dataset.indices("train")
    batches = Batches(store, rows, batch_size=32, device=torch.device("cpu"))
    images = torch.cat([normalize(batch, preprocessing) for batch, _, _ in batches.epoch(0)])
    if not shared:
        settle(network, images)
    with torch.inference_mode():
        features = network.eval().forward_features(images).double()
    _solve_head(network, features, torch.from_numpy(store.labels[rows]), seed)
    return Trained(network, preprocessing, dataset)


def settle(network: Network, images: torch.Tensor) -> None:
    """Gives fresh batch norms the statistics of `images` (N, 3, H, W), without which features fade with depth.

    They alone are in train mode: dropout and stochastic depth would give other statistics each time.
    """
    network.eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train().reset_running_stats()
            module.momentum = None  # the mean of all batches: of one
    with torch.inference_mode():
        network(images)
    network.eval()


def _solve_head(network: Network, features: torch.Tensor, labels: torch.Tensor, seed: int) -> None:
    """Ridge regression on one-hot targets; its outputs, in [0, 1], become logits of a useful size."""
    chosen = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[: len(labels) * 9 // 10]
    targets = torch.eye(network.num_classes, dtype=torch.float64)[labels[chosen]]
    mean = features[chosen].mean(0)
    centred = features[chosen] - mean
    gram = centred @ centred.T  # (n, n): there are fewer images than features
    dual = torch.linalg.solve(
        gram + 0.1 * gram.trace() / len(gram) * torch.eye(len(gram), dtype=torch.float64), targets
    )
    weight = 8.0 * centred.T @ dual  # (features, classes)
    with torch.no_grad():
        network.classifier.weight.copy_(weight.T)
        network.classifier.bias.copy_(-mean @ weight)


def write_onnx(trained: Trained, folder: Path, *, any_size: bool = False) -> Path:
    """The clean model in `folder`, for prepared pixels or for images of any size."""
    folder.mkdir(parents=True, exist_ok=True)
    entry = onnx.write(deployable(trained.network, trained.preprocessing), folder)
    if any_size:
        onnx.add_prepare(entry, trained.preprocessing)
    return entry


def describe(
    folder: Path,
    trained: Trained,
    *,
    runtime: str = "onnx",
    precision: str = "fp32",
    labels: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    any_size: bool = False,
) -> Path:
    """Writes what lies beside a model: artifact.json, labels.txt, predict.py. Returns the folder."""
    shown = preprocessing or trained.preprocessing
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in labels or trained.dataset.classes), "utf-8")
    shutil.copy(reader.__file__, folder / "predict.py")
    names = [path.name for path in sorted(folder.iterdir()) if path.suffix not in (".py", ".json", ".md")]
    entry = next(name for name in names if name.endswith((".onnx", ".xml", ".tflite", ".pte")))
    side = None if any_size else shown.resolution
    ArtifactRecord(
        runtime=runtime,
        precision=precision,
        entry=entry,
        files={name: FileInfo(sha256=sha256(folder / name), bytes=(folder / name).stat().st_size) for name in names},
        model=trained.network.spec.name,
        resolution=shown.resolution,
        num_classes=len(trained.dataset.classes),
        input=InputShape(height=side, width=side, batch=None if runtime in ("onnx", "openvino") else 1),
        preprocessing=ArtifactPreprocessing(
            resolution=shown.resolution,
            resize_side=shown.resize_side,
            resize=shown.resize,
            interpolation=shown.interpolation,
            mean=shown.mean,
            std=shown.std,
        ),
        run=ArtifactOrigin(id="a test", network_sha256="0" * 64),
        params=1,
        macs=1,
        versions={},
        created="2026-01-01T00:00:00Z",
        foray_version="0.1.0",
    ).save(folder / "artifact.json")
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
