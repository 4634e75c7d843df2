"""The base of everything written to disk: versioned, validated, unknown keys are errors, written atomically."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from foray.errors import RunError
from foray.records.files import write_text
from foray.regular_files import read_regular


class Record(BaseModel):
    """A frozen value with a JSON form. "Not measured" is None, never 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def save(self, path: Path) -> None:
        """Writes the record as JSON, atomically."""
        write_text(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a record. Raises RunError when the file is missing, damaged or of another version."""
        try:
            content = read_regular(path)
        except OSError as error:
            raise RunError(f"Cannot read {path}: {error.strerror or error}.") from error
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first: Any = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise RunError(
                f"{path} is damaged or was written by another version of foray: {where}: {first['msg']}."
            ) from error
