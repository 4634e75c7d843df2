"""Temporary folders: removed at the end, and by the next process where theirs was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foray.records.scratch import scratch_folder

HOLDER = """
import sys
from pathlib import Path
from foray.records.scratch import scratch_folder
with scratch_folder("work", Path(sys.argv[1])) as folder:
    (folder / "big.bin").write_bytes(bytes(100))
    print(folder, flush=True)
    sys.stdin.read()
"""


def held_by_a_process(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def aged(folder: Path) -> Path:
    os.utime(folder, (time.time() - 3600.0,) * 2)
    return folder


def test_a_folder_is_gone_after_use_and_after_an_error(tmp_path: Path) -> None:
    with scratch_folder("work", tmp_path) as folder:
        (folder / "file").touch()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError), scratch_folder("work", tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    process, left = held_by_a_process(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (left / "big.bin").exists()
    aged(left.parent)
    with scratch_folder("work", tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder.parent]
        assert list(folder.iterdir()) == []


def test_what_a_living_process_holds_stays(tmp_path: Path) -> None:
    process, held = held_by_a_process(tmp_path)
    try:
        aged(held.parent)
        with scratch_folder("work", tmp_path):
            assert (held / "big.bin").exists()
    finally:
        process.communicate("")
    assert not held.parent.exists()


def test_a_folder_that_is_no_scratch_folder_stays(tmp_path: Path) -> None:
    mine = tmp_path / "work-notes"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    aged(mine)
    with scratch_folder("work", tmp_path):
        pass
    assert (mine / "notes.txt").read_text() == "mine"
