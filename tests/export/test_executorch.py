"""ExecuTorch programs say what PyTorch says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from .conftest import Case, photo

runtime = pytest.importorskip("executorch.runtime", reason="executorch is not installed (extra: executorch)")


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("fp16", 1e-2)])
def test_probabilities_are_those_of_pytorch(depthwise: Case, tmp_path: Path, precision: str, tolerance: float) -> None:
    from foray.export.runtimes import RUNTIMES, write_float

    path = write_float(RUNTIMES["executorch"], precision, depthwise.module, tmp_path)
    images = photo(64, 64)[None]
    method = runtime.Runtime.get().load_program(path).load_method("forward")
    found = method.execute([torch.from_numpy(depthwise.prepared(images))])[0]
    assert found.dtype == torch.float32
    assert np.abs(found.numpy() - depthwise.expected(images)).max() < tolerance
    params = sum(parameter.numel() for parameter in depthwise.module.parameters())
    assert params < path.stat().st_size < 4.6 * params  # XNNPACK stores float32 weights for float16 arithmetic too
    difference = (found - torch.from_numpy(depthwise.expected(images))).abs().max()
    assert (difference > 1e-5) == (precision == "fp16")
