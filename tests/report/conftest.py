"""A comparison's folder, and the report written from it once for all tests that only read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foray.report import write_report

from .example import write_comparison


@pytest.fixture
def comparison_folder(tmp_path: Path) -> Path:
    return write_comparison(tmp_path / "out")


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison's folder after write_report."""
    folder = write_comparison(tmp_path_factory.mktemp("reported") / "out")
    assert write_report(folder) == folder / "report.html"
    return folder


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    """Applies `change` to the parsed JSON of a file, and removes its digest as a person has to who edits it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content.pop("digest", None)
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
