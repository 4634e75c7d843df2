"""An exported file whose labels differ from float32 on as many new images as a test wants."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from foray.deploy import classify, open_artifact, open_session
from foray.records import ArtifactRecord, file_sha256
from foray.records.files import write_text
from foray.regular_files import read_regular

CLASSES = {"blue": (90, 95, 170), "green": (95, 165, 95), "red": (170, 95, 95)}
SIDE = 40


def picture(rng: np.random.Generator, colour: Sequence[int]) -> Image.Image:
    """Blobs around a colour: no two look alike."""
    blobs = np.clip(np.array(colour) + rng.normal(0, 20, 3) + rng.normal(0, 40, (5, 5, 3)), 0, 255)
    large = Image.fromarray(blobs.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    noise = np.asarray(large).astype(float) + rng.normal(0, 6, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))


def paint_classes(folder: Path, per_class: int) -> Path:
    """Images with labels to train on."""
    rng = np.random.default_rng(0)
    for name, colour in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            picture(rng, colour).save(folder / name / f"{i:03}.png")
    return folder


def paint_new(folder: Path, count: int, seed: int = 1) -> Path:
    """Images without labels, of all classes, in two folders."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        path = folder / ("day" if i % 2 else "night") / f"{i:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(rng, list(CLASSES.values())[i % 3]).save(path)
    return folder


@dataclass(frozen=True, eq=False)
class Files:
    """A run, a file exported from it, and N new images with the log-probabilities that the file gives them."""

    run: Path
    artifact: Path
    images: Path
    ids: list[str]
    logs: np.ndarray  # (N, C)

    @property
    def float32(self) -> np.ndarray:
        """(N,) labels."""
        return self.logs.argmax(axis=1)

    def flipped(self, folder: Path, flips: int) -> tuple[Path, list[str], int]:
        """A copy of the file, called int8, that gives just so many images another class: the file, the images, the
        class. A class gets a larger bias, half-way between the images that it wins and those that it does not."""
        best = max(range(len(CLASSES)), key=lambda i: self._gap(i, flips))
        margins = self._margins(best)
        bias = float(np.sort(margins)[flips - 1 : flips + 1].mean())
        ids = [self.ids[i] for i in np.flatnonzero(margins < bias)]
        shutil.copytree(self.artifact, folder)
        add_bias(folder, best, bias)
        return folder, sorted(ids), best

    def _margins(self, index: int) -> np.ndarray:
        margins = self.logs.max(axis=1) - self.logs[:, index]
        return np.where(margins > 0, margins, np.inf)

    def _gap(self, index: int, flips: int) -> float:
        ordered = np.sort(self._margins(index))[flips - 1 : flips + 1]
        return float(ordered[1] - ordered[0]) if np.isfinite(ordered).all() else -1.0


def log_probabilities(artifact: Path, images: Path, ids: Sequence[str]) -> np.ndarray:
    opened = open_artifact(artifact)
    session = open_session(opened, 1)
    return np.log(np.concatenate([classify(opened, session, [images / id_]) for id_ in ids]))


def add_bias(folder: Path, index: int, bias: float) -> None:
    """Adds to the bias of one class, and signs the file as one of int8."""
    import onnx

    model = onnx.load_from_string(read_regular(folder / "model.onnx"))
    stored = [tensor for tensor in model.graph.initializer if list(tensor.dims) == [len(CLASSES)]]
    names = {name for node in model.graph.node if node.op_type == "Gemm" for name in node.input}
    [tensor] = [tensor for tensor in stored if tensor.name in names]
    array = onnx.numpy_helper.to_array(tensor).copy()
    array[index] += bias
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    sign(folder, precision="int8")


def sign(folder: Path, **changes: object) -> None:
    """Writes artifact.json again, with the files' present digests and with other fields."""
    record = ArtifactRecord.load(folder / "artifact.json")
    files = {
        name: info.model_copy(update={"sha256": file_sha256(folder / name), "bytes": (folder / name).stat().st_size})
        for name, info in record.files.items()
    }
    record.model_copy(update={"files": files, **changes}).save(folder / "artifact.json")


def write_labels(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    write_text(path, "image,label\n" + "".join(f"{image},{label}\n" for image, label in rows))
    return path
