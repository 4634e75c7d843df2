"""labels.csv as the page writes it and as people do: what counts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.errors import DataError
from foray.settling.labels_file import Answers, LabelQuestion, is_filled_in, read_labels, template

CLASSES = ("daisy", "rose, wild", "=tulip")
ASKED = ("b.png", "new/a b.png", "=c.png", "d.png")
QUESTION = LabelQuestion(ASKED, CLASSES, repeated=("b.png",), unasked=("e.png",), known={"seen.png": 1})


def read(folder: Path, *lines: str, header: str = "image,label", question: LabelQuestion = QUESTION) -> Answers:
    path = folder / "labels.csv"
    path.write_bytes("".join(f"{line}\r\n" for line in (header, *lines)).encode())
    return read_labels(path, question)


def test_what_the_page_writes(tmp_path) -> None:
    found = read(
        tmp_path,
        "b.png,daisy,no", 'new/a b.png,"rose, wild",yes', "'=c.png,'=tulip,no", "b.png,'=tulip,no",
        "d.png,cannot tell,no",
        header="image,label,guess_shown",
    )  # fmt: skip
    assert found.labels == {"b.png": 0, "new/a b.png": 1, "=c.png": 2, "d.png": None}
    assert (found.again, found.agreement(), found.guesses_shown) == ({"b.png": 2}, (0, 1), 1)


def test_names_may_be_written_as_they_are(tmp_path) -> None:
    assert read(tmp_path, "=c.png,=tulip", "new\\a b.png,daisy").labels == {"=c.png": 2, "new/a b.png": 0}


def test_the_template_asks_for_every_image_and_has_no_label_yet(tmp_path) -> None:
    (tmp_path / "labels.csv").write_text(template(QUESTION), newline="")
    assert (tmp_path / "labels.csv").read_bytes() == b"image,label\r\nb.png,\r\nnew/a b.png,\r\n'=c.png,\r\nd.png,\r\n"
    assert read_labels(tmp_path / "labels.csv", QUESTION).labels == {}


def test_lines_by_hand_may_follow_those_of_the_page(tmp_path) -> None:
    by_hand = template(QUESTION).split("\r\n")[3:5]
    page = ("b.png,daisy,no", 'new/a b.png,"rose, wild",no', "b.png,daisy,no")
    found = read(tmp_path, *page, f"{by_hand[0]}daisy", by_hand[1], header="image,label,guess_shown")
    assert found.labels == {"b.png": 0, "new/a b.png": 1, "=c.png": 0}
    assert found.again == {"b.png": 0}
    with pytest.raises(DataError, match="line 3: 1 cell where the header has 3"):
        read(tmp_path, page[0], "d.png", header="image,label,guess_shown")


def test_whether_there_is_a_label(tmp_path) -> None:
    path = tmp_path / "labels.csv"
    assert not is_filled_in(path, QUESTION)
    empty = template(QUESTION)
    for content in (empty, empty.replace(",", ";"), "\ufeff" + empty.replace("\r", ""), "image,label\n"):
        path.write_text(content, encoding="utf-8")
        assert not is_filled_in(path, QUESTION)
    for content in (f"{empty}b.png,daisy\n", "image,label\nd.png,cannot tell\n", "image,label\nb.png,orchid\n", "\x00"):
        path.write_text(content, encoding="utf-8")
        assert is_filled_in(path, QUESTION)


def test_an_empty_label_was_skipped_where_a_later_image_has_one(tmp_path) -> None:
    found = read(tmp_path, "b.png,", "new/a b.png,daisy", "=c.png,", "d.png,")
    assert found.labels == {"b.png": None, "new/a b.png": 0}
    assert found.prefix(ASKED) == [None, 0]


def test_an_empty_label_that_the_page_wrote_was_skipped(tmp_path) -> None:
    """Where a class is called "cannot tell"."""
    question = LabelQuestion(ASKED, ("daisy", "cannot tell"))
    found = read(
        tmp_path, "b.png,cannot tell,no", "new/a b.png,,no", header="image,label,guess_shown", question=question
    )
    assert found.labels == {"b.png": 1, "new/a b.png": None}


def test_only_the_longest_complete_prefix_counts(tmp_path) -> None:
    found = read(tmp_path, "d.png,daisy", "b.png,daisy")
    assert found.prefix(ASKED) == [0]
    assert found.prefix(("d.png", "b.png", "=c.png")) == [0, 0]


def test_labels_that_nobody_needs_do_no_harm(tmp_path) -> None:
    assert read(tmp_path, "e.png,daisy", 'seen.png,"rose, wild"', "b.png,daisy").labels == {"b.png": 0}


def test_agreement_with_oneself_counts_skipped_images_as_the_page_does(tmp_path) -> None:
    for second, agreement in (("daisy", (1, 1)), ("cannot tell", (0, 1)), ("=tulip", (0, 1))):
        assert read(tmp_path, "b.png,daisy", f"b.png,{second}").agreement() == agreement
    assert read(tmp_path, "b.png,cannot tell", "b.png,cannot tell").agreement() == (1, 1)
    assert read(tmp_path, "b.png,daisy").agreement() == (0, 0)


def test_the_same_row_twice_does_no_harm(tmp_path) -> None:
    assert read(tmp_path, "d.png,daisy", "d.png,daisy").labels == {"d.png": 0}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("b.png,daisy", "f.png,daisy"), r"labels\.csv, line 3: 'f\.png' is none of the new images"),
        (("b.png,dasy",), r"labels\.csv, line 2: unknown class 'dasy'. The classes are .*daisy.*'cannot tell'"),
        (("seen.png,daisy",), r"labels\.csv, line 2: 'seen\.png' is 'daisy' here, but .* as 'rose, wild'"),
        (("d.png,daisy", "d.png,=tulip"), r"labels\.csv, line 3: 'd\.png' has another label than in line 2"),
        (("b.png,daisy", "b.png,daisy", "b.png,=tulip"), r"line 4: 'b\.png' has another label than in line 2"),
        (("b.png,daisy,no",), "3 cells where the header has 2"),
    ],
)  # fmt: skip
def test_what_is_refused_names_file_and_line(tmp_path, lines, message) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, *lines)


def test_other_columns_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="lacks the column image: its first line is 'file,label'"):
        read(tmp_path, "b.png,daisy", header="file,label")


def test_a_missing_file_and_one_that_is_no_text(tmp_path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv"):
        read_labels(tmp_path / "labels.csv", QUESTION)
    (tmp_path / "labels.csv").write_bytes(b"image,label\r\n\xff\xfe,daisy\r\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_labels(tmp_path / "labels.csv", QUESTION)


def test_names_that_are_written_alike_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="Two images are both written"):
        read(tmp_path, "b.png,daisy", question=LabelQuestion(("=a.png", "'=a.png"), CLASSES))
