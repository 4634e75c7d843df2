"""int8 files for ONNX Runtime run in int8 from end to end, with the instructions that are there for it, and exactly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from foray.deploy import predict
from foray.export.graph import deployable
from foray.export.quantization import Settings
from foray.export.quantization.layers import weighted_layers
from foray.export.quiet import quiet
from foray.export.runtimes import RUNTIMES, float_writer
from foray.specs import ArchSpec, Preprocessing, get_spec
from tests.export.conftest import lively, photo

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra: onnx)")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")

SIDE = 64
SHORT_B0 = replace(get_spec("efficientnet_b0"), stages=get_spec("efficientnet_b0").stages[:2])  # three blocks
IN_FLOAT32 = Counter(Cast=1, Conv=1, QuantizeLinear=1, DequantizeLinear=1, Softmax=1)  # the Conv normalises
IN_INT8 = {
    "QLinearConv", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearGlobalAveragePool", "QGemm", "Transpose",
    "Flatten",
}  # fmt: skip


def quantized(spec: ArchSpec, folder: Path, silent_channel: bool = False) -> Path:
    from foray.export.quantization.onnx import quantize_onnx

    network = lively(spec)
    if silent_channel:
        network.get_submodule("stages.0.0.depthwise.conv").weight.data[3] = 0.0
    module = deployable(network, Preprocessing(resolution=SIDE))
    entry = float_writer(RUNTIMES["onnx"])(module, folder)
    images = np.stack([photo(SIDE, SIDE, seed=seed) for seed in range(4)])
    quantize_onnx(entry, images, folder / "int8.onnx", Settings(images=4), weighted_layers(module.network))
    return folder / "int8.onnx"


def operators_that_run(model: Path, optimized: Path) -> Counter[str]:
    """What onnxruntime makes of the file."""
    options = predict.onnx_options(1)
    options.optimized_model_filepath = str(optimized)
    with quiet():
        onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(optimized).graph.node)


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a channel whose weights are all zero, as published networks have."""
    return quantized(get_spec("mobilenet_v2_x0.35"), tmp_path_factory.mktemp("silent"), silent_channel=True)


def assert_in_int8(operators: Counter[str]) -> None:
    assert set(operators) <= set(IN_FLOAT32) | IN_INT8
    assert {kind: operators[kind] for kind in IN_FLOAT32} == dict(IN_FLOAT32)


def test_relu6_and_residuals_run_in_int8(silent: Path, tmp_path: Path) -> None:
    """Between normalisation and softmax nothing goes back to float32."""
    assert_in_int8(operators_that_run(silent, tmp_path / "optimized.onnx"))


def test_silu_and_squeeze_excitation_run_in_int8(tmp_path: Path) -> None:
    assert_in_int8(operators_that_run(quantized(SHORT_B0, tmp_path), tmp_path / "optimized.onnx"))


def test_weights_are_signed_and_activations_unsigned(silent: Path) -> None:
    """The pair that VNNI instructions multiply; zero point 0 in every channel, silent ones included."""
    model = onnx.load(silent)
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights, activations = [], []
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear":
            (weights if node.input[0] in constants else activations).append(constants[node.input[2]])
    matrices = [zero_points for zero_points in weights if zero_points.dtype != np.int32]  # biases are int32
    assert len(matrices) >= 53
    assert all(zero_points.dtype == np.int8 and not zero_points.any() for zero_points in matrices)
    assert activations
    assert all(zero_points.dtype == np.uint8 for zero_points in activations)


def test_what_a_session_answers_does_not_depend_on_the_processor(silent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With VNNI and in the way of processors without: the same bits, since neither rounds or saturates a sum."""
    images = np.stack([photo(SIDE, SIDE, seed=seed) for seed in range(8)])
    here = predict._open_onnx(silent, {}, 1)(images)
    monkeypatch.setattr(predict, "processor_features", frozenset)
    elsewhere = predict._open_onnx(silent, {}, 1)(images)
    np.testing.assert_allclose(here, elsewhere, rtol=0, atol=1e-6)
    assert len(np.unique(here.round(4), axis=0)) > 1


def test_sums_of_products_of_bytes_do_not_saturate(tmp_path: Path) -> None:
    """Pairs of 255 x 127 pass 16 bits, in which x86 processors without VNNI add signed to unsigned ones."""
    model = onnx.parser.parse_model("""
<ir_version: 8, opset_import: ["" : 18]>
sums (uint8[n, 64, 1, 1] images) => (float[n, 16, 1, 1] probabilities)
<float one = {1}, float step = {20000}, uint8 zero = {0}, int8 signed_zero = {0}>
{
  levels = QLinearConv (images, one, zero, weights, one, signed_zero, step, zero)
  probabilities = DequantizeLinear (levels, step, zero)
}""")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((16, 64, 1, 1), 127, np.int8), "weights"))
    onnx.save(model, tmp_path / "model.onnx")
    found = predict._open_onnx(tmp_path / "model.onnx", {}, 1)(np.full((1, 64, 1, 1), 255, np.uint8))
    assert (found == round(255 * 127 * 64 / 20000) * 20000).all()


@pytest.mark.parametrize(
    ("features", "asked"),
    [({"avx2"}, True), ({"avx2", "avx512f"}, True), (set(), True), ({"avx512_vnni"}, False), ({"avx_vnni"}, False)],
)
def test_only_processors_known_to_have_vnni_multiply_signed_with_unsigned(
    features: set[str], asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "processor_features", lambda: frozenset(features))
    options = predict.onnx_options(1)
    if asked:
        assert options.get_session_config_entry("session.x64quantprecision") == "1"
    else:
        with pytest.raises(RuntimeError):
            options.get_session_config_entry("session.x64quantprecision")


def test_means_over_a_map_are_pooling_and_normalisation_is_a_convolution(tmp_path: Path) -> None:
    """Written otherwise, both leave int8, or cost as much as a stage of the network; the numbers are the same."""
    module = deployable(lively(SHORT_B0), Preprocessing(resolution=SIDE))
    entry = float_writer(RUNTIMES["onnx"])(module, tmp_path)
    operators = Counter(node.op_type for node in onnx.load(entry).graph.node)
    assert operators["ReduceMean"] == 0
    assert operators["GlobalAveragePool"] == 4  # three blocks and the head
    assert operators["Add"] == 1  # a residual
    images = np.stack([photo(SIDE, SIDE, seed=seed) for seed in range(2)])
    with torch.inference_mode():
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(predict._open_onnx(entry, {}, 1)(images), expected, rtol=0, atol=1e-5)
