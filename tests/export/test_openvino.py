"""OpenVINO models say what PyTorch says, in float32 unless they are asked for less."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from foray.specs import Preprocessing
from models.test_odd_sizes import TENSORFLOW
from tests import rounding
from tests.export.digits import Digits
from tests.rounding import BFLOAT16, STORED_FLOAT16, Format

from .conftest import SIZES, Case, Run, assert_resizes_as_pillow, case, photo
from .faults_on_purpose import faulty

openvino = pytest.importorskip("openvino", reason="openvino is not installed (extra: openvino)")

from foray.export.openvino import finish, write  # noqa: E402

PIXELS = 5e-3  # see test_onnx
F32 = {"INFERENCE_PRECISION_HINT": "f32"}


def opened(path: Path, hint: str = "f32") -> Run:
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda images: np.array(compiled(images)[0])


@pytest.fixture(scope="module")
def prepared(depthwise: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without resize and crop."""
    return write(depthwise.module, tmp_path_factory.mktemp("openvino"))


def finished(prepared: Path, folder: Path, one: Case, precision: str) -> Path:
    for suffix in (".xml", ".bin"):
        shutil.copy(prepared.with_suffix(suffix), folder)
    finish(folder / prepared.name, one.preprocessing, precision)
    return folder / prepared.name


def test_every_kind_of_block_gives_pytorchs_probabilities(tmp_path: Path) -> None:
    one = case(TENSORFLOW, 65)
    images = np.stack([photo(65, 65, seed=seed) for seed in range(3)])
    found = opened(write(one.module, tmp_path))(images)
    with torch.inference_mode():
        np.testing.assert_allclose(found, one.module(torch.from_numpy(images)), rtol=0, atol=1e-5)


def test_images_of_any_size_are_resized_and_cropped(depthwise: Case, prepared: Path, tmp_path: Path) -> None:
    run = opened(finished(prepared, tmp_path, depthwise, "fp32"))
    for height, width in SIZES:
        assert depthwise.largest_difference(run, photo(height, width)[None]) < PIXELS
    batch = np.stack([photo(90, 70, seed=seed) for seed in range(3)])
    assert depthwise.largest_difference(run, batch) < PIXELS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]


@pytest.mark.parametrize("resize", ["cut", "rounded", "squashed"])
def test_the_graph_resizes_as_pillow_does_in_every_way(resize: str) -> None:
    from foray.export.openvino_prepare import prepare_graph

    how = Preprocessing(resolution=24, crop_pct=0.8, resize=resize)
    images, squares = prepare_graph(how)
    compiled = openvino.Core().compile_model(openvino.Model([squares], [images]), "CPU", F32)
    assert_resizes_as_pillow(lambda images: np.array(compiled(images)[0]), how)


def test_the_network_is_compiled_for_one_size(depthwise: Case, prepared: Path, tmp_path: Path) -> None:
    """Only what comes before it depends on the image: shapes that are known beforehand run faster."""
    model = openvino.Core().read_model(finished(prepared, tmp_path, depthwise, "fp32"))
    model.reshape([1, -1, -1, 3])
    convolutions = [op for op in model.get_ops() if op.get_type_name() in ("Convolution", "GroupConvolution")]
    assert len(convolutions) == sum("conv.weight" in key for key in depthwise.module.state_dict())
    assert all(convolution.output(0).get_partial_shape().is_static for convolution in convolutions)


@pytest.mark.parametrize(("precision", "hint"), [("fp32", "f32"), ("fp16", "f32"), ("bf16", "bf16")])
def test_the_file_says_its_precision(
    depthwise: Case, prepared: Path, tmp_path: Path, precision: str, hint: str
) -> None:
    path = finished(prepared, tmp_path, depthwise, precision)
    model = openvino.Core().read_model(path)
    assert model.get_rt_info(["runtime_options", "INFERENCE_PRECISION_HINT"]).astype(str) == hint
    assert model.get_rt_info(["foray", "precision"]).astype(str) == precision
    small = path.with_suffix(".bin").stat().st_size < 0.7 * prepared.with_suffix(".bin").stat().st_size
    assert small == (precision != "fp32")
    if precision == "fp32":
        assert depthwise.largest_difference(opened(path, hint), photo(37, 50)[None]) < PIXELS


@pytest.mark.parametrize(
    ("precision", "hint", "format_"), [("fp16", "f32", STORED_FLOAT16), ("bf16", "bf16", BFLOAT16)]
)
def test_fewer_bits_cost_what_their_rounding_explains_and_hide_no_fault(
    learned: Case, digits: Digits, tmp_path: Path, precision: str, hint: str, format_: Format
) -> None:
    """Whether the processor has the format or emulates it."""
    path, images = write(learned.module, tmp_path), torch.from_numpy(digits.val[:32])
    finish(path, learned.preprocessing, precision)
    tolerance = rounding.tolerance(learned.module, images, format_)
    found = torch.from_numpy(opened(path, hint)(images.numpy()))
    assert 1e-6 < rounding.largest_difference(found, learned.module(images)) < tolerance
    for what, module in faulty(learned.module):
        assert rounding.largest_difference(found, module(images)) > tolerance, what


TOLD = """
import sys
from foray.process_state import process_state_restored, send_no_telemetry
if sys.argv[1] == "own":
    send_no_telemetry()
with process_state_restored():
    import nncf.telemetry.wrapper as wrapper, openvino.tools.ovc.telemetry_utils as utils
print(utils.tm.__name__, isinstance(wrapper.telemetry, wrapper.NNCFTelemetryStub), "openvino_telemetry" in sys.modules)
"""


@pytest.mark.parametrize("process", ["own", "caller's"])
def test_nobody_is_told(process: str) -> None:
    """OpenVINO and NNCF report conversions to their makers by a package that they do without while foray works."""
    pytest.importorskip("nncf")
    command = [sys.executable, "-c", TOLD, process]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert printed == ["openvino.tools.ovc.telemetry_stub", "True", str(process == "own")]
