"""LiteRT files say what PyTorch says."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from foray.data.network_input import normalize
from foray.export.graph import deployable
from foray.specs import Preprocessing, get_spec

from .conftest import Case, Run, lively, photo

if find_spec("litert_torch") is None:  # not imported: it takes seconds, and every process collects this file
    pytest.skip("litert-torch is not installed (extra: litert)", allow_module_level=True)
interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="not installed (extra: litert)")


def opened(path: Path) -> Run:
    model = interpreter.Interpreter(model_path=str(path), num_threads=1)
    model.allocate_tensors()
    (given,), (result,) = model.get_input_details(), model.get_output_details()
    assert given["dtype"] == np.uint8

    def run(images: np.ndarray) -> np.ndarray:
        model.set_tensor(given["index"], images)
        model.invoke()
        return model.get_tensor(result["index"])

    return run


def test_float32_and_float16(depthwise: Case, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from foray.export.litert import halve_weights, write

    path = write(depthwise.module, tmp_path)
    assert capfd.readouterr() == ("", "")  # C++ included
    images = photo(64, 64)[None]
    prepared = depthwise.prepared(images)
    whole_bytes = path.stat().st_size
    assert np.abs(opened(path)(prepared) - depthwise.expected(images)).max() < 1e-5
    halve_weights(path)
    assert path.stat().st_size < 0.6 * whole_bytes
    assert np.abs(opened(path)(prepared) - depthwise.expected(images)).max() < 5e-3


def test_weights_may_lie_channels_last(tmp_path: Path) -> None:
    """As training and scoring leave them. The exporter reads them in the wrong order and says nothing."""
    from foray.export.litert import write

    network = lively(get_spec("resnet18")).to(memory_format=torch.channels_last)
    preprocessing = Preprocessing(resolution=32)
    written = Case(deployable(network, preprocessing), preprocessing)
    images = photo(32, 32)[None]
    found = opened(write(written.module, tmp_path))(written.prepared(images))
    with torch.inference_mode():
        normalized = normalize(torch.from_numpy(written.prepared(images)).permute(0, 3, 1, 2), preprocessing)
        expected = network(normalized).softmax(1).numpy()
    assert np.abs(found - expected).max() < 1e-4
