"""A small depthwise network that has learned scikit-learn's digits, and float32 files of it for every runtime."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from foray.data.preprocessing import normalize
from foray.export.graph import Deployable, example_images
from foray.export.quantization import TrainImages
from foray.export.quantization.fake_quantization import named_layers
from foray.models import Network, build_model, fold_batch_norm
from foray.specs import Preprocessing, get_spec
from foray.specs.spec import Conv, InvertedResidual

SIDE = 16
PREPROCESSING = Preprocessing(resolution=SIDE, crop_pct=1.0)
TINY = replace(
    get_spec("mobilenet_v2"),
    name="tiny",
    resolution=SIDE,
    stem=Conv(out_channels=8, kernel=3, stride=1),
    stages=(InvertedResidual(1, 8, 1, 1), InvertedResidual(4, 12, 2, 2)),
    head=Conv(out_channels=32, kernel=1),
)
_STEPS, _BATCH = 150, 64


@dataclass(frozen=True, eq=False)
class Digits:
    """Images uint8 (N, 16, 16, 3) with labels; the first 1,200 are train, the rest val."""

    network: Network
    pixels: np.ndarray
    labels: np.ndarray
    train: TrainImages

    @property
    def val(self) -> np.ndarray:
        """Images no training or calibration sees."""
        return self.pixels[1200:]


@pytest.fixture(scope="session")
def digits() -> Digits:
    """The network, trained for a few seconds, and its images."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    pixels, labels = np.repeat(grey[..., None], 3, axis=3), bunch.target.astype(np.int64)
    network = build_model(TINY, num_classes=10, dropout=0.0, seed=0).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    generator = np.random.default_rng(0)
    for _ in range(_STEPS):
        rows = generator.choice(1200, _BATCH, replace=False)
        images = normalize(torch.from_numpy(pixels[rows]).permute(0, 3, 1, 2), PREPROCESSING)
        loss = F.cross_entropy(network(images), torch.from_numpy(labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    train = TrainImages(pixels, np.arange(1200), labels[:1200])
    return Digits(network.eval().requires_grad_(False), pixels, labels, train)


def damaged(network: Network) -> tuple[Network, str]:
    """`network`, folded, with one depthwise channel scaled by 1000 and the layer after it, the one named, undoing it.

    The same function in float32, since the rectifier between them has no ceiling here; in int8 one scale for all
    channels leaves the others of that tensor hardly a level.
    """
    folded = fold_batch_norm(network)
    layers = named_layers(folded)
    folded.get_submodule("stages.1.0.depthwise").activation = nn.ReLU()
    depthwise, reader, channel = layers["stages.1.0.depthwise.conv"], "stages.1.0.project.conv", 3
    depthwise.weight[channel] *= 1000
    depthwise.bias[channel] *= 1000
    layers[reader].weight[:, channel] /= 1000
    return folded, reader


def write_onnx(module: Deployable, folder: Path) -> Path:
    """The float32 .onnx file for any number of images."""
    batch = ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module, (example_images(module, 2),), dynamic_shapes=batch, dynamo=True, verbose=False
        )
    program.save(folder / "model.onnx")
    return folder / "model.onnx"


def write_openvino(module: Deployable, folder: Path) -> Path:
    """The float32 .xml and .bin files for any number of images."""
    import openvino

    batch = ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(module, (example_images(module, 2),), dynamic_shapes=batch)
        model = openvino.convert_model(exported)
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    return folder / "model.xml"


def write_litert(module: Deployable, folder: Path) -> Path:
    """The float32 .tflite file for one image."""
    import litert_torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        litert_torch.convert(module, (example_images(module),)).export(str(folder / "model.tflite"))
    return folder / "model.tflite"


def write_nothing(module: Deployable, folder: Path) -> Path:
    """ExecuTorch needs no float32 file."""
    raise AssertionError("not called")


WRITE_FLOAT = {"onnx": write_onnx, "openvino": write_openvino, "litert": write_litert, "executorch": write_nothing}


def run_onnx(entry: Path, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(entry)
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def run_openvino(entry: Path, images: np.ndarray) -> np.ndarray:
    import openvino

    compiled = openvino.Core().compile_model(entry, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(images)[0]


def run_litert(entry: Path, images: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(entry))
    runner = interpreter.get_signature_runner()
    (name,) = runner.get_input_details()
    return np.concatenate([next(iter(runner(**{name: image[None]}).values())) for image in images])


def run_executorch(entry: Path, images: np.ndarray) -> np.ndarray:
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(entry).load_method("forward")
    return np.concatenate([method.execute([torch.from_numpy(image[None].copy())])[0].numpy() for image in images])


RUN = {"onnx": run_onnx, "openvino": run_openvino, "litert": run_litert, "executorch": run_executorch}
