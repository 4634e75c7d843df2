"""Folders and tables from phones, network drives and Windows: read as meant, or refused with the cause."""

from __future__ import annotations

import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from pictures import draw, draw_classes
from PIL import Image

import foray
from foray.data import UnreadableImagesError, load_image, open_dataset
from foray.data.class_folders import class_name
from foray.errors import DataError


def classes_and_count(data: Path, cache: Path) -> tuple[tuple[str, ...], int]:
    dataset = open_dataset(data, cache_dir=cache)
    return dataset.classes, len(dataset.samples)


# --- links ---


def test_a_class_folder_that_is_a_broken_link_is_named(tmp_path: Path) -> None:
    draw_classes(tmp_path, {"a": 4, "b": 4})
    (tmp_path / "c").symlink_to(tmp_path / "moved")
    with pytest.raises(DataError, match=r"c is a link to .*moved, which does not exist\. Repair the link"):
        open_dataset(tmp_path, cache_dir=tmp_path.parent / "cache")


def test_a_broken_link_inside_a_class_folder_is_named(tmp_path: Path) -> None:
    draw_classes(tmp_path, {"a": 4, "b": 4})
    (tmp_path / "a" / "more").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"a/more is a link to nowhere"):
        open_dataset(tmp_path, cache_dir=tmp_path.parent / "cache")


