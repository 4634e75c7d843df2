"""By which rule the runs of a folder were carved, so that runs of earlier versions go on with the splits they had."""

from __future__ import annotations

from pathlib import Path

from foray.data.split_units import Carving
from foray.data.splits import carving_of
from foray.records import RunRecord


def carving_in(out: Path) -> Carving:
    """The rule of the runs in `out`/runs, of a comparison or a search; the present one where there is none."""
    first = next(iter(sorted(out.glob("runs/*/record.json"))), None)
    return "by content" if first is None else carving_of(RunRecord.load(first).dataset.split_origin)


def has_runs_carved_by_name(out: Path, name: str) -> bool:
    """Whether `out` holds a run of an earlier version whose folder's name begins with `name`."""
    paths = sorted(path for path in out.glob("*/record.json") if path.parent.name.startswith(name))
    records = (RunRecord.load(path) for path in paths)
    return any(carving_of(record.dataset.split_origin) == "by name" for record in records)
