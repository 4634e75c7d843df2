"""Records on disk: what is written can be read back, and what is not as it was written is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from foray.costs import DeviceProfiles
from foray.data import Dataset
from foray.errors import ForayError, RunError
from foray.export.certify import certify
from foray.export.reference import Reference
from foray.records import COSTS, Budget, Comparison, CostProfile, Estimate, Metrics, Preference, RuntimeCost
from foray.records.reproduction import ExperimentInfo
from foray.records.sealing import BrokenSealError, sealed, unsealed
from foray.runs.held_out import HeldOut
from tests.asking import plan_comparison
from tests.report.example import write_comparison

COST = CostProfile(model="mobilenet_v2", resolution=224, params=3_504_872, macs=300_774_272, latency_p50_ms=12.5)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    COST.save(tmp_path / "profile.json")
    assert CostProfile.load(tmp_path / "profile.json") == COST
    assert json.loads((tmp_path / "profile.json").read_text())["params"] == 3_504_872  # plain JSON for others


def test_any_flipped_bit_is_noticed_and_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    COST.save(path)
    content = path.read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        with pytest.raises(RunError, match=r"profile\.json is damaged"):
            CostProfile.load(path)


def test_a_digit_changed_by_hand_is_refused_until_the_line_of_the_digest_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    COST.save(path)
    edited = path.read_text().replace("12.5", "11.5")
    path.write_text(edited)
    with pytest.raises(RunError, match='delete its line "digest"'):
        CostProfile.load(path)
    path.write_text("".join(line for line in edited.splitlines(keepends=True) if '"digest"' not in line))
    assert CostProfile.load(path).latency_p50_ms == 11.5


def test_records_without_a_digest_are_read(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text(COST.model_dump_json())
    assert CostProfile.load(tmp_path / "profile.json") == COST


def test_a_text_that_needs_a_digest_and_has_none_is_refused() -> None:
    assert unsealed(sealed('{"a": 1}').encode(), needed=True) == b'{"a": 1}'
    with pytest.raises(BrokenSealError):
        unsealed(b'{"a": 1}', needed=True)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_has_not_are_refused_before_anything_is_written(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Estimate(value=number, low=0.0, high=1.0, n=1)
    with pytest.raises(ValidationError, match="finite number"):
        Budget(max_latency_ms=number)
    path = tmp_path / "profile.json"
    with pytest.raises(RunError, match=r"CostProfile\.latency_p50_ms is .*nothing is written"):
        COST.model_copy(update={"latency_p50_ms": number}).save(path)
    assert not path.exists()


def test_numbers_within_free_tables_are_looked_at_too(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "out")
    before = (folder / "comparison.json").read_bytes()
    comparison = Comparison.load(folder / "comparison.json")
    recipe = comparison.recipe | {"optimizer": {"learning_rate": math.inf}}
    with pytest.raises(RunError, match=r"Comparison\.recipe\.optimizer\.learning_rate is inf"):
        comparison.model_copy(update={"recipe": recipe}).save(folder / "comparison.json")
    assert (folder / "comparison.json").read_bytes() == before


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_files_with_such_numbers_are_refused(tmp_path: Path, token: str) -> None:
    path = tmp_path / "device.json"
    path.write_text(COST.model_dump_json().replace("12.5", token))
    with pytest.raises(RunError, match=r"device\.json is damaged.*latency_p50_ms"):
        CostProfile.load(path)


def test_a_confusion_has_a_row_a_class() -> None:
    one = Estimate(value=1.0, low=0.2, high=1.0, n=1)
    with pytest.raises(ValidationError, match="different numbers of classes"):
        Metrics(split="test", n=1, top1=one, top5=None, macro_f1=1.0, loss=0.0, per_class=[], confusion=[[1]])


def test_earlier_records_of_experiments_have_no_digests(tmp_path: Path) -> None:
    (tmp_path / "experiment.json").write_text('{"role": "a", "scale": "mini", "source": "b", "command": "c"}')
    assert ExperimentInfo.load(tmp_path / "experiment.json").files == {}


@pytest.mark.parametrize("tolerance", [math.nan, math.inf, -0.01])
def test_a_tolerance_that_is_no_share_is_refused_before_any_work(tmp_path: Path, tolerance: float) -> None:
    with pytest.raises(ForayError, match="The tolerance must be between 0 and 1"):
        plan_comparison(tmp_path / "absent", ["mobilenet_v2"], tolerance=tolerance)
    images = HeldOut(Dataset("a", "a", ("a",), (), "given"), "test", None)
    reference = Reference("a run", ("a",), np.array(["1"]), np.ones((1, 1), np.float32))
    with pytest.raises(ForayError, match="The tolerance must be between 0 and 1"):
        certify(tmp_path / "absent", images, reference, tolerance=tolerance)


@pytest.mark.parametrize(
    ("older", "peak", "resident"),
    [
        ({"peak_memory_bytes": 5, "memory_is": "analysis"}, 5, None),
        ({"peak_memory_bytes": 5, "memory_is": "resident"}, None, 5),
        ({"peak_memory_bytes": None, "memory_is": "resident"}, None, None),
        ({"memory_is": "resident"}, None, None),
    ],
)
def test_the_one_memory_of_older_files_is_found_in_the_field_of_its_kind(
    tmp_path: Path, older: dict[str, object], peak: int | None, resident: int | None
) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps({"model": "m", "resolution": 224, "params": 1, "macs": 2} | older))
    cost = CostProfile.load(path)
    assert (cost.peak_memory_bytes, cost.resident_memory_bytes) == (peak, resident)
    cost.save(path)
    assert CostProfile.load(path) == cost
    path.write_text(json.dumps({"device": "board", "profiles": [json.loads(cost.model_dump_json()), older | {
        "model": "m", "resolution": 192, "params": 1, "macs": 2}]}))  # fmt: skip
    assert DeviceProfiles.load(path).profiles[1].resident_memory_bytes == resident


def test_resident_memory_of_older_runtime_profiles_is_found() -> None:
    time = {"value": 1.0, "low": 1.0, "high": 1.0}
    cost = RuntimeCost.model_validate({
        "name": "m torch fp32", "model": "m", "resolution": 224, "runtime": "torch", "precision": "float32",
        "threads": 1, "params": 1, "macs": 2, "file_bytes": 3, "p50": time, "p95": time, "n": 6, "label_p50": time,
        "cold_start_ms": 9.0, "resident_bytes": 5,
    })  # fmt: skip
    assert (cost.peak_memory_bytes, cost.resident_memory_bytes) == (None, 5)
    assert RuntimeCost.model_validate_json(cost.model_dump_json()) == cost


def test_memory_is_bounded_as_measured_where_it_was_measured() -> None:
    both = COST.model_copy(update={"peak_memory_bytes": 5, "resident_memory_bytes": 50})
    analysed = both.model_copy(update={"resident_memory_bytes": None})
    assert [(cost.cost("memory"), cost.name_of("memory")) for cost in (both, analysed)] == [
        (50, "resident memory"), (5, "peak memory"),
    ]  # fmt: skip


def test_every_cost_has_its_fields_in_profile_and_budget_and_is_read_as_it_is_written() -> None:
    assert set(COSTS) == set(get_args(Preference))
    assert {kind.bound for kind in COSTS.values()} == set(Budget.model_fields)
    for key, kind in COSTS.items():
        COST.cost(key)  # the field is there
        limit = kind.read(kind.write(12_300_000), kind.option)
        budget = Budget(**{kind.bound: limit})
        assert (budget.limit(key), budget.stated(), budget.without(key)) == (12_300_000, {key: limit}, Budget())
