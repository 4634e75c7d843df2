"""One mini reproduction of a few claims, by real code on built-in images, for every test that reads results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from foray.records.reproduction import Reproduction
from foray.reproduce.execute import StudyRequest
from foray.reproduce.reproduce import reproduce
from foray.requests import Machine
from tests.caches import made_once

from .made_results import Made

# Two runs: a head on the frozen backbone, and the whole network.
NAMES = ("mobilenet.whole", "figure1", "scaling.product")
MINI = StudyRequest(NAMES, "mini")


@dataclass(frozen=True)
class Finished:
    """What a mini reproduction left."""

    out: Path
    found: Reproduction

    @property
    def results(self) -> Path:
        return self.out / "results"


@pytest.fixture(scope="session")
def finished() -> Finished:
    with made_once("reproduction") as out:
        machine = Machine(cache_dir=out / "cache", workers=1)
        return Finished(out, reproduce(MINI, out, machine, command="foray reproduce"))  # what is there is only judged


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Results made up for one test; none yet."""
    return Made(tmp_path)
