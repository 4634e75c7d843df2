"""What the classes of published weights are called, where no data names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.data.named.imagenet_labels import class_names, imagenet_classes
from foray.errors import WeightsError
from foray.export.source import source_of_weights
from tests.notes import Notes

NAME = "mobilenet_v1_x0.25"


def test_a_thousand_classes_are_imagenets(write_weights, tmp_path: Path) -> None:
    write_weights(tmp_path / "weights", num_classes=1000)
    progress = Notes()
    found = source_of_weights(NAME, tmp_path / "weights", progress=progress)
    assert found.classes == imagenet_classes()
    assert found.classes[26] == "n01630670 common newt"
    assert progress.said == []


def test_with_tensorflows_background_there_is_one_more(write_weights, tmp_path: Path) -> None:
    write_weights(tmp_path / "weights", num_classes=1001)
    classes = source_of_weights(NAME, tmp_path / "weights").classes
    assert (len(classes), classes[:2]) == (1001, ("background", "n01440764 tench"))


def test_another_number_is_numbered_and_said(write_weights, tmp_path: Path) -> None:
    write_weights(tmp_path / "weights", num_classes=11221)
    progress = Notes()
    classes = source_of_weights(NAME, tmp_path / "weights", progress=progress).classes
    assert (classes[0], classes[-1], len(classes)) == ("class 00000", "class 11220", 11221)
    assert "do not name their 11,221 classes" in progress.said[0]


@pytest.mark.parametrize("names", [["a", "b", "c"], {"0": "a", "1": "b", "2": "c"}])
def test_names_in_timms_config_come_first(write_weights, tmp_path: Path, names: object) -> None:
    descriptions = {"a": "apple,  red", "c": "cherry"}
    write_weights(tmp_path / "weights", num_classes=3, label_names=names, label_descriptions=descriptions)
    assert source_of_weights(NAME, tmp_path / "weights").classes == ("a apple", "b", "c cherry")
    assert source_of_weights(NAME, tmp_path / "weights", ["x", "y", "z"]).classes == ("x", "y", "z")


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "a"], {"1": "a", "2": "b", "3": "c"}, "abc", [" ", "", "a"]])
def test_names_that_are_not_one_for_each_class_are_left_out(write_weights, tmp_path: Path, names: object) -> None:
    write_weights(tmp_path / "weights", num_classes=3, label_names=names)
    assert source_of_weights(NAME, tmp_path / "weights").classes == ("class 0", "class 1", "class 2")


def test_descriptions_that_are_no_table_are_no_config_of_timms(write_weights, tmp_path: Path) -> None:
    write_weights(tmp_path / "weights", num_classes=1, label_names=["a"], label_descriptions=["x"])
    with pytest.raises(WeightsError, match="is not a timm config"):
        source_of_weights(NAME, tmp_path / "weights")


def test_imagenets_names_are_those_of_the_shared_table(shared_data: Path) -> None:
    rows = (shared_data / "data" / "imagenet_classes.csv").read_text(encoding="utf-8").splitlines()[1:]
    expected = [row.split(",", 3)[1:3] for row in rows]
    assert [tuple(name.split(" ", 1)) for name in imagenet_classes()] == [tuple(pair) for pair in expected]
    assert len(set(imagenet_classes())) == 1000
    assert list(imagenet_classes()) == sorted(imagenet_classes())


def test_what_the_data_call_a_class_is_kept() -> None:
    names = class_names({0: "Schleie", 1: "n01443537"})
    assert names[:3] == ("Schleie", "n01443537 goldfish", "n01484850 great white shark")
