"""Networks timed in PyTorch: what their costs hold beside the times, which nobody asserts."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.clock.schedule import AT_ONCE
from foray.costs import analyse
from foray.errors import ForayError
from foray.export.timing import artifact_candidate, fresh_subject, in_pytorch, timed_costs
from foray.specs import Preprocessing


@pytest.mark.parametrize("keep_resident", [True, False])
def test_costs_in_pytorch_are_those_of_the_analysis_with_times(keep_resident: bool) -> None:
    subject = fresh_subject("mobilenet_v1_x0.25", 4, Preprocessing(resolution=32))
    costs = timed_costs([subject], in_pytorch(1), keep_resident=keep_resident, schedule=AT_ONCE)
    cost, analysed = costs["mobilenet_v1_x0.25"], analyse(subject.source.network, subject.name, 32)
    for field in ("model", "resolution", "params", "macs", "peak_memory_bytes", "file_bytes", "hardware"):
        assert getattr(cost, field) == getattr(analysed, field), field
    assert (cost.runtime, cost.precision, cost.threads, cost.latency_bursts) == ("torch", "float32", 1, 1)
    assert cost.latency_p50_ms is not None
    if keep_resident:
        assert cost.resident_memory_bytes is not None
        assert cost.resident_memory_bytes > analysed.peak_memory_bytes  # with PyTorch itself
        assert cost.cost("memory") == cost.resident_memory_bytes
    else:
        assert cost.resident_memory_bytes is None
        assert cost.cost("memory") == analysed.peak_memory_bytes


def test_a_folder_that_is_no_artifact_is_not_timed(tmp_path: Path) -> None:
    with pytest.raises(ForayError, match="is not a complete artifact"):
        artifact_candidate(tmp_path, 1)
