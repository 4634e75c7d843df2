"""ExecuTorch programs say what PyTorch says."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import rounding
from tests.export.digits import Digits
from tests.rounding import FLOAT16

from .conftest import Case, photo
from .faults_on_purpose import faulty

# Imported by the tests alone: it takes seconds, and every process collects this file.
pytestmark = pytest.mark.skipif(find_spec("executorch") is None, reason="executorch is not installed (extra)")


def loaded(path: Path) -> Any:
    """The program's method."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its interface is experimental
        from executorch.runtime import Runtime

    return Runtime.get().load_program(path).load_method("forward")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_probabilities_are_those_of_pytorch(depthwise: Case, tmp_path: Path, precision: str) -> None:
    from foray.export.runtimes import RUNTIMES, write_float

    path = write_float(RUNTIMES["executorch"], precision, depthwise.module, tmp_path)
    images = photo(64, 64)[None]
    method = loaded(path)
    found = method.execute([torch.from_numpy(depthwise.prepared(images))])[0]
    assert found.dtype == torch.float32
    params = sum(parameter.numel() for parameter in depthwise.module.parameters())
    assert params < path.stat().st_size < 4.6 * params  # XNNPACK stores float32 weights for float16 arithmetic too
    difference = (found - torch.from_numpy(depthwise.expected(images))).abs().max()
    assert (difference > 1e-5) == (precision == "fp16")


def test_float16_costs_what_its_rounding_explains_and_hides_no_fault(
    learned: Case, digits: Digits, tmp_path: Path
) -> None:
    """Whether the processor has the format or emulates it."""
    from foray.export.runtimes import RUNTIMES, write_float

    path = write_float(RUNTIMES["executorch"], "fp16", learned.module, tmp_path)
    method = loaded(path)
    images = torch.from_numpy(digits.val[:32])
    tolerance = rounding.tolerance(learned.module, images, FLOAT16)
    found = torch.cat([method.execute([image[None]])[0].clone() for image in images])
    assert 1e-6 < rounding.largest_difference(found, learned.module(images)) < tolerance
    for what, module in faulty(learned.module):
        assert rounding.largest_difference(found, module(images)) > tolerance, what
