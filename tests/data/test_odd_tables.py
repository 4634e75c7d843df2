"""Numbers of thousands of digits, text that is no number, and names that are too long, in tables of labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import draw_classes

from foray.data import open_dataset
from foray.data.encoded_images import images_in_tar
from foray.data.named.cifar import CIFAR10
from foray.data.named.deepweeds import DEEPWEEDS
from foray.data.named.descriptor import Request
from foray.data.named.imagenet_labels import find_labels
from foray.errors import DataError
from foray.progress import SILENT
from foray.recipes import preset
from foray.runs import run_id
from tests.asking import plan_run


def table_of(tmp_path: Path, first: str, second: str) -> Path:
    folder = draw_classes(tmp_path / "images", {"a": 4, "b": 4})
    labels = {"a": first, "b": second}
    rows = [f"{path.relative_to(tmp_path)},{labels[path.parent.name]}" for path in sorted(folder.rglob("*.png"))]
    (tmp_path / "table.csv").write_text("\n".join(["path,label", *rows]))
    return tmp_path / "table.csv"


@pytest.mark.parametrize(("first", "second"), [("9" * 5000, "10"), ("10", "٣"), ("²", "10")])
def test_classes_that_are_numbers_are_ordered_by_size_however_long(tmp_path: Path, first: str, second: str) -> None:
    by_size = {("9" * 5000, "10"): ("10", "9" * 5000), ("10", "٣"): ("٣", "10"), ("²", "10"): ("10", "²")}
    dataset = open_dataset(table_of(tmp_path, first, second), cache_dir=tmp_path / "cache")
    assert dataset.classes == by_size[first, second]


def test_a_row_whose_path_is_too_long_names_a_file_that_cannot_be_found(tmp_path: Path) -> None:
    table = table_of(tmp_path, "a", "b")
    table.write_text(table.read_text() + f"\n{'x' * 300},a\n")
    with pytest.raises(DataError, match=r"names 1 file that cannot be found: x{80}\.\.\. \(300 characters\)"):
        open_dataset(table, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("label", ["9" * 5000, "1000"])
def test_an_imagenet_label_beyond_the_classes_is_named(tmp_path: Path, label: str) -> None:
    (tmp_path / "labels.csv").write_text(f"filename,class_index\n1.jpg,1\n2.jpg,{label}\n")
    with pytest.raises(DataError, match=r"line 3: class_index .* is not one of 0\.\.999"):
        find_labels(tmp_path, None, [])


def request(folder: Path) -> Request:
    return Request(fold=0, data_dir=folder, offline=True, cache_dir=folder / "cache", progress=SILENT)


def test_a_deepweeds_label_that_is_no_number_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("Filename,Label,Species\n1.jpg,one,Lantana\n")
    with pytest.raises(DataError, match=r"labels\.csv, line 2: the label 'one' is not the number of a class"):
        DEEPWEEDS.read(DEEPWEEDS, request(tmp_path))


def test_a_deepweeds_fold_of_images_without_labels_is_named(tmp_path: Path) -> None:
    draw_classes(tmp_path, {"images": 1})
    name = next((tmp_path / "images").iterdir()).name
    (tmp_path / "labels.csv").write_text("Filename,Label,Species\nother.jpg,1,Lantana\n")
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}_subset0.csv").write_text(f"Filename,Label\n{name},1\n")
    with pytest.raises(DataError, match=f"{name} of fold 0 is not in labels.csv"):
        DEEPWEEDS.read(DEEPWEEDS, request(tmp_path))


def test_names_of_cifars_classes_that_are_no_text_are_said(tmp_path: Path) -> None:
    (tmp_path / "batches.meta.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"batches\.meta\.txt is damaged: it is not UTF-8"):
        CIFAR10.read(CIFAR10, request(tmp_path))


def test_a_tar_whose_times_are_no_times_is_refused(tmp_path: Path) -> None:
    import tarfile

    entry = tarfile.TarInfo("1.jpg")
    entry.pax_headers = {"mtime": "inf"}
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as packed:
        packed.addfile(entry)
    with pytest.raises(DataError, match="is damaged"):
        images_in_tar(tmp_path / "x.tar")


def test_a_run_on_data_of_a_long_name_has_a_folder(tmp_path: Path) -> None:
    name = "é" * 120  # 240 bytes
    dataset = open_dataset(draw_classes(tmp_path / name, {"a": 4, "b": 4}), cache_dir=tmp_path / "cache")
    plan = plan_run("mobilenet_v1_x0.25", dataset, preset("scratch"), resolution=32)
    (tmp_path / run_id(plan, dataset)).mkdir()
    assert run_id(plan, dataset).startswith("mobilenet_v1_x0.25-scratch-ééé")
