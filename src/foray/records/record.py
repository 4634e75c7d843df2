"""The base of everything written to disk: versioned, validated, unknown keys are errors, written atomically."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from foray.errors import RunError
from foray.records.files import write_text
from foray.records.sealing import BrokenSealError, sealed, unsealed
from foray.regular_files import read_regular


class Record(BaseModel):
    """A frozen value with a JSON form. "Not measured" is None, never 0; NaN and infinity, which JSON does not have, are
    errors.

    `way_out`: what to do about a damaged file of this kind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    way_out: ClassVar[str] = ""

    def text(self) -> str:
        """The record as JSON, sealed with its digest. Raises RunError for a number that JSON cannot hold."""
        for where, value in _numbers(self.model_dump(), ""):
            if not math.isfinite(value):
                raise RunError(f"{type(self).__name__}.{where} is {value}, which JSON cannot hold: nothing is written.")
        return sealed(self.model_dump_json(indent=1) + "\n")

    def save(self, path: Path) -> None:
        """Writes the record as JSON, atomically. Raises RunError for a number that JSON cannot hold."""
        write_text(path, self.text())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a record. Raises RunError when the file is missing, damaged or of another version.

        Files without a digest, from earlier versions and other programs, are not checked.
        """
        try:
            content = unsealed(read_regular(path))
        except OSError as error:
            raise RunError(f"Cannot read {path}: {error.strerror or error}.") from error
        except BrokenSealError as error:
            raise RunError(
                _joined(
                    f"{path} is damaged: its SHA-256 differs from the one that foray wrote.",
                    cls.way_out,
                    'If you changed it yourself, delete its line "digest" as well.',
                )
            ) from error
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first: Any = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise RunError(
                _joined(
                    f"{path} is damaged or was written by another version of foray: {where}: {first['msg']}.",
                    cls.way_out,
                )
            ) from error


def _numbers(value: Any, where: str) -> Iterator[tuple[str, float]]:
    """Every float within, with its path."""
    if isinstance(value, float):
        yield where, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _numbers(item, f"{where}.{i}")


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
