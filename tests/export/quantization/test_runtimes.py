"""int8 files of every runtime, run by that runtime."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch

from foray.export.graph import deployable
from foray.export.quantization import RUNTIMES, Quantized, Settings, quantize
from tests.export.quantization.conftest import PREPROCESSING, RUN, WRITE_FLOAT, Digits

NEEDS = {"onnx": "onnxruntime", "openvino": "nncf", "litert": "ai_edge_quantizer", "executorch": "executorch"}


@pytest.fixture(scope="module", params=RUNTIMES)
def quantized(request, digits: Digits, tmp_path_factory) -> tuple[str, Quantized]:
    runtime = request.param
    if importlib.util.find_spec(NEEDS[runtime]) is None:
        pytest.skip(f"{NEEDS[runtime]} is not installed (extra: {runtime})")
    folder = tmp_path_factory.mktemp(runtime)
    settings = replace(Settings.default(runtime), images=40)
    return runtime, quantize(
        digits.network, runtime, digits.train, folder, preprocessing=PREPROCESSING,
        write_float=WRITE_FLOAT[runtime], settings=settings,
    )  # fmt: skip


def test_labels_are_those_of_the_float_network(quantized, digits: Digits) -> None:
    runtime, model = quantized
    expected = deployable(digits.network, PREPROCESSING)(torch.from_numpy(digits.val[:200])).numpy()
    found = RUN[runtime](model.entry, digits.val[:200])
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.sum(1), 1, atol=0.01)
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.95
    assert 0 < np.abs(found - expected).max() < 0.5  # rounded, not the float model


def test_folder_holds_the_model_and_nothing_else(quantized) -> None:
    _, model = quantized
    assert sorted(model.entry.parent.iterdir()) == sorted(model.files)
    assert (model.result, model.meets_tolerance, model.remedies) == (None, True, ())
