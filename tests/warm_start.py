"""Runs `foray` in a process of its own that need not import PyTorch first, which is most of what a short command takes.

Processes are forks of a server that has imported the packages below and done nothing else. Tests of how the command
starts and of how signals end it run `python -m foray` instead.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

TIMEOUT_SECONDS = 240
_IMPORTED = [
    "foray.cli.main", "foray.cli.progress", "foray.comparison", "foray.training", "foray.report", "foray.settling",
    "pillow_heif", "scipy.stats", "sklearn.datasets", "torch._dynamo", "torch.fx.experimental.symbolic_shapes",
]  # fmt: skip

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(_IMPORTED)


def run_command(
    arguments: tuple[object, ...], environment: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`python -W error -m foray ARGUMENTS`, its status and what it printed."""
    words = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / "stdout", Path(folder) / "stderr"]
        process = _processes.Process(target=_run, args=(words, dict(environment), cwd or Path.cwd(), streams))
        process.start()
        process.join(TIMEOUT_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, TIMEOUT_SECONDS)
        assert process.exitcode is not None
        stdout, stderr = (stream.read_text(encoding="utf-8") for stream in streams)
    return subprocess.CompletedProcess(["foray", *words], process.exitcode, stdout, stderr)


def _run(words: list[str], environment: dict[str, str], cwd: Path, streams: list[Path]) -> None:
    """In the new process."""
    for number, stream in enumerate(streams, 1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["foray", *words]
    warnings.simplefilter("error")
    from foray.cli.main import main

    main()
