"""labels.csv: the labels that a person gives, as label.html writes them or filled in by hand.

Columns `image` and `label`; others, such as the page's `guess_shown`, may follow. Lines filled in by hand may follow
those of the page. Names are written as `plain_text.csv_cell` writes them, or as they are. An image that was shown twice
has two rows, of which the first counts. `cannot tell` is an image that was skipped. So is an empty label, unless it is
in a row that the page did not write and no image after it, in the order in which they are asked for, has a label: then
it is yet to be labelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foray.data.class_folders import class_name, normal
from foray.data.csv_table import read_table
from foray.data.dataset import some_names
from foray.errors import DataError
from foray.parsing import shortened
from foray.plain_text import csv_cell, one_line
from foray.regular_files import is_there

SKIPPED = "cannot tell"  # in labels.csv, of an image that was skipped
_COLUMNS = ("image", "label")
_SHOWN = "guess_shown"  # yes or no; only the page writes it


@dataclass(frozen=True)
class LabelQuestion:
    """What labels.csv may say.

    asked: ids of the images that need a label, in the stored order.
    classes: names, in the order of the class indices.
    repeated: ids of those that are shown twice.
    unasked: ids of new images that need no label, because the networks agree on them.
    known: class index by id of images that were left out, because the runs have seen the same file.
    """

    asked: Sequence[str]
    classes: Sequence[str]
    repeated: Collection[str] = ()
    unasked: Collection[str] = ()
    known: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """What labels.csv says.

    labels: class index by id of the images that were asked for; None: it could not be told. Images yet to be labelled
    are absent.
    again: the second answer by id, of images that were shown twice.
    guesses_shown: answers that were given after the page showed what the models say.
    """

    labels: Mapping[str, int | None]
    again: Mapping[str, int | None] = field(default_factory=dict)
    guesses_shown: int = 0

    def agreement(self) -> tuple[int, int]:
        """Of the images that were answered both times they were shown: how many got the same answer, and how many
        there are."""
        twice = [self.labels[id_] == second for id_, second in self.again.items()]
        return sum(twice), len(twice)

    def prefix(self, order: Sequence[str]) -> list[int | None]:
        """The labels of `order` up to the first image that has none yet."""
        found: list[int | None] = []
        for id_ in order:
            if id_ not in self.labels:
                break
            found.append(self.labels[id_])
        return found


def template(question: LabelQuestion) -> str:
    """labels.csv to fill in by hand."""
    lines = [",".join(_COLUMNS), *(f"{_quoted(csv_cell(id_))}," for id_ in question.asked)]
    return "\r\n".join(lines) + "\r\n"


def read_labels(path: Path, question: LabelQuestion) -> Answers:
    """Reads labels.csv.

    Raises DataError, which names the file and the line, for what is no CSV, unknown images and classes, labels that
    contradict known ones, and an image with two labels that differ though it was not shown twice.
    """
    header, rows = read_table(path, optional=(_SHOWN,))
    if missing := [column for column in _COLUMNS if column not in header]:
        raise DataError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {' and '.join(missing)}: its first line is "
            f"{shortened(','.join(header))!r}, but should be image,label."
        )
    image_of = _named([*question.asked, *question.unasked, *question.known], "images")
    class_of = _named(question.classes, "classes")
    reading = _Reading(path, question)
    for line, row in rows:
        image = image_of.get(normal(row["image"]).replace("\\", "/")) or image_of.get(normal(row["image"]))
        if image is None:
            shown = one_line(shortened(row["image"]))
            raise DataError(
                f"{path}, line {line}: {shown!r} is none of the new images. Labels are of the images that "
                "foray asked for; write their names as labels.csv does."
            )
        written = row["label"]
        label = class_of.get(class_name(written), None)
        if label is None and written and written.casefold() != SKIPPED:
            raise DataError(
                f"{path}, line {line}: unknown class {one_line(shortened(written))!r}. The classes are "
                f"{some_names(question.classes, 10)}, in capital and small letters as here; write {SKIPPED!r} where it "
                "cannot be told."
            )
        index = None if label is None else question.classes.index(label)
        reading.take(line, image, index, answered=bool(written or row.get(_SHOWN)), shown=row.get(_SHOWN) == "yes")
    return reading.answers()


def is_filled_in(path: Path, question: LabelQuestion) -> bool:
    """Whether labels.csv holds a label, or something else that nobody but a person can have written there."""
    try:
        return is_there(path) and bool(read_labels(path, question).labels)
    except DataError:
        return True


class _Reading:
    """The rows so far."""

    def __init__(self, path: Path, question: LabelQuestion) -> None:
        self._path, self._question = path, question
        self._asked, self._repeated = set(question.asked), set(question.repeated)
        self._first: dict[str, tuple[int, int | None]] = {}  # line, class index
        self._again: dict[str, int | None] = {}
        self._blank: set[str] = set()
        self._shown = 0

    def take(self, line: int, image: str, label: int | None, *, answered: bool, shown: bool) -> None:
        """One row. `answered`: the page wrote it, or it has a label. Raises DataError."""
        self._shown += shown
        if image not in self._asked:
            self._require_no_contradiction(line, image, label)
        elif image not in self._first or image in self._blank:
            self._first[image] = line, label
            (self._blank.discard if answered else self._blank.add)(image)
        elif not answered:
            return
        elif image in self._repeated and image not in self._again:
            self._again[image] = label
        elif self._first[image][1] != label:
            raise DataError(
                f"{self._path}, line {line}: {one_line(image)!r} has another label than in line "
                f"{self._first[image][0]}. Keep one of the two rows."
            )

    def answers(self) -> Answers:
        """What the rows say together."""
        order = self._question.asked
        last = max((i for i, id_ in enumerate(order) if id_ in self._first and id_ not in self._blank), default=-1)
        early = set(order[: last + 1])
        labels = {id_: label for id_, (_, label) in self._first.items() if id_ not in self._blank or id_ in early}
        return Answers(labels, self._again, self._shown)

    def _require_no_contradiction(self, line: int, image: str, label: int | None) -> None:
        known = self._question.known.get(image)
        if known is not None and label is not None and known != label:
            classes = self._question.classes
            raise DataError(
                f"{self._path}, line {line}: {one_line(image)!r} is {classes[label]!r} here, but the comparison has "
                f"the same image as {classes[known]!r}. One of the two is wrong: correct it."
            )


def _named(names: Sequence[str], what: str) -> dict[str, str]:
    """Each name by how it may be written in labels.csv. Raises DataError where two are written alike."""
    found = {csv_cell(name).strip(): name for name in names}
    if len(found) < len(set(names)):
        counts = Counter(csv_cell(name).strip() for name in set(names))
        twice = counts.most_common(1)[0][0]
        raise DataError(f"Two {what} are both written {twice!r} in labels.csv. Rename one of them.")
    return {name.strip(): name for name in names if name.strip() not in found} | found


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in ',;"\t\r\n') else cell