@pytest.mark.parametrize("link", ["a/up", "all", "a/deep/er/up"])
def test_a_link_to_a_folder_above_the_classes_is_refused(tmp_path: Path, link: str) -> None:
    root = draw_classes(tmp_path / "weeds", {"a": 4, "b": 4})
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(tmp_path)
    with pytest.raises(DataError, match="holds the class folders: its images would get a wrong label"):
        open_dataset(root, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(("link", "to"), [("a/again", "b"), ("c", "b"), ("train/a/again", "test/a")])
def test_a_link_to_another_class_or_split_is_refused(tmp_path: Path, link: str, to: str) -> None:
    counts = (
        {"a": 4, "b": 4} if not link.startswith("train") else {"train/a": 9, "train/b": 9, "test/a": 4, "test/b": 4}
    )
    root = draw_classes(tmp_path / "weeds", counts)
    (root / link).symlink_to(root / to)
    with pytest.raises(DataError, match=r"are the same folder .* in two classes or splits"):
        open_dataset(root, cache_dir=tmp_path / "cache")


def test_links_to_images_elsewhere_are_followed(tmp_path: Path) -> None:
    draw_classes(tmp_path / "store", {"x": 5, "y": 5})
    root = tmp_path / "weeds"
    root.mkdir()
    (root / "a").symlink_to(tmp_path / "store" / "x")
    (root / "b").mkdir()
    (root / "b" / "more").symlink_to(tmp_path / "store" / "y")
    assert classes_and_count(root, tmp_path / "cache") == (("a", "b"), 10)


# --- what systems leave behind ---


@pytest.mark.parametrize(
    "folder",
    ["@eaDir", "$RECYCLE.BIN", ".thumbnails", "__MACOSX", "System Volume Information", "#recycle", "lost+found",
     "@Recycle", ".@__thumb", ".ipynb_checkpoints", "Temporary Items"],
)  # fmt: skip
def test_folders_of_systems_are_neither_classes_nor_images(tmp_path: Path, folder: str) -> None:
    root = draw_classes(tmp_path / "weeds", {"a": 8, "b": 8})
    for place in ("", "a", "b"):
        shutil.copytree(root / "b", root / place / folder / "000.png")
    assert classes_and_count(root, tmp_path / "cache") == (("a", "b"), 16)


# --- files that cannot be read ---


def heic(path: Path, number: int, side: int = 40) -> None:
    """A photograph as a phone writes it."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed (extra: heif)")
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(path, quality=-1, chroma=444)


def test_photographs_of_phones_are_read_where_their_decoder_is_installed(tmp_path: Path) -> None:
    heic(tmp_path / "IMG_1.HEIC", 1)
    expected = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    read = np.asarray(load_image(tmp_path / "IMG_1.HEIC"))
    assert np.abs(read.astype(int) - expected).max() <= 3  # lossless but for the colour space


_WITHOUT_DECODER = """
import importlib.util, sys
from pathlib import Path
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "pillow_heif" else found(name, *rest)
from foray.data import UnreadableImagesError, inspect_dataset, open_dataset
from foray.data.cache import decode_for_evaluation
from foray.specs import Preprocessing
root, cache = Path(sys.argv[1]), Path(sys.argv[2])
dataset = open_dataset(root, cache_dir=cache)
assert len(inspect_dataset(dataset, cache_dir=cache).unreadable) == 7
try:
    decode_for_evaluation(dataset, Preprocessing(16), cache_dir=cache)
except UnreadableImagesError as error:
    print(error)
    fewer = dataset.without(error.ids, why="unreadable")
    print(fewer.classes, fewer.notes[-1])
"""


def test_a_class_of_photographs_without_a_decoder_is_reported_before_training(tmp_path: Path) -> None:
    root = draw_classes(tmp_path / "weeds", {"a": 8, "b": 8})
    for i in range(7):
        heic(root / "c" / f"IMG_{i}.HEIC", i)
    command = [sys.executable, "-c", _WITHOUT_DECODER, str(root), str(tmp_path / "cache")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "7 images cannot be read" in said
    assert ".HEIC needs the decoder pillow-heif, which is not there; install it (pip install pillow-heif)" in said
    assert "('a', 'b') no image is left of 1 class: c" in said


def test_training_goes_on_without_a_class_that_cannot_be_read_where_that_is_asked_for(tmp_path: Path) -> None:
    root = draw_classes(tmp_path / "weeds", {"a": 8, "b": 8})
    (root / "c").mkdir()
    for i in range(7):
        (root / "c" / f"{i}.jpg").write_bytes(b"\xff\xd8\xff" + bytes([i]))
    asked = {"epochs": 1, "resolution": 32, "workers": 1, "cache_dir": tmp_path / "cache"}
    with pytest.raises(UnreadableImagesError, match="7 images cannot be read"):
        foray.train(root, "mobilenet_v1_x0.25", "scratch", out=tmp_path / "stopped", **asked)
    record = foray.train(root, "mobilenet_v1_x0.25", "scratch", out=tmp_path / "runs", skip_unreadable=True, **asked)
    assert record.dataset.classes == ["a", "b"]
    assert record.architecture.num_classes == 2
    assert "no image is left of 1 class: c" in record.notes


def test_raw_files_beside_their_jpegs_are_not_in_the_way(tmp_path: Path) -> None:
    root = draw_classes(tmp_path / "weeds", {"a": 8, "b": 8})
    (root / "a" / "000.CR2").write_bytes(b"raw")
    assert classes_and_count(root, tmp_path / "cache") == (("a", "b"), 16)


# --- names of classes ---


@pytest.mark.parametrize("written", ["maize ", " maize", "maize\n", "ma\u0301ize", "sugar  beet", "sugar\tbeet"])
def test_a_class_name_is_one_line_without_loose_white_space(tmp_path: Path, written: str) -> None:
    root = draw_classes(tmp_path / "weeds", {written: 8, "other": 8})
    name = unicodedata.normalize("NFC", " ".join(written.split()))
    assert class_name(written) == name
    assert classes_and_count(root, tmp_path / "cache")[0] == tuple(sorted((name, "other")))
    rows = ["path,label", *(f'a/{i:03d}.png,"{(written, "other")[i % 2]}"' for i in range(8))]
    table = draw_classes(tmp_path, {"a": 8}) / "labels.csv"
    table.write_bytes("\n".join(rows).encode())
    assert classes_and_count(table, tmp_path / "cache")[0] == tuple(sorted((name, "other")))


def test_folders_whose_names_differ_by_white_space_only_are_refused(tmp_path: Path) -> None:
    draw_classes(tmp_path, {"maize": 3, "maize ": 3})
    with pytest.raises(DataError, match="'maize' twice, written with other white space"):
        open_dataset(tmp_path, cache_dir=tmp_path.parent / "cache")


def test_two_ways_to_write_one_number_are_refused(tmp_path: Path) -> None:
    draw_classes(tmp_path, {"007": 3, "7": 3})
    with pytest.raises(DataError, match="'007' and '7', which are the same number"):
        open_dataset(tmp_path, cache_dir=tmp_path.parent / "cache")


# --- tables ---


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_tables_of_any_country_are_read(tmp_path: Path, delimiter: str, suffix: str) -> None:
    draw_classes(tmp_path, {"a": 6})
    rows = [("path", "label"), *((f"a/{i:03d}.png", "xy"[i % 2]) for i in range(6))]
    table = tmp_path / f"labels{suffix}"
    table.write_text("\ufeff" + "\n".join(map(delimiter.join, rows)), encoding="utf-8")
    assert classes_and_count(table, tmp_path / "cache") == (("x", "y"), 6)


def test_backslash_paths_and_other_unicode_forms_find_their_files(tmp_path: Path) -> None:
    folder = unicodedata.normalize("NFD", "Blätter")
    for i in range(6):
        draw(tmp_path / folder / f"é{i}.png", i)
    names = [unicodedata.normalize("NFC", f"Blätter\\é{i}.png") for i in range(6)]
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n" + "\n".join(f"{n},{'xy'[i % 2]}" for i, n in enumerate(names)), encoding="utf-8")
    assert classes_and_count(table, tmp_path / "cache") == (("x", "y"), 6)
