"""`foray data inspect`: counts, sizes, unreadable files, copies and near-copies across splits."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import draw, draw_classes
from PIL import Image, ImageEnhance

from foray.data import Audit, inspect_dataset, open_dataset, typical_side
from foray.data.perceptual_hash import THUMBNAIL_SIDE, near_duplicates
from foray.deploy.predict import FORMATS
from foray.errors import DataError


@pytest.fixture(scope="module")
def seedlings(shared_data):
    return open_dataset(shared_data / "data" / "plant_seedlings" / "plant_seedlings.zip")


def test_counts_sizes_and_modes(tmp_path):
    counts = {"train/a": 6, "train/b": 2, "val/a": 1, "val/b": 1, "test/a": 2, "test/b": 1}
    draw_classes(tmp_path, counts)
    Image.new("L", (30, 20), 7).save(tmp_path / "train" / "a" / "grey.png")
    Image.new("CMYK", (50, 40), (1, 2, 3, 4)).save(tmp_path / "train" / "a" / "print.jpg")
    audit = inspect_dataset(open_dataset(tmp_path))
    assert audit.counts == {"a": {"train": 8, "val": 1, "test": 2}, "b": {"train": 2, "val": 1, "test": 1}}
    assert audit.imbalance_ratio == 11 / 4
    assert audit.modes == {"RGB": 13, "L": 1, "CMYK": 1}
    assert (audit.width.min, audit.width.median, audit.width.max) == (8, 8, 50)
    assert (audit.height.max, audit.short_side.max) == (40, 40)
    assert audit.unreadable == audit.exact_duplicates == audit.near_duplicates == []
    audit.save(tmp_path / "audit.json")
    assert Audit.load(tmp_path / "audit.json") == audit


def test_unreadable_files_are_named_with_the_reason(tmp_path):
    draw_classes(tmp_path, {"a": 5, "b": 5})
    whole = draw(tmp_path / "b" / "cut.png", 100, side=64).read_bytes()
    (tmp_path / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a" / "zero.jpg").touch()
    (tmp_path / "b" / "zero.jpg").touch()
    (tmp_path / "b" / "page.jpg").write_text("<html>not found</html>")
    dataset = open_dataset(tmp_path)
    audit = inspect_dataset(dataset)
    assert {item.id: item.reason for item in audit.unreadable} == {
        "a/zero.jpg": "the file is empty (0 bytes)",
        "b/cut.png": "the file is truncated",
        "b/page.jpg": f"it is not an image in a supported format ({', '.join(FORMATS)})",
        "b/zero.jpg": "the file is empty (0 bytes)",
    }
    assert audit.exact_duplicates == []
    assert typical_side(dataset) == 8
    assert not inspect_dataset(dataset.without(item.id for item in audit.unreadable)).unreadable


def test_no_readable_image_at_all(tmp_path):
    for i in range(6):
        draw(tmp_path / "ab"[i % 2] / f"{i}.png", i).write_text(f"nothing {i}")
    dataset = open_dataset(tmp_path)
    audit = inspect_dataset(dataset)
    assert len(audit.unreadable) == 6
    assert audit.width is None
    with pytest.raises(DataError, match=r"No image of .* can be read"):
        typical_side(dataset)


def test_exact_copies_across_given_splits_are_listed_once_each(tmp_path):
    draw_classes(tmp_path, {"train/a": 5, "train/b": 5, "val/a": 2, "val/b": 2, "test/a": 2, "test/b": 2})
    draw(tmp_path / "train" / "a" / "again.png", 0)  # as train/a/000.png
    draw(tmp_path / "test" / "b" / "copy.png", 0)
    draw(tmp_path / "val" / "a" / "copy.png", 0)
    dataset = open_dataset(tmp_path)
    audit = inspect_dataset(dataset)
    assert [(pair.first, pair.second, pair.same_class) for pair in audit.exact_duplicates] == [
        ("test/b/copy.png", "train/a/000.png", False),
        ("val/a/copy.png", "train/a/000.png", True),
    ]
    assert audit.copies_within_splits == 1
    assert audit.near_duplicates == []  # an exact copy is not listed again
    assert "1 image with exact copies in another given split: test/b/copy.png" in audit.notes


def test_carving_keeps_copies_on_one_side(tmp_path):
    draw_classes(tmp_path, {"a": 30, "b": 30})
    for i in range(10):
        draw(tmp_path / "a" / f"copy {i}.png", i)
    audit = inspect_dataset(open_dataset(tmp_path))
    assert audit.exact_duplicates == []
    assert audit.copies_within_splits == 10


def test_near_duplicates_on_plant_seedlings_are_those_of_a_full_comparison(seedlings):
    """The data's README, by comparing all pairs: 11 val and 8 test images correlate above 0.97 with a train image."""
    audit = inspect_dataset(seedlings)
    with_train = [pair for pair in audit.near_duplicates if pair.second_split == "train"]
    assert sum(pair.first_split == "val" for pair in with_train) == 11
    assert sum(pair.first_split == "test" for pair in with_train) == 8
    assert all(pair.same_class for pair in with_train)
    named = {pair.first: pair.second for pair in with_train}
    assert named["test/Common_Chickweed/eac94830d.jpg"] == "train/Common_Chickweed/37cea3ddd.jpg"
    assert audit.exact_duplicates == []
    assert audit.copies_within_splits == 3  # 4,750 files hold 4,747 different images
    assert audit.unreadable == []
    assert (audit.short_side.min, audit.short_side.max, audit.modes) == (150, 150, {"RGB": 4750})
    assert audit.imbalance_ratio == pytest.approx(654 / 221)


