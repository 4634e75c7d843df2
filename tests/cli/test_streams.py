"""Output that cannot be written: the work is done all the same."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from foray.records import RunRecord

from .conftest import environment

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")


def train(images: Path, out: str) -> list[str]:
    return [
        "train", str(images), "--model", "mobilenet_v1_x0.25", "--protocol", "scratch", "--epochs", "1",
        "--resolution", "32", "--workers", "1", "--threads", "1", "--out", out,
    ]  # fmt: skip


def shell(arguments: list[str], redirection: str, cache: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = f"{shlex.quote(sys.executable)} -m foray {shlex.join(arguments)} {redirection}"
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=folder, env=environment(cache)
    )  # fmt: skip


@needs_full
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "<&- >&- 2>&-"])
def test_a_run_is_done_though_its_log_cannot_be_written(
    images: Path, cli_cache: Path, tmp_path: Path, redirection: str
) -> None:
    done = shell(train(images, "runs"), redirection, cli_cache, tmp_path)
    (run,) = (tmp_path / "runs").iterdir()
    assert RunRecord.load(run / "record.json").status == "done"
    assert done.returncode == 0


@needs_full
def test_output_that_is_lost_is_said_once_the_work_is_done(images: Path, cli_cache: Path, tmp_path: Path) -> None:
    done = shell(train(images, "runs"), ">/dev/full", cli_cache, tmp_path)
    (run,) = (tmp_path / "runs").iterdir()
    assert RunRecord.load(run / "record.json").status == "done"
    assert done.returncode == 2
    assert "The output could not be written: No space left on device. Files on disk are complete." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_gone_is_no_failure(cli_cache: Path, tmp_path: Path) -> None:
    done = shell(["models"], "| head -1; exit ${PIPESTATUS[0]}", cli_cache, tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "could not be written" not in done.stderr


def test_nothing_is_written_into_a_file_that_took_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    script = """
import os, sys
from foray.cli.streams import open_standard_streams
open_standard_streams()
mine = os.open("mine.txt", os.O_WRONLY | os.O_CREAT)
os.write(2, b"a library's warning")
print("a note", file=sys.stderr)
sys.exit(0 if mine > 2 else 1)
"""
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} 2>&-"
    assert subprocess.run(["bash", "-c", command], cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "mine.txt").read_bytes() == b""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_stop_end_the_command_as_ctrl_c_does(cli_cache: Path, tmp_path: Path, number: int) -> None:
    """The signal comes from within a verb, while it is at work."""
    script = f"""
import os
import foray.cli.main as main
main.app.command("stopped")(lambda: os.kill(os.getpid(), {int(number)}))
import sys
sys.argv = ["foray", "stopped"]
main.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(cli_cache), cwd=tmp_path
    )
    assert done.returncode == 130
    assert "Interrupted." in done.stderr
