"""`foray compare` where latency decides and was not steady: `--wait 0` never is, whatever the machine does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from foray.profiling import save_profiles
from foray.records import Comparison, CostProfile, hardware

from .conftest import TINY, Cli, Finished

BY_LATENCY = ("--prefer", "latency", "--max-latency", "10s")  # the last of an option counts


@pytest.fixture
def trained(comparison: Finished, tmp_path: Path) -> Path:
    """The finished comparison in a folder of its own."""
    return Path(shutil.copytree(comparison.out, tmp_path / "out"))


def weights(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.glob("runs/*/best.safetensors")}


def test_a_bound_that_cannot_be_judged_ends_before_training_with_a_status_of_its_own(
    images: Path, cli: Cli, tmp_path: Path
) -> None:
    done = cli("compare", images, *TINY, *BY_LATENCY)
    assert done.returncode == 4, done.stderr
    said = " ".join(done.stdout.split())
    assert "Not known whether mobilenet_v1_x0.25 and mobilenet_v2_x0.25 keep the bound of 10,000 ms" in said
    assert done.stdout.count("not known:") == 2  # a row a model
    assert done.stderr.count("is not trained yet: its latency was not steady") == 2
    record = Comparison.load(tmp_path / "out" / "comparison.json")
    assert (record.decision.outcome, record.decision.pick) == ("not_known", None)
    assert weights(tmp_path / "out") == {}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "latency p50" in page
    assert "was not steady" in page
    assert cli("report", "out").returncode == 0


def test_models_that_are_trained_stay_so_and_the_verdict_is_withheld(images: Path, cli: Cli, trained: Path) -> None:
    before = weights(trained)
    assert len(before) == 2
    done = cli("compare", images, *TINY, "--prefer", "latency")
    assert done.returncode == 4, done.stderr
    record = Comparison.load(trained / "comparison.json")
    assert record.decision.outcome == "not_known"
    assert record.decision.pick == record.decision.best is not None
    assert all(candidate.selection is not None for candidate in record.candidates)
    assert weights(trained) == before


def test_profiles_that_were_steady_decide_and_those_that_were_not_do_not(
    images: Path, cli: Cli, trained: Path, tmp_path: Path
) -> None:
    costs = [
        as_if_steady(candidate.cost, ms)
        for candidate, ms in zip(Comparison.load(trained / "comparison.json").candidates, (5.0, 50.0), strict=True)
    ]
    options = (*TINY, "--prefer", "latency", "--max-latency", "30ms", "--profiles", "device.json")
    save_profiles(tmp_path / "device.json", "Pi", costs)
    done = cli("compare", images, *options)
    assert done.returncode == 0, done.stderr
    decision = Comparison.load(trained / "comparison.json").decision
    assert (decision.outcome, decision.pick) == ("only_one", "mobilenet_v1_x0.25")
    save_profiles(tmp_path / "device.json", "Pi", [one.model_copy(update={"unsteady": ["busy"]}) for one in costs])
    done = cli("compare", images, *options)
    assert done.returncode == 4, done.stderr
    assert "Measure again on Pi when it is idle" in " ".join(done.stdout.split())


def test_steady_costs_of_the_same_machine_are_kept_and_a_new_budget_decides_at_once(
    images: Path, cli: Cli, trained: Path
) -> None:
    path = trained / "comparison.json"
    record = Comparison.load(path)
    steady = [
        candidate.model_copy(update={"cost": as_if_steady(candidate.cost, ms)})
        for candidate, ms in zip(record.candidates, (5.0, 50.0), strict=True)
    ]
    record.model_copy(update={"candidates": steady}).save(path)
    done = cli("compare", images, *TINY, "--prefer", "latency", "--max-latency", "30ms", "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "The costs measured before were steady and are kept." in done.stderr
    assert "Timing" not in done.stderr
    assert [row.cost.latency_p50_ms for row in Comparison.load(path).candidates] == [5.0, 50.0]
    assert Comparison.load(path).decision.pick == "mobilenet_v1_x0.25"


def as_if_steady(cost: CostProfile, ms: float) -> CostProfile:
    times = {"latency_p50_ms": ms, "latency_p50_low_ms": 0.9 * ms, "latency_p50_high_ms": 1.1 * ms}
    assert cost.hardware == hardware()
    return cost.model_copy(
        update={**times, "latency_p95_ms": 1.1 * ms, "latency_bursts": 6, "unsteady": [], "threads": 1}
    )
