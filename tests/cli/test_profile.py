"""`foray profile` as a user runs it, and what can be wrong with what it is given."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from foray.costs import load_profiles
from foray.errors import ForayError
from foray.export.timing import plan_setups
from foray.records import Comparison, RuntimeProfile
from tests.made_onnx import write_artifact

from .conftest import TINY, Cli, Finished, command, environment

pytest.importorskip("onnx", reason="onnx is not installed (extra: onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")


def test_a_file_beside_a_network(cli: Cli, tmp_path: Path) -> None:
    artifact = write_artifact(tmp_path / "shipped")
    options = ("--resolution", 32, "--threads", 1, "--batch", "1,4", "--wait", 0, "--layers", "--out", "costs")
    done = cli("profile", artifact, "mobilenet_v2_x0.5", *options)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "images/s at 4" in done.stdout
    assert "Softmax" in done.stdout
    measured = RuntimeProfile.load(tmp_path / "costs" / "profile.json")
    assert {cost.model: cost.runtime for cost in measured.costs} == {
        "mean_colour": "onnx",
        "mobilenet_v2_x0.5": "torch",
    }
    assert set(load_profiles(tmp_path / "costs" / "device.json")) == {"mean_colour", "mobilenet_v2_x0.5"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mobilenet_v2", "--threads", "two"], "--threads: 'two' is not a list of whole numbers"),
        (["mobilenet_v2", "--batch", "0"], "--batch: '0' is not a list of whole numbers"),
        (["runs/nothing"], "runs/nothing is not a folder"),
        (["mobilenet_v9"], "Unknown model 'mobilenet_v9'. Did you mean"),
        (["mobilenet_v2", "--runtime", "onix"], "Unknown runtime 'onix'. Did you mean onnx"),
    ],
)
def test_bad_input_is_one_message(cli: Cli, arguments: list[str], message: str) -> None:
    done = cli("profile", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_damaged_artifact(cli: Cli, tmp_path: Path) -> None:
    artifact = write_artifact(tmp_path / "damaged")
    (artifact / "model.onnx").write_bytes(b"no network")
    done = cli("profile", artifact)
    assert done.returncode == 2
    assert "is damaged or was changed" in " ".join(done.stderr.split())


def test_targets_are_the_pairs_that_exist() -> None:
    found = plan_setups(["torch", "onnx"], ["fp32", "int8"], [1, 2])
    assert [(target.runtime, target.precision, target.threads) for target in found] == [
        ("torch", "fp32", 1), ("torch", "fp32", 2), ("onnx", "fp32", 1), ("onnx", "fp32", 2),
        ("onnx", "int8", 1), ("onnx", "int8", 2),
    ]  # fmt: skip
    with pytest.raises(ForayError, match="torch has no int8; it has fp32, bf16"):
        plan_setups(["torch"], ["int8"], [1])
    with pytest.raises(ForayError, match=r"bf16 exists on none of onnx|onnx has no bf16"):
        plan_setups(["onnx"], ["bf16"], [1])
    with pytest.raises(ForayError, match="Name at least one runtime"):
        plan_setups([], ["fp32"], [1])


def test_profile_json_is_what_json_prints(cli: Cli, tmp_path: Path) -> None:
    artifact = write_artifact(tmp_path / "shipped")
    done = cli("profile", artifact, "--threads", "1,2", "--turns", 6, "--wait", 0, "--json")
    assert done.returncode == 0, done.stderr
    measured = RuntimeProfile.model_validate(json.loads(done.stdout))
    assert sorted(cost.threads for cost in measured.costs) == [1, 2]


def test_a_comparison_decides_by_the_costs_of_a_runtime(
    comparison: Finished, images: Path, cli: Cli, tmp_path: Path
) -> None:
    """In a copy of the folder of the same comparison, so that nothing is trained anew."""
    shutil.copytree(comparison.out, tmp_path / "out")
    done = cli("compare", images, *TINY, "--runtime", "torch", "--precision", "bf16", "--threads", 1)
    assert done.returncode == 0, done.stderr
    record = Comparison.load(tmp_path / "out" / "comparison.json")
    for candidate in record.candidates:
        cost = candidate.cost
        assert (cost.runtime, cost.precision, cost.threads) == ("torch", "bfloat16", 1)
        assert cost.peak_memory_bytes is None
        assert cost.resident_memory_bytes > 0
        assert cost.latency_p50_low_ms <= cost.latency_p50_ms <= cost.latency_p50_high_ms
        assert cost.throughput_images_per_second is not None
    assert any(caution.startswith("Costs are those of torch bfloat16") for caution in record.cautions)
    assert "torch bfloat16, 1 thread" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "torch float32" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--precision", "int8"), "--precision int8 needs a runtime: name it too"),
        (("--runtime", "litter"), "Unknown runtime 'litter'. Did you mean litert?"),
        (("--runtime", "torch", "--precision", "int8"), "torch has no int8; it has fp32, bf16"),
    ],
)
def test_a_runtime_that_cannot_be_compared_on(cli: Cli, images: Path, arguments: tuple[str, ...], message: str) -> None:
    done = cli("compare", images, *TINY, *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_ctrl_c_ends_the_workers_too(tmp_path: Path, cli_cache: Path) -> None:
    artifact = write_artifact(tmp_path / "shipped")
    running = subprocess.Popen(
        command("profile", artifact, "--threads", 1, "--turns", 1_000_000, "--wait", 0, "--out", "costs"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**environment(cli_cache), "TMPDIR": str(tmp_path)},
    )
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    while not (workers := children.read_text(encoding="ascii").split()):
        assert running.poll() is None, running.communicate()
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert "Traceback" not in said
    assert len(workers) == 1
    assert not Path(f"/proc/{workers[0]}").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("foray-timing-", "costs"))]
