"""Opening folders and CSV tables: what is read, what is refused, and in which words."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from pictures import draw, draw_classes

from foray.data import SPLITS, inspect_dataset, open_dataset
from foray.errors import DataError
from foray.records.sealing import sealed, unsealed


def split_counts(dataset) -> dict[str, int]:
    return dict(Counter(sample.split for sample in dataset.samples))


# --- folders -----------------------------------------------------------------------------------------------------


def test_class_folders_without_splits_are_carved_per_class(tmp_path):
    dataset = open_dataset(draw_classes(tmp_path / "weeds", {"maize": 20, "cleavers": 40}), seed=3)
    assert dataset.name == "weeds"
    assert dataset.classes == ("cleavers", "maize")
    per_class = Counter((dataset.classes[sample.label], sample.split) for sample in dataset.samples)
    assert per_class == {
        ("cleavers", "train"): 28, ("cleavers", "val"): 6, ("cleavers", "test"): 6,
        ("maize", "train"): 14, ("maize", "val"): 3, ("maize", "test"): 3,
    }  # fmt: skip
    assert dataset.split_origin == "carved by content (seed 3)"
    assert open_dataset(tmp_path / "weeds", seed=3).fingerprint == dataset.fingerprint
    assert open_dataset(tmp_path / "weeds", seed=4).fingerprint != dataset.fingerprint


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "valid", "testing"), ("train", "validation", "TEST")]
)
def test_given_splits_are_kept(tmp_path, names):
    train, val, test = names
    counts = {f"{train}/a": 5, f"{train}/b": 4, f"{val}/a": 2, f"{val}/b": 1, f"{test}/a": 1, f"{test}/b": 3}
    dataset = open_dataset(draw_classes(tmp_path, counts))
    assert split_counts(dataset) == {"train": 9, "val": 3, "test": 4}
    assert dataset.split_origin == "given"
    assert all(sample.id.lower().startswith(sample.split[:3]) for sample in dataset.samples)


def test_val_is_carved_from_train_when_train_and_test_are_given(tmp_path):
    dataset = open_dataset(draw_classes(tmp_path, {"train/a": 20, "train/b": 20, "test/a": 5, "test/b": 5}))
    assert split_counts(dataset) == {"train": 34, "val": 6, "test": 10}
    assert all(sample.id.startswith("test/") == (sample.split == "test") for sample in dataset.samples)
    assert dataset.split_origin == "train and test given, val carved from train by content (seed 0)"


def test_test_is_carved_from_train_when_train_and_val_are_given(tmp_path):
    dataset = open_dataset(draw_classes(tmp_path, {"train/a": 20, "train/b": 20, "val/a": 5, "val/b": 5}))
    assert split_counts(dataset) == {"train": 34, "val": 10, "test": 6}


def test_train_folder_alone_is_carved_into_all_three(tmp_path):
    dataset = open_dataset(draw_classes(tmp_path, {"train/a": 20, "train/b": 20}))
    assert split_counts(dataset) == {"train": 28, "val": 6, "test": 6}


def test_splits_without_train_are_refused(tmp_path):
    with pytest.raises(DataError, match="test and val images but no train split"):
        open_dataset(draw_classes(tmp_path, {"val/a": 3, "val/b": 3, "test/a": 3, "test/b": 3}))


def test_a_class_may_be_called_train(tmp_path):
    dataset = open_dataset(draw_classes(tmp_path, {"train": 4, "car": 4, "bus": 4}))
    assert dataset.classes == ("bus", "car", "train")


def test_split_folders_beside_class_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"split folders \(test, train\) as well as folders with images \(cats\)"):
        open_dataset(draw_classes(tmp_path, {"train/a": 3, "train/b": 3, "test/a": 3, "test/b": 3, "cats": 1}))


def test_two_folders_for_one_split_are_refused(tmp_path):
    with pytest.raises(DataError, match="two folders for val: val and valid"):
        open_dataset(draw_classes(tmp_path, {"train/a": 3, "train/b": 3, "val/a": 3, "valid/a": 3}))


def test_folders_that_hold_only_one_folder_are_stepped_into(tmp_path):
    draw_classes(tmp_path / "download" / "weeds-v2", {"a": 3, "b": 3})
    direct = open_dataset(tmp_path / "download" / "weeds-v2")
    assert [sample.id for sample in open_dataset(tmp_path).samples] == [sample.id for sample in direct.samples]


def test_a_class_folder_may_hold_folders(tmp_path):
    dataset = open_dataset(draw_classes(tmp_path, {"a/2023": 2, "a/2024": 2, "b": 3}))
    assert dataset.classes == ("a", "b")
    assert "a/2023/000.png" in {sample.id for sample in dataset.samples}


def test_hidden_and_system_files_are_ignored_and_others_noted(tmp_path):
    draw_classes(tmp_path, {"a": 3, "b": 3, ".cache": 2, "__MACOSX/a": 2, "a/.thumbnails": 1})
    (tmp_path / "a" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "a" / "readme.txt").write_text("no image")
    draw(tmp_path / "stray.png", 99)
    (tmp_path / "empty class").mkdir()
    dataset = open_dataset(tmp_path)
    assert len(dataset.samples) == 6
    assert dataset.notes == (
        "2 files skipped (no image suffix, or in no class folder): a/readme.txt, stray.png",
        "1 class folder without images skipped: empty class",
    )


def test_names_with_spaces_and_unicode(tmp_path):
    dataset = open_dataset(draw_classes(tmp_path / "Äcker und Felder", {"Wilde Möhre": 3, "蒲公英 🌼": 3}))
    assert dataset.name == "Äcker und Felder"
    assert dataset.classes == ("Wilde Möhre", "蒲公英 🌼")


def test_class_names_written_by_macos_and_linux_are_the_same_name(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Möhre") for form in ("NFC", "NFD"))
    assert composed != decomposed
    draw_classes(tmp_path, {f"train/{composed}": 3, "train/b": 3, f"test/{decomposed}": 3, "test/b": 3})
    assert open_dataset(tmp_path).classes == (composed, "b")


def test_one_class_name_in_two_unicode_forms_is_refused(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Möhre") for form in ("NFC", "NFD"))
    with pytest.raises(DataError, match="two Unicode forms"):
        open_dataset(draw_classes(tmp_path, {composed: 3, decomposed: 3, "b": 3}))


@pytest.mark.parametrize("counts", [{"Cat": 3, "cat": 3, "dog": 3}, {"train/Cat": 3, "train/dog": 3, "test/cat": 3}])
def test_class_names_that_differ_by_case_only_are_refused(tmp_path, counts):
    with pytest.raises(DataError, match="'Cat' and 'cat', which differ by upper and lower case only"):
        open_dataset(draw_classes(tmp_path, counts))


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="is empty: no folders, no images"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("names", "way_out"),
    [
        (["README.md", "photos.zip"], r"holds README\.md, photos\.zip\. Give photos\.zip itself\."),
        (["a.tar.gz", "b.csv"], r"holds a\.tar\.gz, b\.csv\. Give a folder with one folder of images for each class"),
        (["README.md"], r"holds README\.md\. Give a folder with one folder of images for each class"),
    ],
)
def test_a_folder_of_other_files_is_not_called_empty(tmp_path, names, way_out):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=way_out):
        open_dataset(tmp_path)


def test_class_folders_without_any_image(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match=r"its folders \(a, b\) hold no file with an image suffix"):
        open_dataset(tmp_path)


def test_images_without_class_folders(tmp_path):
    draw(tmp_path / "one.png", 1)
    draw(tmp_path / "two.png", 2)
    with pytest.raises(DataError, match=r"2 images but no class folders.*CSV with the columns path,label"):
        open_dataset(tmp_path)


def test_one_class(tmp_path):
    with pytest.raises(DataError, match=r"one class \(cat\).*at least two"):
        open_dataset(draw_classes(tmp_path, {"cat": 5}))


@pytest.mark.parametrize("n", [1, 2])
def test_a_class_with_too_few_images_to_carve(tmp_path, n):
    with pytest.raises(DataError, match=rf"'rare' \({n} image.*at least 3 .*Add images, or merge or remove the class"):
        open_dataset(draw_classes(tmp_path, {"common": 10, "rare": n}))


def test_a_class_with_one_image_and_given_splits(tmp_path):
    counts = {"train/a": 3, "train/b": 1, "val/a": 2, "test/a": 2}
    with pytest.raises(DataError, match=r"'b' \(1 image\)"):
        open_dataset(draw_classes(tmp_path, counts))


def test_a_class_that_is_never_trained_on(tmp_path):
    counts = {"train/a": 3, "train/b": 3, "val/a": 2, "test/a": 2, "test/c": 2}
    with pytest.raises(DataError, match="no train image of c"):
        open_dataset(draw_classes(tmp_path, counts))


def test_linked_folders_are_followed_once_and_loops_end(tmp_path):
    draw_classes(tmp_path / "elsewhere", {"a": 3})
    draw_classes(tmp_path / "data", {"b": 3})
    (tmp_path / "data" / "a").symlink_to(tmp_path / "elsewhere" / "a", target_is_directory=True)
    (tmp_path / "data" / "b" / "loop").symlink_to(tmp_path / "data" / "b", target_is_directory=True)
    assert len(open_dataset(tmp_path / "data").samples) == 6


def test_a_broken_link_to_an_image_is_an_unreadable_image(tmp_path):
    draw_classes(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "b" / "second.png").symlink_to(tmp_path / "nowhere.png")
    audit = inspect_dataset(open_dataset(tmp_path))
    assert [(image.id, image.reason == "there is no such file") for image in audit.unreadable] == [
        ("a/broken.png", True),
        ("b/second.png", True),
    ]


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    draw_classes(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "000.png").rename(tmp_path / "a" / os.fsdecode(b"\xe4.png"))
    with pytest.raises(DataError, match=r"'a/\\udce4\.png' is not UTF-8"):
        open_dataset(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_without_permission_is_named(tmp_path):
    draw_classes(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "b").chmod(0)
    with pytest.raises(DataError, match=r"Cannot read .*b: Permission denied"):
        open_dataset(tmp_path)
    (tmp_path / "b").chmod(0o755)


def test_data_may_be_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(draw_classes(tmp_path / "here", {"a": 3, "b": 3}))
    dataset = open_dataset(".")
    assert dataset.name == "here"
    assert dataset.samples[0].id == "a/000.png"
    assert dataset.samples[0].image.path.is_absolute()


def test_listing_order_does_not_matter(tmp_path, monkeypatch):
    root = draw_classes(tmp_path, {"a": 30, "b": 20, "c": 10})
    expected = open_dataset(root).fingerprint
    walk = os.walk

    def reversed_walk(top, **options):
        for folder, folders, files in walk(top, **options):
            folders.reverse()
            yield folder, folders, files[::-1]

    monkeypatch.setattr(os, "walk", reversed_walk)
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(sorted(iterdir(self), reverse=True)))
    assert open_dataset(root).fingerprint == expected


# --- fingerprint and content -------------------------------------------------------------------------------------


def test_the_fingerprint_follows_content_and_class_names(tmp_path):
    root = draw_classes(tmp_path / "one", {"a": 5, "b": 5})
    first = open_dataset(root)
    moved = root.rename(tmp_path / "two")
    assert open_dataset(moved).fingerprint == first.fingerprint
    draw(moved / "a" / "000.png", 12345)
    changed = open_dataset(moved)
    assert changed.fingerprint != first.fingerprint
    (moved / "a").rename(moved / "A")
    assert open_dataset(moved).fingerprint not in (first.fingerprint, changed.fingerprint)


def test_content_is_remembered_and_survives_a_damaged_memory(tmp_path):
    root, cache = draw_classes(tmp_path / "data", {"a": 5, "b": 5}), tmp_path / "cache"
    before = [sample.content for sample in open_dataset(root, cache_dir=cache).samples]
    (store,) = (cache / "content").iterdir()
    first_digest = before[0]
    other = unsealed(store.read_bytes()).decode().replace(first_digest, "0" * 64)
    store.write_text(sealed(other))
    assert open_dataset(root, cache_dir=cache).samples[0].content == "0" * 64  # read from the memory, not the file
    store.write_text("{")
    assert [sample.content for sample in open_dataset(root, cache_dir=cache).samples] == before


def test_without_leaves_out_notes_and_refingerprints(tmp_path):
    dataset = open_dataset(draw_classes(tmp_path, {"a": 10, "b": 10}))
    fewer = dataset.without(["a/003.png", "b/001.png"], why="unreadable")
    assert {sample.id for sample in dataset.samples} - {sample.id for sample in fewer.samples} == {
        "a/003.png",
        "b/001.png",
    }
    assert fewer.notes == ("2 images unreadable: a/003.png, b/001.png",)
    assert fewer.fingerprint != dataset.fingerprint
    assert dataset.without([]) is dataset
    with pytest.raises(DataError, match=r"no image 'a/999\.png'"):
        dataset.without(["a/999.png"])
    with pytest.raises(DataError, match="class 'a' has no train image"):
        dataset.without(sample.id for sample in dataset.samples if sample.label == 0 and sample.split == "train")
    with pytest.raises(DataError, match="fewer than two classes"):
        dataset.without(sample.id for sample in dataset.samples if sample.label == 0)


def test_a_class_of_which_nothing_is_left_goes_with_a_note(tmp_path):
    dataset = open_dataset(draw_classes(tmp_path, {"a": 10, "b": 10, "c": 10}))
    fewer = dataset.without((sample.id for sample in dataset.samples if sample.label == 1), why="unreadable")
    assert fewer.classes == ("a", "c")
    assert {(sample.id[0], fewer.classes[sample.label]) for sample in fewer.samples} == {("a", "a"), ("c", "c")}
    assert fewer.notes[-1] == "no image is left of 1 class: b"


# --- CSV ---------------------------------------------------------------------------------------------------------


def table(folder: Path, *lines: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def test_csv_with_splits_and_groups(tmp_path):
    draw_classes(tmp_path, {"images": 6})
    rows = [f"images/{i:03d}.png,{'wild carrot' if i % 2 else 'maize'},{split},plant {i}"
            for i, split in enumerate(["train", "train", "Training", "train", "valid", "test"])]  # fmt: skip
    dataset = open_dataset(table(tmp_path, "Path, Label, split, group", *rows, encoding="utf-8-sig"))
    assert dataset.classes == ("maize", "wild carrot")
    assert [sample.split for sample in dataset.samples] == ["train"] * 4 + ["val", "test"]
    assert dataset.samples[3].group == "plant 3"
    assert dataset.name == "labels"


def test_csv_groups_are_not_torn(tmp_path):
    draw_classes(tmp_path, {"images": 120})
    rows = [f"images/{i:03d}.png,{'ab'[i // 4 % 2]},plant {i // 4}" for i in range(120)]
    dataset = open_dataset(table(tmp_path, "path,label,group", *rows))
    splits_of = {}
    for sample in dataset.samples:
        splits_of.setdefault(sample.group, set()).add(sample.split)
    assert len(splits_of) == 30
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert {sample.split for sample in dataset.samples} == set(SPLITS)


def test_csv_integer_labels_are_ordered_as_numbers(tmp_path):
    draw_classes(tmp_path, {"images": 9})
    rows = [f"images/{i:03d}.png,{(2, 10, 1)[i % 3]}" for i in range(9)]
    assert open_dataset(table(tmp_path, "path,label", *rows)).classes == ("1", "2", "10")


def test_csv_with_missing_columns(tmp_path):
    with pytest.raises(DataError, match=r"lacks the column label: its first line is 'path,class,split'"):
        open_dataset(table(tmp_path, "path,class,split", "a.png,x,train"))
    with pytest.raises(DataError, match="lacks the columns path and label"):
        open_dataset(table(tmp_path, "image|class", "a.png|x", name="bars.csv"))


def test_csv_with_missing_files(tmp_path):
    draw_classes(tmp_path, {"images": 3})
    lines = ["path,label", "images/000.png,a", "images/001.png,b", "images/7.png,a", "images/8.png,b"]
    with pytest.raises(
        DataError, match=r"names 2 files that cannot be found: images/7\.png, images/8\.png\. Paths are"
    ):
        open_dataset(table(tmp_path, *lines))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "lacks the columns path and label"),
        (["path,label"], "a header but no rows"),
        (["path,label", "images/000.png,"], "line 2: the label is empty"),
        (["path,label", "images/000.png,a,b"], "line 2: 3 cells where the header has 2.*double quotes"),
        (["path,label,split", "images/000.png,a,holdout"], "line 2: unknown split 'holdout'. Use train, val or test"),
        (["path,label,split", "images/000.png,a,train", "images/001.png,a,"], "line 3: no split, though other rows"),
        (["path,label", "images/000.png,a", "", "./images/000.png,a"], "line 4: .* is listed already in line 2"),
    ],
)  # fmt: skip
def test_csv_rows_that_make_no_sense(tmp_path, lines, message):
    draw_classes(tmp_path, {"images": 3})
    with pytest.raises(DataError, match=message):
        open_dataset(table(tmp_path, *lines))


def test_csv_that_is_not_text(tmp_path):
    draw(tmp_path / "picture.png", 0).rename(tmp_path / "picture.csv")
    with pytest.raises(DataError, match=r"Cannot read .* as a UTF-8 CSV"):
        open_dataset(tmp_path / "picture.csv")


def test_csv_columns_that_are_not_used_are_noted(tmp_path):
    draw_classes(tmp_path, {"images": 6})
    rows = [f"images/{i:03d}.png,{'ab'[i % 2]},Nikon" for i in range(6)]
    assert open_dataset(table(tmp_path, "path,label,camera", *rows)).notes == ("columns not used: camera",)


# --- what is not there ---------------------------------------------------------------------------------------------


def test_data_that_does_not_exist_suggests_the_nearest_name():
    with pytest.raises(DataError, match=r"does not exist.*Did you mean deepweeds\?"):
        open_dataset("deepwedes")
    with pytest.raises(DataError, match=r"cifar-10.*Did you mean .*cifar10"):
        open_dataset("cifar-10")


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "labels.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"labels\.xlsx is not a folder, a \.zip"):
        open_dataset(tmp_path / "labels.xlsx")


def test_options_for_named_datasets_only(tmp_path):
    draw_classes(tmp_path, {"a": 3, "b": 3})
    with pytest.raises(DataError, match=r"`fold` is for datasets that come with folds \(deepweeds\)"):
        open_dataset(tmp_path, fold=1)
    with pytest.raises(DataError, match="`data_dir` is for named datasets"):
        open_dataset(tmp_path, data_dir=tmp_path)
    with pytest.raises(DataError, match="digits has no folds"):
        open_dataset("digits", fold=0)
    with pytest.raises(DataError, match="folds 0 to 4, not 5"):
        open_dataset("deepweeds", fold=5)
    with pytest.raises(DataError, match=r"data directory .* does not exist"):
        open_dataset("cifar10", data_dir=tmp_path / "nowhere")


def test_opening_and_inspecting_need_no_torch(tmp_path):
    root = draw_classes(tmp_path, {"a": 3, "b": 3})
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from foray.data import inspect_dataset, open_dataset, typical_side\n"
        f"dataset = open_dataset({str(root)!r})\n"
        "print(typical_side(dataset), inspect_dataset(dataset).counts['a']['train'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("8 1\n", 0), done.stderr
