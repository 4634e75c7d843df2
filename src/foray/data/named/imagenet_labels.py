"""Labels of the ILSVRC2012 validation images: the devkit's, Kaggle's table, any table of paths, or class folders.

A class index is the position of the class's WordNet id among the sorted 1000: the order of common pretrained weights.
The devkit counts otherwise (ILSVRC2012_ID 1..1000); its meta.mat says which WordNet id each number is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePath

from foray.data.csv_table import read_table
from foray.errors import DataError
from foray.parsing import shortened
from foray.regular_files import read_regular, require_regular

CLASSES = 1000
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
KAGGLE_LABELS = "LOC_val_solution.csv"
_WORDNET_ID = re.compile(r"n\d{8}")
_LABEL_COLUMNS = ("class_index", "label", "wordnet_id")


@dataclass(frozen=True)
class Labels:
    """`index`: class index of a file by its stem; `names`: what is known of the 1000 class names."""

    index: Mapping[str, int]
    names: Mapping[int, str]


@cache
def imagenet_classes() -> tuple[str, ...]:
    """`n01440764 tench` and so on: the WordNet id and the name of the 1000 classes, in the order of their indices."""
    text = (files("foray.data") / "resources" / "imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))


def class_names(known: Mapping[int, str]) -> tuple[str, ...]:
    """Of all 1000: what is `known` of them, and WordNet's name where nothing is or the WordNet id alone."""
    usual = imagenet_classes()
    return tuple(name if known.get(i) in (None, name.split()[0]) else known[i] for i, name in enumerate(usual))


def find_labels(data_dir: Path, devkit: Path | None, images: Sequence[PurePath]) -> Labels | None:
    """From labels.csv, Kaggle's LOC_val_solution.csv, the devkit's data folder, or class folders named by WordNet id.

    None where there are none. Raises DataError for labels that cannot be read or name unknown classes.
    """
    synsets = _synsets(devkit) if devkit is not None else []
    ids = _positions(wordnet_id for _, wordnet_id, _ in synsets)
    names = {ids[wordnet_id]: f"{wordnet_id} {name}" for _, wordnet_id, name in synsets}
    if (table := data_dir / "labels.csv").is_file():
        return _from_table(table, ids, names)
    if (table := data_dir / KAGGLE_LABELS).is_file():
        return _from_kaggle(table, ids, names)
    folders = {path.parent.name for path in images}
    if ids and folders <= set(ids):
        return Labels({path.stem: ids[path.parent.name] for path in images}, names)
    if devkit is not None:
        return Labels(_ground_truth(devkit, synsets, ids), names)
    if len(folders) == CLASSES and all(map(_WORDNET_ID.fullmatch, folders)):
        ids = _positions(folders)
        return Labels({path.stem: ids[path.parent.name] for path in images}, {i: name for name, i in ids.items()})
    return None


def _positions(wordnet_ids: Iterable[str]) -> dict[str, int]:
    return {wordnet_id: i for i, wordnet_id in enumerate(sorted(set(wordnet_ids)))}


def _from_table(table: Path, ids: Mapping[str, int], names: Mapping[int, str]) -> Labels:
    """A CSV with filename or path, and class_index or label: 0..999, or a WordNet id where all 1000 are known."""
    header, rows = read_table(table)
    file = next((column for column in ("filename", "path") if column in header), None)
    column = next((column for column in _LABEL_COLUMNS if column in header), None)
    labels = [row[column] for _, row in rows] if column else []
    if file is None or column is None or any(not (c.isdecimal() or _WORDNET_ID.fullmatch(c)) for c in labels[:1]):
        raise DataError(
            f"{table} should have the columns filename,class_index (0..999, sorted by WordNet id) or path,label "
            "(such a number, or the WordNet id)."
        )
    if labels and not labels[0].isdecimal():
        ids = ids or _all_positions(table, labels)
    index: dict[str, int] = {}
    names = dict(names)
    for line, row in rows:
        position = _class_index(table, line, column, row[column], ids)
        index[PurePath(row[file].replace("\\", "/")).stem] = position
        if name := " ".join(filter(None, (row.get("wordnet_id"), row.get("class_name")))):
            names[position] = name
    return Labels(index, names)


def _class_index(table: Path, line: int, column: str, label: str, ids: Mapping[str, int]) -> int:
    if label in ids:
        return ids[label]
    if not label.isdecimal() or Decimal(label) >= CLASSES:
        raise DataError(f"{table}, line {line}: {column} {shortened(label)!r} is not one of 0..999.")
    return int(label)


def _from_kaggle(table: Path, ids: Mapping[str, int], names: Mapping[int, str]) -> Labels:
    """ImageId,PredictionString: the WordNet id, then the box of the object, once or more."""
    header, rows = read_table(table)
    if "imageid" not in header or "predictionstring" not in header:
        raise DataError(f"{table} lacks the columns ImageId,PredictionString of Kaggle's {KAGGLE_LABELS}.")
    labels = [(line, row["imageid"], (row["predictionstring"].split() or [""])[0]) for line, row in rows]
    ids = ids or _all_positions(table, [label for _, _, label in labels])
    if unknown := [(line, label) for line, _, label in labels if label not in ids]:
        raise DataError(f"{table}, line {unknown[0][0]}: {unknown[0][1]!r} is not one of the WordNet ids.")
    return Labels({image: ids[label] for _, image, label in labels}, names or {i: name for name, i in ids.items()})


def _all_positions(table: Path, labels: Sequence[str]) -> dict[str, int]:
    """Class index by WordNet id from the table itself, which needs all classes in it to tell their order."""
    if len(set(labels)) != CLASSES:
        raise DataError(
            f"{table} names {len(set(labels)):,} WordNet ids, so the order of the 1000 classes is not known: put "
            "ILSVRC2012_devkit_t12.tar.gz beside it, or give class_index."
        )
    return _positions(labels)


def _synsets(devkit: Path) -> list[tuple[int, str, str]]:
    """(ILSVRC2012_ID, WordNet id, first name) of the 1000 leaf classes, from the devkit's meta.mat."""
    from scipy.io import loadmat

    try:
        require_regular(devkit / "meta.mat")
        table = loadmat(devkit / "meta.mat", squeeze_me=True)["synsets"]
        leaves = table[table["num_children"] == 0]
        return [(int(row["ILSVRC2012_ID"]), str(row["WNID"]), str(row["words"]).split(",")[0]) for row in leaves]
    except Exception as error:  # on damaged bytes scipy raises nearly every kind of exception
        raise DataError(f"Cannot read the class list {devkit / 'meta.mat'}: {shortened(error)}.") from error


def _ground_truth(devkit: Path, synsets: Sequence[tuple[int, str, str]], ids: Mapping[str, int]) -> dict[str, int]:
    """Class index by file stem: line n of the ground truth is the ILSVRC2012_ID of validation image n."""
    index = {number: ids[wordnet_id] for number, wordnet_id, _ in synsets}
    path = devkit / GROUND_TRUTH
    try:
        numbers = [int(line) for line in read_regular(path).decode("ascii").split()]
        return {f"ILSVRC2012_val_{n:08d}": index[number] for n, number in enumerate(numbers, start=1)}
    except (ValueError, KeyError) as error:
        raise DataError(f"{path} should hold one ILSVRC2012_ID per line: {shortened(error)}.") from error
