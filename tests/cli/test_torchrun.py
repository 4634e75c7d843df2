"""`torchrun -m foray train`: one result, one message, one exit status, however many processes there are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from foray.records import RunRecord

from .conftest import environment


def torchrun(*arguments: object, cache: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "foray"]
    return subprocess.run(
        [*launcher, *map(str, arguments)], capture_output=True, text=True, encoding="utf-8", timeout=240, cwd=cwd,
        env=environment(cache),
    )  # fmt: skip


def test_two_processes_train_one_run(images: Path, cli_cache: Path, tmp_path: Path) -> None:
    arguments = ("train", images, "--model", "mobilenet_v1_x0.25", "--protocol", "scratch", "--epochs", "1")
    done = torchrun(*arguments, "--device", "cpu", "--out", "mine", cache=cli_cache, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "mine").iterdir()
    record = RunRecord.load(folder / "record.json")
    assert (record.status, record.processes, record.device) == ("done", 2, "cpu")
    assert done.stdout.count("test accuracy") == 1
    assert done.stderr.count("training: ") == 1  # progress


def test_a_mistake_is_told_once_and_ends_all(cli_cache: Path, tmp_path: Path) -> None:
    done = torchrun("train", "nowhere", "--model", "mobilenet_v1_x0.25", cache=cli_cache, cwd=tmp_path)
    assert done.returncode != 0
    assert sum(line.startswith("foray: ") for line in done.stderr.splitlines()) == 1
    assert "foray: nowhere does not exist" in done.stderr
