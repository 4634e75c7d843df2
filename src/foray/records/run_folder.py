"""The folder of a run: what its files are called, and how they are read where no torch is needed.

recipe.toml                 the resolved recipe, for people: never read back
record.json                 what came out; saved last, with the SHA-256 of every other file with results
history.jsonl               one line an epoch
checkpoint/                 what a stopped run goes on from (`foray.training.checkpoint`)
best.safetensors            the complete network that is kept
predictions/<split>.npz     image ids, labels and class probabilities (`foray.runs.saved_predictions`)
images.npz                  which images the run saw (`foray.runs.seen_images`)
profile.json                what the network costs, written by a comparison
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from foray.errors import RunError
from foray.records.metrics import EpochRow
from foray.records.run import RunRecord
from foray.records.sealing import file_sha256, sha256
from foray.regular_files import is_there, read_regular


@dataclass(frozen=True)
class RunFolder:
    """The files of one run, in `path`."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def record(self) -> Path:
        """The record; its status tells whether the run is done."""
        return self.path / "record.json"

    @property
    def history(self) -> Path:
        """One line an epoch."""
        return self.path / "history.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The folder of what a stopped run goes on from."""
        return self.path / "checkpoint"

    @property
    def weights(self) -> Path:
        """The complete network, backbone and head, of the epoch that is kept."""
        return self.path / "best.safetensors"

    @property
    def images(self) -> Path:
        """Which images the run saw; runs of earlier versions have none."""
        return self.path / "images.npz"

    @property
    def profile(self) -> Path:
        """What the network costs."""
        return self.path / "profile.json"

    def predictions(self, split: str) -> Path:
        """What the kept network says of the images of `split`."""
        return self.path / "predictions" / f"{split}.npz"

    @property
    def is_there(self) -> bool:
        """Whether the folder holds a run, finished or not."""
        return is_there(self.record)

    @property
    def is_done(self) -> bool:
        """Whether the run was finished. Raises RunError for a damaged record."""
        return self.is_there and self.load().status == "done"

    def load(self) -> RunRecord:
        """The record. Raises RunError when it is missing, damaged or of another version."""
        return RunRecord.load(self.record)

    def digests(self) -> dict[str, str]:
        """SHA-256 of everything with results in the folder, whoever wrote it, by relative path.

        The record holds the digests of the others; the checkpoint and profile.json have their own.
        """
        without = {self.record, self.profile, self.recipe}
        files = (path for path in sorted(self.path.rglob("*")) if path.is_file() and not path.name.startswith("."))
        return {
            path.relative_to(self.path).as_posix(): file_sha256(path)
            for path in files
            if path not in without and not path.is_relative_to(self.checkpoint)
        }

    def read(self, file: Path, record: RunRecord) -> bytes:
        """The content of a file. Raises RunError when it is missing, or not what the run of `record` wrote.

        Runs of earlier versions of foray have no digests: then the content is not checked.
        """
        try:
            content = read_regular(file)
        except OSError as error:
            raise self._unreadable(file, error) from error
        if (expected := self._digest(file, record)) is not None and sha256(content) != expected:
            raise self._damaged(file)
        return content

    def require_intact(self, file: Path, record: RunRecord) -> None:
        """As `read`, of a file that is read elsewhere."""
        if (expected := self._digest(file, record)) is None:
            return
        try:
            found = file_sha256(file)
        except OSError as error:
            raise self._unreadable(file, error) from error
        if found != expected:
            raise self._damaged(file)

    def read_history(self, record: RunRecord) -> tuple[EpochRow, ...]:
        """A row an epoch of a finished run. Raises RunError when the history is missing or damaged."""
        lines = self.read(self.history, record).splitlines()
        return parse_history(lines, self.history, self._way_out)

    def _digest(self, file: Path, record: RunRecord) -> str | None:
        return record.files.get(file.relative_to(self.path).as_posix())

    def _unreadable(self, file: Path, error: OSError) -> RunError:
        return RunError(f"Cannot read {file}: {error.strerror or error}. {self._way_out}")

    def _damaged(self, file: Path) -> RunError:
        return RunError(f"{file} is damaged: its SHA-256 differs from the recorded one. {self._way_out}")

    @property
    def _way_out(self) -> str:
        return f"Delete {self.path}, and run the command that started it again."


def parse_history(lines: Sequence[bytes], path: Path, way_out: str) -> tuple[EpochRow, ...]:
    """The rows of history.jsonl. Raises RunError, naming `path`, for a line that is none, and says `way_out`."""
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(EpochRow.model_validate_json(line))
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            raise RunError(f"{path} is damaged in line {number}: {reason}. {way_out}") from error
    return tuple(rows)


def runs_in(folder: Path) -> list[RunFolder]:
    """The runs in `folder`, an `--out`, finished or not, by name."""
    return [RunFolder(path.parent) for path in sorted(folder.glob("*/record.json"))]


def unfinished_runs(folder: Path) -> list[Path]:
    """Folders of the runs in `folder` that are not done."""
    return [run.path for run in runs_in(folder) if not run.is_done]


def find_run(folder: Path) -> RunFolder:
    """The run in `folder`, which is that of a run itself or the `--out` of one.

    Of several runs the one that is not done. Raises RunError when there is none, or more than one to choose from.
    """
    if RunFolder(folder).is_there:
        return RunFolder(folder)
    runs = runs_in(folder)
    if not runs:
        raise RunError(f"There is no run in {folder}. Name the folder that was given with `out`.")
    unfinished = unfinished_runs(folder)
    choice = unfinished or [run.path for run in runs]
    if len(choice) > 1:
        many = "unfinished runs" if unfinished else "runs, all of them done"
        raise RunError(f"{folder} holds {len(choice)} {many}: {', '.join(map(str, choice))}. Name one of them.")
    return RunFolder(choice[0])
