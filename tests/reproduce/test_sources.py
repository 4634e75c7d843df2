"""Images of the study and parts of them: partial copies, reduced data, the order of what is looked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foray.data import open_dataset
from foray.errors import DataError
from foray.reproduce.experiments import PerClass
from foray.reproduce.sources import SOURCES, open_source, reduced


def test_reduced_data_are_always_the_same_images_and_no_more_than_asked_for() -> None:
    digits = open_dataset("digits")
    small, larger = reduced(digits, PerClass(4, 2, 3)), reduced(digits, PerClass(8, 2, 3))
    assert [len(small.indices(split)) for split in ("train", "val", "test")] == [40, 20, 30]
    assert {sample.id for sample in small.samples} < {sample.id for sample in larger.samples}
    assert small.fingerprint == reduced(digits, PerClass(4, 2, 3)).fingerprint != larger.fingerprint
    assert "4 train, 2 val and 3 test images per class" in small.notes[-1]
    assert reduced(digits, None) is digits


def test_a_partial_copy_says_how_much_is_there_and_where_the_rest_is(tmp_path: Path) -> None:
    for name in ("paper", "rock"):
        (tmp_path / "rock_paper_scissors_28px" / name).mkdir(parents=True)
        for i in range(8):
            pixels = np.full((12, 12, 3), 20 * i + len(name), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "rock_paper_scissors_28px" / name / f"{i}.png")
    with pytest.raises(DataError, match=r"not complete: 16 of 2,892 images\. Get rps.zip"):
        open_source("rock_paper_scissors_28px", tmp_path, tmp_path / "cache", offline=True)


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "digits"])
def test_what_is_not_there_is_told_with_its_official_place(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"Get .+ from https?://|See https?://|from https?://"):
        open_source(name, tmp_path, tmp_path / "cache", offline=True)


@pytest.mark.parametrize("name", ["imagenet_val_500", "rock_paper_scissors_28px"])
def test_real_copies_are_complete(shared_data: Path, tmp_path: Path, name: str) -> None:
    dataset = open_source(name, shared_data / "data", tmp_path, offline=True)
    assert len(dataset.samples) in SOURCES[name].images
    assert dataset.name == name
    assert str(shared_data) not in dataset.source


def test_no_hand_of_val_is_in_train(shared_data: Path, tmp_path: Path) -> None:
    """Carved by image, 374 of 378 val images were near-duplicates of train."""
    dataset = open_source("rock_paper_scissors_28px", shared_data / "data", tmp_path, offline=True)
    assert dataset.split_origin == "train and test given, val carved from train by content (seed 0)"
    hands = {split: {s.group for s in dataset.samples if s.split == split} for split in ("train", "val", "test")}
    assert [len(hands[split]) for split in ("train", "val", "test")] == [18, 3, 12]
    assert not hands["val"] & hands["train"]
    assert not any("near-duplicates" in note for note in dataset.notes)
    assert (
        dataset.fingerprint
        == open_dataset(
            "rock_paper_scissors", data_dir=shared_data / "data/rock_paper_scissors_28px", cache_dir=tmp_path
        ).fingerprint
    )
