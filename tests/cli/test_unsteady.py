"""`foray compare` where latency decides and was not steady: `--wait 0` never is, whatever the machine does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from foray.clock.schedule import AT_ONCE, TimingSchedule
from foray.comparison import ComparisonPlan
from foray.comparison.costs import CostSource
from foray.costs import save_profiles
from foray.progress import SILENT
from foray.records import Budget, Comparison, CostProfile, Preference, hardware

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
    assert "Whether mobilenet_v1_x0.25 and mobilenet_v2_x0.25 keep the bound of 10,000 ms" in said
    assert done.stdout.count("not known:") == 2  # a row a model
    assert done.stderr.count("is not trained yet: its latency was not steady") == 2
    record = Comparison.load(tmp_path / "out" / "comparison.json")
    assert (record.decision.outcome, record.decision.pick) == ("not_known", None)
    assert weights(tmp_path / "out") == {}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "not known: latency" in page
    assert "was not steady" in page
    assert cli("report", "out").returncode == 0


def test_models_that_are_trained_stay_so_and_the_verdict_is_withheld(
    images: Path, cli: Cli, trained: Path, tmp_path: Path
) -> None:
    before = weights(trained)
    assert len(before) == 2
    costs = [row.cost for row in Comparison.load(trained / "comparison.json").candidates]
    assert not any(cost.latency_is_steady for cost in costs)
    save_profiles(tmp_path / "device.json", "Pi", costs)
    done = cli("compare", images, *TINY, "--prefer", "latency", "--profiles", "device.json")
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
    assert "The costs measured before are kept." in done.stderr
    assert "Timing" not in done.stderr
    assert [row.cost.latency_p50_ms for row in Comparison.load(path).candidates] == [5.0, 50.0]
    assert Comparison.load(path).decision.pick == "mobilenet_v1_x0.25"


def as_if_steady(cost: CostProfile, ms: float) -> CostProfile:
    times = {"latency_p50_ms": ms, "latency_p50_low_ms": 0.9 * ms, "latency_p50_high_ms": 1.1 * ms}
    assert cost.hardware == hardware()
    return cost.model_copy(
        update={**times, "latency_p95_ms": 1.1 * ms, "latency_bursts": 6, "unsteady": [], "threads": 1}
    )


def source(tmp_path: Path, prefer: Preference, wait_seconds: float = 60.0, **plan: object) -> CostSource:
    about = {"dataset": None, "recipe": None, "models": (), "seeds": (0,), "tolerance": 0.01, "profiles": None}
    wanted = ComparisonPlan(**{**about, "budget": Budget(), "prefer": prefer, **plan})
    return CostSource(wanted, tmp_path, threads=1, wait_seconds=wait_seconds, progress=SILENT)


def test_only_a_latency_that_counts_is_waited_for(tmp_path: Path) -> None:
    bound = Budget(max_latency_ms=30.0)
    assert source(tmp_path, "latency").schedule == TimingSchedule()
    assert source(tmp_path, "macs", budget=bound).schedule == TimingSchedule()
    assert source(tmp_path, "macs").schedule == AT_ONCE
    assert source(tmp_path, "latency", wait_seconds=0.0).schedule.bursts == 1


def test_a_latency_that_was_not_steady_is_measured_again_after_a_training_long_enough_to_hope(tmp_path: Path) -> None:
    about = {"model": "m", "resolution": 224, "params": 1, "macs": 1, "latency_p50_ms": 5.0}
    busy, quiet = {"m": CostProfile(**about, unsteady=["busy"])}, {"m": CostProfile(**about)}
    clock = source(tmp_path, "latency")
    assert clock.may_tell_more(busy, 61.0)
    assert not clock.may_tell_more(busy, 59.0)
    assert not clock.may_tell_more(quiet, 3600.0)
    assert not source(tmp_path, "macs").may_tell_more(busy, 3600.0)
    assert not source(tmp_path, "latency", wait_seconds=0.0).may_tell_more(busy, 3600.0)
    assert not source(tmp_path, "latency", profiles=busy).may_tell_more(busy, 3600.0)
