"""Training is a guest in its process: threads, environment, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from foray.errors import OutOfMemoryError, RunError, memory_explained
from foray.training.determinism import deterministic_algorithms
from tests.asking import plan_run, train_run
from tests.caches import new_cache
from tests.small_training import MODEL, small_recipe

ROOT = Path(__file__).resolve().parents[2]


class Meanwhile:
    """Progress that calls `act` once while a run is being trained."""

    def __init__(self, act) -> None:
        self.act = act

    def note(self, message: str) -> None:
        pass

    def task(self, description: str, total: int | None, done: int = 0):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, n: int = 1, note: str = "") -> None:
        act, self.act = self.act, lambda: None
        act()


def test_a_second_run_in_another_thread_is_refused_and_the_first_is_not_disturbed(squares, tmp_path) -> None:
    plan = plan_run(MODEL, squares, small_recipe(epochs=2, dropout=0.5), deterministic=True)
    refused: list[str] = []

    def another_run() -> None:
        def in_thread() -> None:
            with pytest.raises(RunError, match="Another thread of this process is training") as error:
                train_run(plan, squares, tmp_path / "second", device="cpu")
            refused.append(str(error.value))

        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()

    train_run(plan, squares, tmp_path / "first", device="cpu", progress=Meanwhile(another_run))
    assert len(refused) == 1
    assert not (tmp_path / "second").exists()
    train_run(plan, squares, tmp_path / "alone", device="cpu")  # the refusal does not last
    ours, alone = (json.loads((tmp_path / run / "record.json").read_text())["metrics"] for run in ("first", "alone"))
    assert ours == alone


@pytest.mark.parametrize("before", [None, ":16:8"])
def test_a_deterministic_run_leaves_the_environment_as_it_was(before, monkeypatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    if before:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", before)
    with deterministic_algorithms(torch.device("cpu")):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == (before or ":4096:8")
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == before


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from tests.asking import plan_run, train_run
from tests.small_training import coloured_squares, small_recipe

torch.set_num_threads(1)
plan = plan_run("mobilenet_v2_x0.25", coloured_squares(), small_recipe(epochs=1, batch_size=36), resolution=256)
in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = in_use + int(sys.argv[2]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
record = train_run(plan, coloured_squares(), Path(sys.argv[1]), device="cpu")
print(*record.notes, sep="\\n")
"""


def with_limit(folder: Path, mebibytes: int) -> subprocess.CompletedProcess[str]:
    environment = {
        "OMP_NUM_THREADS": "1", "FORAY_CACHE": str(new_cache(folder / "cache")), "FORAY_KERNELS": "0",
        "MALLOC_ARENA_MAX": "1",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder / "run"), str(mebibytes)],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_out_of_memory_on_a_cpu_halves_the_micro_batch(tmp_path: Path) -> None:
    done = with_limit(tmp_path, 900)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "gradients were accumulated" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_out_of_memory_on_a_cpu_says_what_needed_it_and_what_to_change(tmp_path: Path) -> None:
    done = with_limit(tmp_path, 60)
    assert done.returncode != 0
    assert "OutOfMemoryError: " in done.stderr


def test_out_of_memory_is_explained_and_other_errors_are_not() -> None:
    explained = memory_explained("the test", "Use less.")
    said = r"Out of memory: the test \(.*DefaultCPUAllocator.*\)\. Use less\."
    with pytest.raises(OutOfMemoryError, match=said), explained:
        torch.empty(2**55)
    with (
        pytest.raises(OutOfMemoryError, match=r"Out of memory: the test\. Use less\."),
        memory_explained("the test", "Use less."),
    ):
        raise MemoryError
    with pytest.raises(RuntimeError, match="another"), memory_explained("the test", "Use less."):
        raise RuntimeError("another")


@pytest.mark.parametrize("changes", [{"batch_size": 35}, {"batch_size": 36, "micro_batch_size": 1}], ids=str)
def test_a_last_batch_of_one_image_is_trained_on(squares, tmp_path, changes) -> None:
    """36 images of 32 px, of which the last map is 1 x 1: batch norm has a single value per channel."""
    record = train_run(plan_run(MODEL, squares, small_recipe(epochs=1, **changes)), squares, tmp_path, device="cpu")
    assert record.status == "done"
    assert record.metrics["test"].loss < 100
