"""Which run a folder is about: one that `foray train --resume` goes on with."""

from __future__ import annotations

from pathlib import Path

from foray.errors import RunError
from foray.records.run import RunRecord
from foray.regular_files import is_there


def find_run(folder: Path) -> Path:
    """The folder of the run in `folder`, which is that of a run itself or the `--out` of one.

    Of several runs the one that is not done. Raises RunError when there is none, or more than one to choose from.
    """
    if is_there(folder / "record.json"):
        return folder
    runs = sorted(path.parent for path in folder.glob("*/record.json"))
    if not runs:
        raise RunError(f"There is no run in {folder}. Name the folder that was given to --out.")
    unfinished = unfinished_runs(folder)
    choice = unfinished or runs
    if len(choice) > 1:
        many = "unfinished runs" if unfinished else "runs, all of them done"
        raise RunError(f"{folder} holds {len(choice)} {many}: {', '.join(map(str, choice))}. Name one of them.")
    return choice[0]


def unfinished_runs(folder: Path) -> list[Path]:
    """Folders of the runs in `folder` (an `--out`) that are not done."""
    records = sorted(folder.glob("*/record.json"))
    return [path.parent for path in records if RunRecord.load(path).status != "done"]
