"""How the splits of a folder's runs were carved, so that runs of earlier versions keep their splits."""

from __future__ import annotations

from pathlib import Path

from foray.data.split_units import Carving
from foray.data.splits import carving_of
from foray.records import runs_in


def carving_in(out: Path) -> Carving:
    """The rule of the runs in `out`/runs, of a comparison or a search; the present one where there is none."""
    runs = runs_in(out / "runs")
    return carving_of(runs[0].load().dataset.split_origin) if runs else "by content"


def has_runs_carved_by_name(out: Path, name: str) -> bool:
    """Whether `out` holds a run of an earlier version whose folder's name begins with `name`."""
    records = (run.load() for run in runs_in(out) if run.path.name.startswith(name))
    return any(carving_of(record.dataset.split_origin) == "by name" for record in records)
