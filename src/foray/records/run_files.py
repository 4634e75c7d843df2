"""The files of a finished run, each of which has to be as the run wrote it: their digests stand in its record."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from foray.errors import RunError
from foray.records.metrics import EpochRow
from foray.records.run import RunRecord
from foray.records.sealing import file_sha256, sha256
from foray.regular_files import read_regular

# The record holds the digests of the others, and profile.json its own; a recipe is for people, and never read back.
_WITHOUT_DIGEST = ("record.json", "profile.json", "recipe.toml")
_CHECKPOINT = "checkpoint"  # has digests of its own, and is of no use to a run that is done


def result_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of everything with results in the folder of a run, whoever wrote it, by relative path."""
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        name.as_posix(): file_sha256(folder / name)
        for name in names
        if name.parts[0] != _CHECKPOINT and not name.name.startswith(".") and name.as_posix() not in _WITHOUT_DIGEST
    }


def read_run_file(folder: Path, record: RunRecord, name: str) -> bytes:
    """The content of `folder`/`name`. Raises RunError when it is missing, or not what the run of `record` wrote.

    Runs of earlier versions of foray have no digests: then the content is not checked.
    """
    path = folder / name
    try:
        content = read_regular(path)
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror or error}. {_way_out(folder)}") from error
    expected = record.files.get(name)
    if expected is not None and sha256(content) != expected:
        raise RunError(f"{path} is damaged: it is not as the run wrote it (SHA-256). {_way_out(folder)}")
    return content


def require_intact(folder: Path, record: RunRecord, name: str) -> None:
    """As `read_run_file`, of a file that is read elsewhere."""
    path = folder / name
    expected = record.files.get(name)
    if expected is None:
        return
    try:
        found = file_sha256(path)
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror or error}. {_way_out(folder)}") from error
    if found != expected:
        raise RunError(f"{path} is damaged: it is not as the run wrote it (SHA-256). {_way_out(folder)}")


def read_history(folder: Path, record: RunRecord) -> tuple[EpochRow, ...]:
    """history.jsonl of a finished run, a row an epoch. Raises RunError when it is missing or damaged."""
    path = folder / "history.jsonl"
    content = read_run_file(folder, record, path.name)
    rows = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            rows.append(EpochRow.model_validate_json(line))
        except ValidationError as error:
            raise RunError(
                f"{path} is damaged in line {number}: {error.errors(include_url=False)[0]['msg']}. {_way_out(folder)}"
            ) from error
    return tuple(rows)


def _way_out(folder: Path) -> str:
    return f"Delete {folder}, and run the command that began it again."
