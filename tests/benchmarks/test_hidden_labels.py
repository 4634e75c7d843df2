"""Images whose labels are hidden from the tools: none of them has a label as well."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from benchmarks._hidden_labels import Images, hide, write_labels

ARCHIVE = "made/up.zip"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[bytes, str]:
    """40 images of two classes in train and test; the class by content."""
    path, label_of = tmp_path / "shared" / "data" / ARCHIVE, {}
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("readme.txt", "not an image")
        for i in range(40):
            stream, label = io.BytesIO(), ("cat", "ship")[i % 2]
            Image.new("RGB", (4, 4), (i, 2 * i, 255 - i)).save(stream, "PNG")
            opened.writestr(f"set/{'test' if i < 12 else 'train'}/{label}/{i}.png", stream.getvalue())
            label_of[stream.getvalue()] = label
    monkeypatch.setenv("FORAY_TEST_DATA", str(tmp_path / "shared"))
    return label_of


@pytest.mark.parametrize("new_from", [None, "test"])
def test_images_with_and_without_labels_are_apart(archive: dict[bytes, str], tmp_path: Path, new_from: str | None):
    hidden = hide(Images("made up", ARCHIVE, 10, 4, 3, new_from=new_from), tmp_path / "out")
    known = {path.read_bytes(): path.parent for path in hidden.known.rglob("*.png")}
    new = {(hidden.new / id_).read_bytes(): label for id_, label in hidden.truth.items()}
    assert not known.keys() & new.keys()
    assert {split: len(list((hidden.known / split).rglob("*.png"))) for split in ("train", "val", "test")} == {
        "train": 10, "val": 4, "test": 3,
    }  # fmt: skip
    assert len(new) == (12 if new_from else 40 - 17)
    assert all(archive[content] == folder.name for content, folder in known.items())
    assert new.items() <= archive.items()
    assert new_from is None or all(content in list(archive)[:12] for content in new)


def test_the_same_seed_hides_the_same_images_and_classes_can_be_put_together(
    archive: dict[bytes, str], tmp_path: Path
) -> None:
    merged = Images("made up", ARCHIVE, 10, 4, 3, new=5, classes={"cat": "animal"})
    one, two, other = (hide(merged, tmp_path / str(n), seed) for n, seed in enumerate((0, 0, 1)))
    assert one.truth == two.truth
    assert [(one.new / id_).read_bytes() for id_ in one.truth] == [(two.new / id_).read_bytes() for id_ in two.truth]
    assert [(one.new / id_).read_bytes() for id_ in one.truth] != [(other.new / i).read_bytes() for i in other.truth]
    assert len(one.truth) == 5
    assert {path.name for path in (one.known / "train").iterdir()} == {"animal", "ship"}
    path = write_labels(tmp_path / "labels.csv", list(one.truth)[:2], one.truth)
    assert path.read_text().splitlines() == ["image,label", *(f"{i},{one.truth[i]}" for i in list(one.truth)[:2])]
