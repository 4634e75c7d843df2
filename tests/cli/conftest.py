"""The command line as a user runs it: a process of its own, a folder of images on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.caches import new_cache
from tests.warm_start import run_command

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

CLASSES = {"circle red": (200, 60, 60), "grün": (60, 190, 70), "blue": (50, 70, 210)}
PER_CLASS = 16


def environment(cache: Path) -> dict[str, str]:
    """One thread (two processes may run at once) and a terminal of 80 columns."""
    return {**os.environ, "FORAY_CACHE": str(cache), "OMP_NUM_THREADS": "1", "COLUMNS": "80", "NO_COLOR": "1"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "foray", *map(str, arguments)]


def run_cli(
    *arguments: object, cache: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return run_command(arguments, {**environment(cache), **(env or {})}, cwd)


@pytest.fixture(scope="session")
def cli_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_cache(tmp_path_factory.mktemp("cli-cache"))


@pytest.fixture
def cli(cli_cache: Path, tmp_path: Path) -> Cli:
    """Runs `foray ARGUMENTS` in an empty folder and gives back its status, stdout and stderr."""

    def run(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        return run_cli(*arguments, cache=cli_cache, cwd=tmp_path, env=env)

    return run


def paint(folder: Path, per_class: int = PER_CLASS) -> Path:
    """A folder of three classes that differ in colour, 40 x 40 pixels with noise; no two images are the same."""
    random = np.random.default_rng(0)
    for name, colour in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            pixels = np.clip(np.array(colour) + random.normal(0, 25, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02}.png")
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint(tmp_path_factory.mktemp("images") / "my photos")


@dataclass(frozen=True)
class Finished:
    """A comparison that ran to its end."""

    out: Path
    done: subprocess.CompletedProcess[str]

    @property
    def run(self) -> Path:
        return sorted((self.out / "runs").iterdir())[0]


# By MACs: the tests run beside others, where no latency is steady.
TINY = (
    "--protocol", "scratch", "--models", "mobilenet_v1_x0.25,mobilenet_v2_x0.25", "--epochs", "2", "--workers", "1",
    "--prefer", "macs", "--wait", "0",
)  # fmt: skip


@pytest.fixture(scope="session")
def comparison(images: Path, cli_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two tiny networks on the painted images, from scratch, two epochs."""
    out = tmp_path_factory.mktemp("comparison") / "out"
    done = run_cli("compare", images, *TINY, "--out", out, cache=cli_cache)
    assert done.returncode == 0, done.stderr
    return Finished(out, done)
