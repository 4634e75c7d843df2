"""times.json: it comes back as it was, and what cannot be times is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foray.errors import RunError
from foray.records.side_by_side import SideBySideTimes
from tests.reproduce.timed import training_times

TIMES = training_times(mobile=[0.3, 0.31], b0=[0.6, 0.62])


def test_times_come_back_as_they_were(tmp_path: Path) -> None:
    TIMES.save(tmp_path / "times.json")
    found = SideBySideTimes.load(tmp_path / "times.json")
    assert found == TIMES
    assert found.rounds == 2
    mobile = found.network("mobilenet_v2", 224, "whole")
    assert mobile is not None
    assert mobile.seconds == [0.3, 0.31]
    assert found.network("mobilenet_v2", 224, None) is None


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("seconds", [0.3], "different numbers of rounds"),
        ("seconds", [], "at least 1"),
        ("seconds", [0.3, 0.0], "greater than 0"),
        ("seconds", [0.3, -1.0], "greater than 0"),
        ("model", "efficientnet_b0", "there twice"),
    ],
)
def test_damaged_times_are_refused(tmp_path: Path, field: str, value: object, why: str) -> None:
    content = json.loads(TIMES.model_dump_json())
    content["networks"][0][field] = value
    path = tmp_path / "times.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=rf"(?s)times\.json is damaged.*{why}.*Delete its folder and run again"):
        SideBySideTimes.load(path)


def test_a_changed_number_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    TIMES.save(path)
    path.write_text(path.read_text().replace("0.62", "0.72"))
    with pytest.raises(RunError, match="SHA-256 differs"):
        SideBySideTimes.load(path)
