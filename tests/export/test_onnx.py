"""ONNX files say what PyTorch says, for every kind of block, any size of image and any number of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from foray.errors import ForayError
from foray.export.graph import Deployable
from foray.export.runtimes import RUNTIMES, write_float
from foray.specs import Preprocessing
from models.test_odd_sizes import SYMMETRIC, TENSORFLOW

from .conftest import SIZES, Case, Run, assert_resizes_as_pillow, case, photo

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra: onnx)")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")

# One grey level in a few pixels, where a sum lies between two, moves a probability by less.
PIXELS = 5e-3


def opened(path: Path) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


@pytest.fixture(scope="module", params=[TENSORFLOW, SYMMETRIC], ids=["tensorflow", "symmetric"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Path]:
    """Every kind of block there is, in either convention of padding, squeeze-excitation in both styles."""
    from foray.export.onnx import write

    one = case(request.param, 65)
    return one, write(one.module, tmp_path_factory.mktemp("onnx"))


def test_probabilities_are_those_of_pytorch(written: tuple[Case, Path]) -> None:
    one, path = written
    run = opened(path)
    onnx.checker.check_model(path, full_check=True)
    for n in (1, 3):
        images = np.stack([photo(65, 65, seed=seed) for seed in range(n)])
        found = run(images)
        with torch.inference_mode():
            np.testing.assert_allclose(found, one.module(torch.from_numpy(images)), rtol=0, atol=1e-5)
    assert "BatchNormalization" not in {node.op_type for node in onnx.load(path).graph.node}


@pytest.fixture(scope="module")
def whole(depthwise: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With resize and crop."""
    from foray.export.onnx import add_prepare, write

    path = write(depthwise.module, tmp_path_factory.mktemp("onnx"))
    add_prepare(path, depthwise.preprocessing)
    return path


def test_images_of_any_size_are_resized_and_cropped(depthwise: Case, whole: Path) -> None:
    run = opened(whole)
    for height, width in SIZES:
        assert depthwise.largest_difference(run, photo(height, width)[None]) < PIXELS
    batch = np.stack([photo(90, 70, seed=seed) for seed in range(3)])
    assert depthwise.largest_difference(run, batch) < PIXELS
    assert depthwise.largest_difference(run, photo(64, 64)[None]) < 1e-5 or depthwise.preprocessing.resize_side != 64
    onnx.checker.check_model(whole, full_check=True)


@pytest.mark.parametrize("resize", ["cut", "rounded", "squashed"])
def test_the_graph_resizes_as_pillow_does_in_every_way(resize: str) -> None:
    from foray.export.onnx_prepare import prepare_model

    how = Preprocessing(resolution=24, crop_pct=0.8, resize=resize)
    session = onnxruntime.InferenceSession(prepare_model(how, 18, 8).SerializeToString())
    assert_resizes_as_pillow(lambda images: session.run(None, {"images": images})[0], how)


def test_float16_halves_the_file_and_keeps_the_probabilities(depthwise: Case, whole: Path, tmp_path: Path) -> None:
    from foray.export.onnx import halve_weights

    path = Path(shutil.copy(whole, tmp_path / "model.onnx"))
    halve_weights(path)
    assert path.stat().st_size < 0.7 * whole.stat().st_size
    assert depthwise.largest_difference(opened(path), photo(37, 50)[None]) < PIXELS


class Unknown(nn.Module):
    """An operator that ONNX does not have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x)


def test_an_operator_that_is_not_there_is_named(depthwise: Case, tmp_path: Path) -> None:
    network = case(replace(TENSORFLOW, stages=TENSORFLOW.stages[:1])).module.network
    network.dropout = Unknown()
    module = Deployable(network, depthwise.preprocessing).eval()
    with pytest.raises(ForayError, match=r"cannot be written for onnx .*bessel_j0.* Another runtime may support it"):
        write_float(RUNTIMES["onnx"], "fp32", module, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_for_one_number_of_images_is_refused() -> None:
    """Its reshape has two written into it: a file that says any number would fail on a device."""
    from foray.export.onnx import _for_any_number

    model = onnx.parser.parse_model("""
<ir_version: 8, opset_import: ["" : 18]>
two (float[2, 3] images) => (float[2, 3] probabilities)
<int64[2] two_of_three = {2, 3}>
{
  probabilities = Reshape (images, two_of_three)
}""")
    with pytest.raises(AssertionError, match="depends on the batch size"):
        _for_any_number(model)
