"""int8 files of every runtime, run by that runtime."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from foray.export.graph import deployable
from foray.export.quantization import Int8Request, Quantized, Settings, quantize
from foray.export.quantization.fake_quantization import named_layers
from foray.export.quiet import quiet
from foray.export.runtimes import RUNTIMES
from tests.export.digits import PREPROCESSING, Digits
from tests.export.quantization.conftest import run

NEEDS = {"onnx": "onnxruntime", "openvino": "nncf", "litert": "ai_edge_quantizer", "executorch": "executorch"}


@pytest.fixture(scope="module", params=RUNTIMES)
def quantized(request, digits: Digits, tmp_path_factory) -> tuple[str, Quantized]:
    runtime = request.param
    if importlib.util.find_spec(NEEDS[runtime]) is None:
        pytest.skip(f"{NEEDS[runtime]} is not installed (extra: {runtime})")
    folder = tmp_path_factory.mktemp(runtime)
    settings = Settings(images=40)
    return runtime, quantize(digits.network, PREPROCESSING, runtime, digits.train, folder, Int8Request(settings))


def test_labels_are_those_of_the_float_network(quantized, digits: Digits) -> None:
    runtime, model = quantized
    expected = deployable(digits.network, PREPROCESSING)(torch.from_numpy(digits.val[:200])).numpy()
    found = run(runtime, model.entry, digits.val[:200])
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.sum(1), 1, atol=0.01)
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.95
    assert 0 < np.abs(found - expected).max() < 0.5  # rounded, not the float model


def test_folder_holds_the_model_and_nothing_else(quantized) -> None:
    _, model = quantized
    assert sorted(model.entry.parent.iterdir()) == sorted(model.files)
    assert (model.loss, model.meets_tolerance, model.speed, model.remedies) == (None, True, None, ())


def test_weights_have_one_scale_a_channel(quantized, digits: Digits) -> None:
    runtime, model = quantized
    channels = [layer.weight.shape[0] for layer in named_layers(digits.network).values()]
    assert sorted(SCALES[runtime](model.entry)) == sorted(channels)


def scales_onnx(entry: Path) -> list[int]:
    import onnx

    model = onnx.load(entry)
    dims = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in dims]
    return [math.prod(dims[node.input[1]]) for node in nodes if len(dims[node.input[0]]) > 1]


def scales_openvino(entry: Path) -> list[int]:
    import openvino

    counts = []
    for operation in openvino.Core().read_model(entry).get_ordered_ops():
        if operation.get_type_name() == "Constant" and operation.get_element_type().get_type_name() == "i8":
            (convert,) = operation.output(0).get_target_inputs()
            (multiply,) = convert.get_node().output(0).get_target_inputs()
            counts.append(math.prod(multiply.get_node().input_value(1).get_shape()))
    return counts


def scales_litert(entry: Path) -> list[int]:
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(str(entry)).get_tensor_details()
    weights = [
        tensor
        for tensor in details
        if tensor["dtype"] == np.int8 and tensor["quantization_parameters"]["scales"].size > 1
    ]
    return [tensor["quantization_parameters"]["scales"].size for tensor in weights]


def scales_executorch(entry: Path) -> list[int]:
    pytest.skip("the weights lie in an opaque XNNPACK payload; the next test looks at what the quantiser is told")


SCALES = {
    "onnx": scales_onnx,
    "openvino": scales_openvino,
    "litert": scales_litert,
    "executorch": scales_executorch,
}


def test_executorch_is_told_one_scale_a_channel() -> None:
    pytest.importorskip("executorch")
    with quiet():
        from foray.export.quantization.executorch import quantizer

        told = [quantizer(Settings(weights=weights)).global_config for weights in ("channel", "tensor")]
    assert [config.weight.qscheme for config in told] == [torch.per_channel_symmetric, torch.per_tensor_symmetric]
