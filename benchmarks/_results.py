"""Where the benchmarks find their inputs, and how they state their results."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from foray.records import hardware

ROOT = Path(__file__).resolve().parents[1]


def shared_data() -> Path:
    """The folder with real images and weights: `FORAY_TEST_DATA`, default ../shared beside the repository."""
    return Path(os.environ.get("FORAY_TEST_DATA", ROOT.parent / "shared"))


def keras_python() -> Path:
    """A Python that has tensorflow-cpu: `FORAY_KERAS_PYTHON`, default .venv-keras in the repository."""
    return Path(os.environ.get("FORAY_KERAS_PYTHON", ROOT / ".venv-keras/bin/python"))


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    here = hardware()
    packages = ("foray", "torch", "openvino", "numpy", "pillow")
    installed = {distribution.metadata["Name"].lower() for distribution in metadata.distributions()}
    return {
        "hardware": here.label(),
        "system": here.system,
        "load_average": os.getloadavg()[0],
        "versions": {name: metadata.version(name) for name in packages if name in installed},
    }


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells))


def write_json(path: Path | None, results: Mapping[str, Any]) -> None:
    """Writes the results with the machine they were measured on, if a path is given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**machine(), **results}, indent=1) + "\n", encoding="utf-8")
