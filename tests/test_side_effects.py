"""foray leaves its caller's process as it was: threads, random generators, memory, environment, logging, signals."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import random
import subprocess
import sys
from pathlib import Path

import pytest

from foray.process_state import process_state_restored
from tests.caches import new_cache

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")

PROLOGUE = """
import json, logging, os, random, sys, warnings
from pathlib import Path
import numpy, torch
from tests.process_snapshot import changes, resident_mib, snapshot
logging.getLogger("of the caller").addHandler(logging.StreamHandler())
logging.getLogger("torch").setLevel(logging.ERROR)
logging.getLogger("pooch").setLevel(logging.INFO)
warnings.filterwarnings("error", category=BytesWarning)
torch.manual_seed(1); numpy.random.seed(2); random.seed(3)
torch.set_num_threads(1)
out, found = Path(sys.argv[1]), {}
before = snapshot()
def step(name):
    found[name] = changes(before, snapshot())
import foray
step("import foray")
"""

RUNS = """
scratch = dict(protocol="scratch", epochs=1, changes=["batch_size=128"])
foray.train("digits", "mobilenet_v1_x0.25", out=out / "runs", **scratch)
step("train")
started = resident_mib()
large = torch.ones(200 * 2**20)  # 800 MiB
there = resident_mib()
del large
found["memory"] = [there - started, resident_mib() - started]
foray.train("digits", "mobilenet_v1_x0.25", out=out / "repeatable", deterministic=True, **scratch)
step("train deterministically")
(run,) = (out / "runs").iterdir()
foray.evaluate(run, "digits")
step("evaluate")
foray.predict(run, [sys.argv[2]])
step("predict")
foray.compare(
    "digits", ["mobilenet_v1_x0.25", "mobilenet_v2_x0.25"], out=out / "comparison", wait_seconds=0, threads=1, **scratch
)
step("compare")
foray.open_dataset("digits")
foray.create_model("mobilenet_v2_x0.25")
step("open_dataset and create_model")
print(json.dumps(found))
"""

EXPORT = """
from foray.process_state import process_state_restored
(run,) = (Path(sys.argv[2]) / "runs").iterdir()
for runtime in sys.argv[3:]:
    foray.export_run(run, [runtime], ["fp32"], out)
    step(runtime)
    with process_state_restored():  # what int8 uses besides
        if runtime == "openvino":
            import nncf
        elif runtime == "onnx":
            import onnxruntime.quantization
        elif runtime == "litert":
            import ai_edge_quantizer.quantizer
        else:
            import executorch.backends.xnnpack.quantizer.xnnpack_quantizer
    step(f"{runtime} int8")
print(json.dumps(found))
"""


def told(script: str, folder: Path, *arguments: str) -> dict[str, list[object]]:
    """What changed, by step, in a process of its own."""
    environment = {"FORAY_CACHE": str(new_cache(folder / "cache")), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + script, str(folder / "out"), *arguments],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[object]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[object]]]:
    """The folder of a run, and what the calls on the way there changed."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("runs")
    Image.new("L", (8, 8), 100).save(folder / "image.png")
    return folder, told(RUNS, folder, str(folder / "image.png"))


def test_training_and_comparing_leave_the_process_as_it_was(runs) -> None:
    found = dict(runs[1])
    found.pop("memory")
    assert {name: changed for name, changed in found.items() if changed} == {}
    assert len(found) == 7


def test_memory_freed_after_training_is_the_systems_again(runs) -> None:
    there, left = runs[1]["memory"]
    assert there > 700
    assert left < 50


def test_the_last_block_to_end_puts_back_what_the_first_found(monkeypatch) -> None:
    monkeypatch.setenv("FORAY_TEST", "first")
    outer, inner = process_state_restored(), process_state_restored()
    random.seed(1)
    before = random.getstate()
    outer.__enter__()
    os.environ["FORAY_TEST"] = "second"
    random.seed(2)
    inner.__enter__()
    during = random.getstate()
    os.environ["FORAY_TEST_2"] = "third"
    outer.__exit__(None, None, None)
    assert (os.environ["FORAY_TEST"], os.environ["FORAY_TEST_2"], random.getstate()) == ("second", "third", during)
    inner.__exit__(None, None, None)
    assert (os.environ["FORAY_TEST"], os.environ.get("FORAY_TEST_2"), random.getstate()) == ("first", None, before)


def test_exports_leave_the_process_as_it_was(runs, tmp_path) -> None:
    packages = {"onnx": "onnxscript", "openvino": "nncf", "litert": "litert_torch", "executorch": "executorch"}
    runtimes = [name for name, package in packages.items() if importlib.util.find_spec(package)]
    found = told(EXPORT, tmp_path, str(runs[0] / "out"), *runtimes)
    assert {name: changed for name, changed in found.items() if changed} == {}
    assert len(found) == 1 + 2 * len(runtimes)
