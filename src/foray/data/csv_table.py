"""A CSV of path,label[,split][,group]: paths are relative to the folder of the CSV.

Cells may be parted by commas, semicolons (spreadsheets of many countries) or tabs, and paths written with backslashes
(Windows) or in another Unicode form than the files (macOS).
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from foray.data.class_folders import class_list, class_name, normal, unique_samples
from foray.data.dataset import Dataset, ImageFile, Sample, Split, counted, some_names
from foray.data.splits import SPLIT_NAMES
from foray.errors import DataError
from foray.parsing import shortened
from foray.regular_files import is_there, open_regular

_COLUMNS = ("path", "label", "split", "group")
_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab"}


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    split: Split | None
    group: str | None


def read_csv(table: Path, name: str, source: str) -> Dataset:
    """The images a CSV names; ids are the paths of the files. Whole-number labels are ordered as numbers.

    Labels are written as `class_name` does. Raises DataError when a column or a file is missing, a cell is empty, a
    split is unknown or given for some rows only, or a path is listed twice.
    """
    rows, ignored = _rows(table)
    if not rows:
        raise DataError(f"{table} has a header but no rows.")
    rows, absent = _found(rows, table)
    if absent:
        raise DataError(
            f"{table} names {counted(len(absent), 'file')} that cannot be found: {some_names(absent)}. "
            f"Paths are relative to {table.parent.absolute()}."
        )
    if len({row.split is None for row in rows}) > 1:
        line = next(row.line for row in rows if row.split is None)
        raise DataError(f"{table}, line {line}: no split, though other rows have one. Fill in all of them or none.")
    classes = _classes((row.label for row in rows), table)
    position = {label: i for i, label in enumerate(classes)}
    return Dataset(
        name=name,
        source=source,
        classes=classes,
        samples=unique_samples(
            Sample(row.path, ImageFile(table.absolute().parent / row.path), position[row.label], row.split, row.group)
            for row in rows
        ),
        split_origin="",
        notes=(f"columns not used: {some_names(ignored)}",) if ignored else (),
    )


def read_table(table: Path, optional: Collection[str] = ()) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names in lower case, and (line number, row) of a CSV with a header. Raises DataError if unreadable.

    `optional`: columns that a row may end without, where they are the last ones; such a cell is then empty.
    """
    try:
        with io.TextIOWrapper(open_regular(table), encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            delimiter = max(_NAMES, key=first.count)  # of equals the comma, which comes first
            reader = csv.reader(stream, strict=True, delimiter=delimiter)
            header = [column.strip().lower() for column in next(reader, [])]
            most = least = len(header)
            while least and header[least - 1] in optional:
                least -= 1
            rows = []
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if not least <= len(cells) <= most:
                    raise DataError(
                        f"{table}, line {reader.line_num}: {counted(len(cells), 'cell')} where the header has "
                        f"{most}. Put cells that contain {_NAMES[delimiter]} in double quotes."
                    )
                cells += [""] * (most - len(cells))
                rows.append((reader.line_num, dict(zip(header, map(str.strip, cells), strict=True))))
    except OSError as error:
        raise DataError(f"Cannot read {table}: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        way_out = " Save it as CSV UTF-8." if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"Cannot read {table} as a UTF-8 CSV: {error}.{way_out}") from error
    return header, rows


def _rows(table: Path) -> tuple[list[_Row], list[str]]:
    header, cells = read_table(table)
    if missing := [column for column in ("path", "label") if column not in header]:
        found = ",".join(header) or "nothing"
        raise DataError(
            f"{table} lacks the column{'s' if len(missing) > 1 else ''} {' and '.join(missing)}: its first line is "
            f"{found!r}, but should name path,label and optionally split,group."
        )
    rows: list[_Row] = []
    lines: dict[str, int] = {}
    for line, row in cells:
        if not row["path"] or not row["label"]:
            raise DataError(f"{table}, line {line}: the {'label' if row['path'] else 'path'} is empty.")
        split = row.get("split") or None
        if split is not None and split.lower() not in SPLIT_NAMES:
            raise DataError(f"{table}, line {line}: unknown split {shortened(split)!r}. Use train, val or test.")
        path = os.path.normpath(row["path"])
        if path in lines:
            raise DataError(f"{table}, line {line}: {row['path']} is listed already in line {lines[path]}.")
        lines[path] = line
        rows.append(
            _Row(
                line,
                path,
                class_name(row["label"]),
                SPLIT_NAMES[split.lower()] if split else None,
                row.get("group") or None,
            )
        )
    return rows, [column for column in header if column and column not in _COLUMNS]


def _found(rows: Sequence[_Row], table: Path) -> tuple[list[_Row], list[str]]:
    """The rows with their paths as the files are named, and the paths of which there is no file."""
    found: list[_Row] = []
    absent: list[str] = []
    for row in rows:
        path = _path_there(table.parent, row.path)
        if path is None:
            absent.append(row.path)
        else:
            found.append(replace(row, path=path))
    return found, absent


def _path_there(folder: Path, path: str) -> str | None:
    """`path` as it is; else with slashes for backslashes; else with each part in the Unicode form of the file."""
    for written in dict.fromkeys((path, os.path.normpath(path.replace("\\", "/")))):
        if is_there(folder / written):
            return written
    actual = Path()
    for part in Path(written).parts:
        try:
            names = [entry.name for entry in (folder / actual).iterdir() if normal(entry.name) == normal(part)]
        except OSError:
            return None
        if not names:
            return None
        actual /= names[0]
    return actual.as_posix()


def _classes(labels: Iterable[str], table: Path) -> tuple[str, ...]:
    names = class_list(labels, where=str(table))
    return tuple(sorted(names, key=Decimal)) if all(map(str.isdecimal, names)) else names