@pytest.mark.parametrize("edit", ["recompressed", "smaller", "brighter", "grey"])
def test_edited_copies_of_real_photographs_are_found(seedlings, tmp_path, edit):
    chosen = seedlings.samples[::160]
    for i, sample in enumerate(chosen):
        image = Image.open(sample.image.path).convert("RGB")
        label = "ab"[i % 2]
        for split in ("train", "val", "test"):
            (tmp_path / split / label).mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / "train" / label / f"{i}.png")
        if edit == "smaller":
            image = image.resize((101, 101), Image.Resampling.LANCZOS)
        elif edit == "brighter":
            image = ImageEnhance.Brightness(image).enhance(1.15)
        elif edit == "grey":
            image = image.convert("L")
        image.save(tmp_path / "test" / label / f"{i}.jpg", quality=40 if edit == "recompressed" else 85)
    for label in "ab":
        draw(tmp_path / "val" / label / "noise.png", ord(label), side=150)
    audit = inspect_dataset(open_dataset(tmp_path))
    found = {(pair.first[5:-4], pair.second[6:-4]) for pair in audit.near_duplicates}
    assert found == {(f"{'ab'[i % 2]}/{i}", f"{'ab'[i % 2]}/{i}") for i in range(len(chosen))}


def test_flat_images_are_like_nothing():
    """A constant image has no correlation; the hash alone would pair all of them."""
    thumbnails = np.stack([np.full((THUMBNAIL_SIDE, THUMBNAIL_SIDE), grey, np.uint8) for grey in (0, 90, 255)])
    assert near_duplicates(thumbnails, np.zeros((3, 64), bool), np.array([0, 1, 2])) == []


def test_search_in_blocks_finds_what_one_block_finds(monkeypatch):
    rng = np.random.default_rng(0)
    thumbnails = rng.integers(0, 256, (300, THUMBNAIL_SIDE, THUMBNAIL_SIDE), dtype=np.uint8)
    hashes = rng.random((300, 64)) < 0.5
    splits = rng.integers(0, 3, 300)
    for later, earlier in ((10, 200), (11, 201), (12, 202)):
        thumbnails[later], hashes[later], splits[later], splits[earlier] = thumbnails[earlier], hashes[earlier], 2, 0
    whole = near_duplicates(thumbnails, hashes, splits)
    monkeypatch.setattr("foray.data.perceptual_hash._BLOCK_BYTES", 1000)
    assert near_duplicates(thumbnails, hashes, splits) == whole
    assert {(pair.first, pair.second) for pair in whole} == {(10, 200), (11, 201), (12, 202)}


def test_typical_side_is_the_median_short_side(tmp_path):
    for i, (width, height) in enumerate([(10, 40), (30, 20), (50, 60), (90, 70), (15, 80), (33, 33)]):
        draw(tmp_path / "ab"[i % 2] / f"{i}.png", i)
        Image.new("RGB", (width, height), (i, 0, 0)).save(tmp_path / "ab"[i % 2] / f"{i}.png")
    assert typical_side(open_dataset(tmp_path)) == 26  # median of 10, 15, 20, 33, 50, 70 is 26.5
