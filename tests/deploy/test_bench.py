"""bench.py beside an artifact: what it writes is what `foray compare --profiles` takes. No time is asserted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foray.costs import load_profiles
from foray.deploy import bench, open_artifact, open_session
from foray.errors import RunError
from foray.records import hardware
from tests.made_onnx import SIDE, write_artifact

pytest.importorskip("onnx", reason="onnx is not installed (extra: onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")

# As on a device: no foray, no torch; a finder that refuses them.
ALONE = """
import importlib.abc, runpy, sys
class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition('.')[0] in ('foray', 'torch', 'scipy', 'pydantic'): raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
sys.path[0] = sys.argv[1]
sys.argv = sys.argv[1:]
sys.argv[0] += '/bench.py'
runpy.run_path(sys.argv[0], run_name='__main__')
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_artifact(tmp_path_factory.mktemp("onnx-fp32"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures little: what it costs is not looked at."""
    measure = bench.measure
    monkeypatch.setattr(bench, "measure", lambda artifact, threads, **_: measure(artifact, threads, turns=6, bursts=1))


def test_on_a_device_without_foray(artifact: Path, tmp_path: Path) -> None:
    arguments = ["--device", "Raspberry Pi 5", "--threads=1", "--bursts=1", "--out", str(tmp_path / "device.json")]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE, str(artifact), *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr
    assert "mean_colour, 16 px, onnx float32, 1 thread: p50 " in done.stdout
    assert "Not steady: all passes are from one process at one time" in done.stdout
    found = load_profiles(tmp_path / "device.json", {"mean_colour": SIDE})["mean_colour"]
    assert found.device == "Raspberry Pi 5"
    assert (found.runtime, found.precision, found.threads) == ("onnx", "float32", 1)
    assert (found.params, found.macs) == (9, 9)
    assert found.file_bytes == (artifact / "model.onnx").stat().st_size
    assert 0 < found.latency_p50_low_ms <= found.latency_p50_ms <= found.latency_p50_high_ms
    assert found.latency_p50_ms <= found.latency_p95_ms
    assert (found.latency_n, found.latency_bursts) == (bench.TURNS * 10, 1)
    assert found.busy_elsewhere is None or 0 <= found.busy_elsewhere <= 1
    assert not found.latency_is_steady
    assert found.throughput_images_per_second > 0
    assert found.decode_to_label_p50_ms > found.latency_p50_ms  # a JPEG of 500 x 375 beside a mean of 16 x 16
    assert found.peak_memory_bytes is None
    assert found.resident_memory_bytes > 0
    assert found.hardware == hardware()  # with the instructions, in which processors of one name differ
    assert " ".join([found.hardware.processor, *found.hardware.instructions]) in done.stdout
    assert set(found.versions) == {"onnxruntime", "numpy", "pillow"}
    assert list(tmp_path.iterdir()) == [tmp_path / "device.json"]


def test_several_artifacts_of_one_device_make_one_file(artifact: Path, tmp_path: Path, quick: None) -> None:
    path, other = tmp_path / "device.json", write_artifact(tmp_path / "int8", precision="int8")
    common = ["--device", "Pi", "--threads", "1", "--out", str(path), "--append"]
    for folder in (artifact, other, artifact):  # the last replaces the first
        assert bench.main(common, folder) == 0
    assert [p["precision"] for p in json.loads(path.read_text())["profiles"]] == ["int8", "float32"]
    with pytest.raises(RunError, match=r"has 2 profiles of mean_colour .* choose it with `runtime` and `precision`"):
        load_profiles(path, {"mean_colour": SIDE})
    assert load_profiles(path, {"mean_colour": SIDE}, "onnx", "int8")["mean_colour"].precision == "int8"
    assert load_profiles(path, {"mean_colour": SIDE}, precision="fp32")["mean_colour"].precision == "float32"
    with pytest.raises(RunError, match="nothing measured on litert int8; it has onnx int8, onnx float32"):
        load_profiles(path, {"mean_colour": SIDE}, "litert", "int8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no device.json"),
        ('{"device": "Pi", "profiles": 3}', "is no device.json"),
        ('{"schema_version": 2, "device": "Pi", "profiles": []}', "is of another version or device"),
        ('{"schema_version": 1, "device": "Jetson", "profiles": []}', r"another version or device \(Jetson\)"),
    ],
)
def test_a_file_that_cannot_be_added_to_is_left_alone(artifact, tmp_path, capsys, content, message):
    path = tmp_path / "device.json"
    path.write_text(content)
    assert bench.main(["--device", "Pi", "--append", "--out", str(path)], artifact) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(message, said.err)
    assert path.read_text() == content


def test_what_cannot_be_read_or_written(artifact, tmp_path, capsys, quick):
    assert bench.main(["--out", str(tmp_path / "device.json")], tmp_path) == 2
    assert "is not a complete artifact" in capsys.readouterr().err
    damaged = write_artifact(tmp_path / "damaged")
    (damaged / "model.onnx").write_bytes((damaged / "model.onnx").read_bytes()[:-5])
    assert bench.main([], damaged) == 2
    assert "is damaged or was changed" in capsys.readouterr().err
    assert bench.main(["--threads", "1", "--out", str(tmp_path / "none" / "device.json")], artifact) == 2
    assert "Cannot write" in capsys.readouterr().err
    for option in ("--threads", "--bursts"):
        with pytest.raises(SystemExit, match="2"):
            bench.main([option, "0"], artifact)


def test_bursts_are_processes_whose_passes_are_put_together(artifact, monkeypatch):
    """The second burst runs as many passes a turn as the first, and a slow one lies within the interval."""
    told = {
        "start_ms": 50.0, "memory": 1000, "stable": True, "passes": 4, "labels": [[2.0]], "batches": [[32.0]],
        "calibrations": [1.0] * 6, "shares": [0.02, 0.0],
    }  # fmt: skip
    bursts = [{**told, "network": [[ms] * 4] * 5} for ms in (10.0, 10.2, 21.0, 10.1, 20.0, 10.3)]
    asked = []
    monkeypatch.setattr(bench, "APART_SECONDS", 0.0)
    monkeypatch.setattr(bench, "_in_a_process", lambda *given: (asked.append(given), bursts[len(asked) - 1])[1])
    found = bench.measure(open_artifact(artifact), 1)
    assert [given[2:] for given in asked] == [(5, 0)] + [(5, 4)] * 5
    assert (found["latency_p50_low_ms"], found["latency_p50_high_ms"]) == (10.0, 21.0)
    assert (found["latency_n"], found["latency_bursts"], found["busy_elsewhere"]) == (120, 6, pytest.approx(0.02))
    assert found["unsteady"][0] == "the medians of its bursts ran from 10 to 21 ms"
    bursts[2] = bursts[4] = {**told, "network": [[10.4] * 4] * 5}
    asked.clear()
    assert bench.measure(open_artifact(artifact), 1)["unsteady"] == []
    bursts[3]["shares"] = None  # a system that does not say
    asked.clear()
    assert bench.measure(open_artifact(artifact), 1)["busy_elsewhere"] is None
    bursts = [{**one, "shares": [0.4, 0.0]} for one in bursts]
    asked.clear()
    assert bench.measure(open_artifact(artifact), 1)["unsteady"] == [
        "other processes used 40 % of the processors' time"
    ]


def test_layers_of_onnxruntime(artifact):
    from foray.deploy._layer_times import layer_times

    found = layer_times(open_artifact(artifact), threads=1)
    kinds = [kind for _, kind, _ in found]
    assert kinds[-1] == "Softmax"
    assert {"Cast", "ReduceMean"} <= set(kinds)
    assert all(ms >= 0 for _, _, ms in found)


def test_layers_of_openvino(tmp_path):
    pytest.importorskip("openvino", reason="openvino is not installed (extra: openvino)")
    from foray.deploy._layer_times import layer_times

    artifact = open_artifact(write_artifact(tmp_path, runtime="openvino"))
    found = layer_times(artifact, threads=1)
    assert {"Softmax", "MatMul"} & {kind for _, kind, _ in found}
    assert sum(ms for _, _, ms in found) > 0
    session = open_session(artifact, 1)
    np.testing.assert_allclose(session.run(bench.images_for(artifact, 2)).sum(1), 1, rtol=1e-5)


def test_the_photograph_is_one_and_the_same():
    import io

    first = bench.photograph()
    assert first == bench.photograph()
    with Image.open(io.BytesIO(first)) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (500, 375), "RGB")


def test_the_peak_is_this_processs_own_and_grows():
    before = bench.peak_bytes()
    held = bytearray(64 * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    assert bench.peak_bytes() >= before
    assert bench.peak_bytes() >= bench.resident_bytes() >= len(held)


@pytest.mark.parametrize(("pass_ms", "passes"), [(0.0, 10), (4.0, 10), (30.0, 3), (99.0, 1), (5000.0, 1)])
def test_a_turn_is_about_a_tenth_of_a_second(pass_ms, passes):
    assert bench.passes_a_turn(pass_ms) == passes


def test_warm_up_goes_on_until_passes_are_stable(monkeypatch):
    """Of a clock that only the passes move."""
    clock = {"ns": 0}
    costs = iter([50.0, *[40.0] * 5, *[10.0] * 5, *[4.0] * 5, *[4.1] * 5, *[4.0] * 100])
    monkeypatch.setattr(bench.time, "perf_counter_ns", lambda: clock["ns"])

    def run() -> None:
        clock["ns"] += int(next(costs) * 1e6)

    assert bench.warm_up(run) == (pytest.approx(4.1), True)
    assert next(costs) == 4.0  # as many passes as that and no more
    swinging = iter([1.0, *([10.0] * 5 + [20.0] * 5) * 100])
    costs = swinging
    _, stable = bench.warm_up(run, seconds=1.0)
    assert not stable
