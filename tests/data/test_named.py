"""Named datasets: official layouts, labels and folds, from copies; nothing is downloaded here."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pictures import draw, draw_classes
from scipy.io import savemat
from sklearn.datasets import load_digits

from foray.data import NAMED_DATASETS, inspect_dataset, open_dataset, typical_side
from foray.data.content import file_digests
from foray.data.named import deepweeds
from foray.data.named.imagenet import validation_images
from foray.errors import DataError


def splits_of(dataset) -> dict[str, int]:
    return dict(Counter(sample.split for sample in dataset.samples))


def test_digits_are_scikit_learns():
    dataset = open_dataset("digits")
    digits = load_digits()
    assert dataset.classes == tuple("0123456789")
    assert (dataset.labels == digits.target).all()
    assert all(sample.image.pixels.shape == (8, 8, 3) for sample in dataset.samples)
    for i in (0, 500, 1796):
        assert (dataset.samples[i].image.pixels == np.rint(digits.images[i] * 255 / 16)[..., None]).all()
    assert splits_of(dataset) == {"train": 1259, "val": 269, "test": 269}
    assert dataset.licence == "CC BY 4.0"
    assert typical_side(dataset) == 8
    assert open_dataset("digits").fingerprint == dataset.fingerprint


def test_every_named_dataset_states_licence_and_place():
    for described in NAMED_DATASETS.values():
        assert described.licence
        assert described.page.startswith("https://")
        assert described.manual or described.name == "digits"


@pytest.mark.parametrize("name", [name for name in NAMED_DATASETS if name != "digits"])
def test_offline_and_absent_names_the_official_place_and_the_option(name, tmp_path):
    with pytest.raises(DataError, match=r"https://.*`data_dir`"):
        open_dataset(name, offline=True, cache_dir=tmp_path)


@pytest.mark.parametrize("name", [name for name in NAMED_DATASETS if name != "digits"])
def test_an_empty_copy_is_refused_by_its_name(name, tmp_path):
    (tmp_path / "copy").mkdir()
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "copy"))):
        open_dataset(name, data_dir=tmp_path / "copy", offline=True, cache_dir=tmp_path)


# --- CIFAR ---------------------------------------------------------------------------------------------------------


def cifar_records(labels: list[list[int]], seed: int) -> tuple[bytes, np.ndarray]:
    """Records as the official page describes them, and the images (N, 32, 32, 3) they encode."""
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)
    records = b"".join(
        bytes(label) + b"".join(image[:, :, channel].tobytes() for channel in range(3))
        for label, image in zip(labels, images, strict=True)
    )
    return records, images


def cifar10_folder(folder: Path) -> np.ndarray:
    folder.mkdir(parents=True)
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    for i in range(1, 6):
        records, images = cifar_records([[label] for label in range(10)] * 2, seed=i)
        (folder / f"data_batch_{i}.bin").write_bytes(records)
    (folder / "test_batch.bin").write_bytes(cifar_records([[label] for label in range(10)], seed=6)[0])
    return images


def test_cifar10_binary_records(tmp_path):
    fifth_batch = cifar10_folder(tmp_path / "cifar-10-batches-bin")
    dataset = open_dataset("cifar10", data_dir=tmp_path)
    assert dataset.classes[:2] == ("airplane", "automobile")
    assert splits_of(dataset) == {"train": 80, "val": 20, "test": 10}
    by_id = {sample.id: sample for sample in dataset.samples}
    sample = by_id["train/data_batch_5/00013"]
    assert sample.label == 3
    assert (sample.image.pixels == fifth_batch[13]).all()
    assert open_dataset("cifar10", data_dir=tmp_path / "cifar-10-batches-bin").fingerprint == dataset.fingerprint


def test_cifar100_uses_the_fine_label(tmp_path):
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    (folder / "fine_label_names.txt").write_text("\n".join(f"fine_{i:02d}" for i in range(100)) + "\n")
    for name, seed, repeats in (("train.bin", 1, 4), ("test.bin", 2, 1)):
        labels = [[fine // 5, fine] for fine in range(100)] * repeats  # coarse, fine
        (folder / name).write_bytes(cifar_records(labels, seed)[0])
    dataset = open_dataset("cifar100", data_dir=tmp_path)
    assert len(dataset.classes) == 100
    assert [sample.label for sample in dataset.samples if sample.split == "test"] == list(range(100))


def test_cifar_cut_short_or_with_impossible_labels(tmp_path):
    cifar10_folder(tmp_path / "cifar-10-batches-bin")
    batch = tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin"
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-100])
    with pytest.raises(DataError, match=r"data_batch_2\.bin is cut short: .* 3,073-byte records"):
        open_dataset("cifar10", data_dir=tmp_path)
    batch.write_bytes(b"\x0b" + whole[1:])
    with pytest.raises(DataError, match="holds label 11, but there are 10 classes"):
        open_dataset("cifar10", data_dir=tmp_path)
    batch.unlink()
    with pytest.raises(DataError, match=r"Cannot read .*data_batch_2\.bin"):
        open_dataset("cifar10", data_dir=tmp_path)


def test_an_archive_without_the_official_hash_is_refused(tmp_path):
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as packed:
        packed.addfile(tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin"), io.BytesIO())
    with pytest.raises(DataError, match="does not have the official hash md5:c32a1d4ab5d03f1284b67883e8d87530"):
        open_dataset("cifar10", data_dir=tmp_path)


# --- folders with a name -------------------------------------------------------------------------------------------


def test_rock_paper_scissors_as_unpacked_from_the_official_archives(tmp_path):
    counts = {
        f"{part}/{hand}": n for part, n in (("rps", 20), ("rps-test-set", 4)) for hand in ("rock", "paper", "scissors")
    }
    dataset = open_dataset("rock_paper_scissors", data_dir=draw_classes(tmp_path, counts))
    assert dataset.classes == ("paper", "rock", "scissors")
    assert splits_of(dataset) == {"train": 51, "val": 9, "test": 12}
    assert dataset.licence == "CC BY 2.0"
    shutil.rmtree(tmp_path / "rps-test-set")
    with pytest.raises(DataError, match=r"rps-test-set\.zip is not in"):
        open_dataset("rock_paper_scissors", data_dir=tmp_path)


def test_rock_paper_scissors_from_the_small_copy(shared_data):
    dataset = open_dataset("rock_paper_scissors", data_dir=shared_data / "data" / "rock_paper_scissors_28px")
    assert splits_of(dataset) == {"train": 2160, "val": 360, "test": 372}  # val: a hand a class
    assert typical_side(dataset) == 28


def test_plant_seedlings_from_an_archive(shared_data):
    archive = shared_data / "data" / "plant_seedlings" / "plant_seedlings.zip"
    dataset = open_dataset("plant_seedlings", data_dir=archive.parent)
    assert splits_of(dataset) == {"train": 3319, "val": 708, "test": 723}
    assert dataset.licence == "CC BY-SA 4.0"
    assert open_dataset(archive).fingerprint == dataset.fingerprint
    assert open_dataset("plant_seedlings", data_dir=archive).fingerprint == dataset.fingerprint


# --- DeepWeeds -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deepweeds_copy(shared_data, tmp_path_factory) -> Path:
    """The official label files beside one small file an image, as unpacked by the authors' script."""
    copy = tmp_path_factory.mktemp("deepweeds")
    shutil.copytree(shared_data / "data" / "deepweeds_labels", copy / "labels")
    (copy / "images").mkdir()
    for line in (copy / "labels" / "labels.csv").read_text().splitlines()[1:]:
        name = line.split(",")[0]
        (copy / "images" / name).write_bytes(name.encode())
    return copy


def test_deepweeds_labels_and_folds_are_the_official_ones(deepweeds_copy):
    tested = Counter()
    for fold in (0, 4):
        dataset = open_dataset("deepweeds", fold=fold, data_dir=deepweeds_copy, offline=True)
        counts = splits_of(dataset)
        assert sum(counts.values()) == 17_509
        for split, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
            assert counts[split] / 17_509 == pytest.approx(share, abs=0.001)
        assert (dataset.split_origin, dataset.fold) == ("given", fold)
        assert dataset.notes[0] == "label of labels.csv, not of the fold's file, used for 20170714-110407-3.jpg"
        assert len(dataset.notes) == 2  # the official folds tear images of one moment apart
        torn = {0: 164, 4: 172}[fold]
        assert dataset.notes[1].startswith(f"{torn} groups in more than one given split: moment 20")
        tested.update(sample.id for sample in dataset.samples if sample.split == "test")
    assert len(tested) == 3507 + 3498  # the test parts of two folds share nothing
    assert dataset.classes[0] == "Chinee apple"
    assert dataset.classes[8] == "Negative"
    per_class = np.bincount(dataset.labels).tolist()
    assert per_class == [1125, 1064, 1031, 1022, 1062, 1009, 1074, 1016, 9106]  # Olsen et al. 2019, Table 1


def test_deepweeds_label_hashes_are_those_of_the_official_files(shared_data, tmp_path):
    labels = shared_data / "data" / "deepweeds_labels"
    names = sorted(deepweeds._LABEL_SHA256)
    assert names == sorted(path.name for path in labels.glob("*.csv"))
    assert file_digests([labels / name for name in names], cache_dir=tmp_path) == [
        deepweeds._LABEL_SHA256[name] for name in names
    ]


def test_deepweeds_with_missing_images(deepweeds_copy, tmp_path):
    shutil.copytree(deepweeds_copy / "labels", tmp_path, dirs_exist_ok=True)  # labels beside the images
    draw(tmp_path / "20160928-140314-0.png", 1).rename(tmp_path / "20160928-140314-0.jpg")
    with pytest.raises(
        DataError, match=r"17,508 images of fold 0 cannot be found: 2016.* and 17,505 more.*images\.zip"
    ):
        open_dataset("deepweeds", data_dir=tmp_path, offline=True)


# --- ImageNet ------------------------------------------------------------------------------------------------------


def test_imagenet_subset_with_csv_labels(shared_data):
    dataset = open_dataset("imagenet", data_dir=shared_data / "data" / "imagenet_val_500")
    assert len(dataset.classes) == 1000
    assert dataset.classes[0] == "n01440764 tench"
    assert dataset.classes[701] == "n03888257 parachute"
    assert Counter(dataset.labels.tolist()) == dict.fromkeys([0, 217, 482, 491, 497, 566, 569, 571, 574, 701], 50)
    assert splits_of(dataset) == {"test": 500}
    assert dataset.split_origin == "given: all validation images are test"


def test_imagenet_sample_has_each_class_once(shared_data):
    dataset = open_dataset("imagenet", data_dir=shared_data / "data" / "imagenet_sample_1000")
    assert sorted(dataset.labels.tolist()) == list(range(1000))
    assert dataset.classes[134] == "n02012849 crane"
    assert dataset.classes[517] == "n03126707 crane"


# ILSVRC2012_ID, WordNet id, words, children: three leaf classes, not in the order of their WordNet ids, and a parent
SYNSETS = [(1, "n02119789", "kit fox, Vulpes macrotis", 0), (2, "n02100735", "English setter", 0),
           (3, "n01440764", "tench, Tinca tinca", 0), (1001, "n00001740", "entity", 2)]  # fmt: skip
GROUND_TRUTH = [3, 1, 2, 1]
EXPECTED = [0, 2, 1, 2]  # by WordNet id: tench, English setter, kit fox


def devkit(folder: Path) -> None:
    folder.mkdir(parents=True)
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    savemat(folder / "meta.mat", {"synsets": np.array(SYNSETS, dtype=kind)})
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{id}\n" for id in GROUND_TRUTH))


@pytest.mark.parametrize("packed", [False, True])
def test_imagenet_with_the_devkit(tmp_path, packed):
    devkit(tmp_path / "ILSVRC2012_devkit_t12" / "data")
    for n in range(1, 5):
        draw(tmp_path / "val" / f"ILSVRC2012_val_{n:08d}.png", n)
    if packed:
        shutil.make_archive(str(tmp_path / "ILSVRC2012_devkit_t12"), "gztar", tmp_path, "ILSVRC2012_devkit_t12")
        shutil.rmtree(tmp_path / "ILSVRC2012_devkit_t12")
        shutil.make_archive(str(tmp_path / "ILSVRC2012_img_val"), "tar", tmp_path / "val")
        shutil.rmtree(tmp_path / "val")
    dataset = open_dataset("imagenet", data_dir=tmp_path)
    assert dataset.labels.tolist() == EXPECTED
    assert dataset.classes[:4] == (
        "n01440764 tench",
        "n02100735 English setter",
        "n02119789 kit fox",
        "n01491361 tiger shark",
    )


def test_imagenet_with_kaggles_labels_and_with_class_folders(tmp_path):
    devkit(tmp_path / "data")
    wordnet = {number: wordnet_id for number, wordnet_id, _, _ in SYNSETS}
    rows = ["ImageId,PredictionString"]
    for n, number in enumerate(GROUND_TRUTH, start=1):
        draw(tmp_path / "val" / wordnet[number] / f"ILSVRC2012_val_{n:08d}.png", n)
        rows.append(f"ILSVRC2012_val_{n:08d},{wordnet[number]} 1 2 3 4 {wordnet[number]} 5 6 7 8")
    (tmp_path / "data" / "ILSVRC2012_validation_ground_truth.txt").write_text("")
    in_folders = open_dataset("imagenet", data_dir=tmp_path)
    for sample in in_folders.samples:
        sample.image.path.rename(tmp_path / "val" / sample.id)
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(rows))
    by_table = open_dataset("imagenet", data_dir=tmp_path)
    assert in_folders.labels.tolist() == by_table.labels.tolist() == EXPECTED


WORDNET_IDS = [f"n{i * 7919 % 10**8:08d}" for i in range(1, 1001)]  # 1000 different ones, in no order


def kaggle_rows(ids: list[str]) -> str:
    return "\n".join(
        ["ImageId,PredictionString", *(f"ILSVRC2012_val_{n:08d},{id} 1 2 3 4" for n, id in enumerate(ids, 1))]
    )


def test_imagenet_tables_that_name_all_classes_need_no_devkit(tmp_path):
    for n in range(1, 4):
        draw(tmp_path / f"ILSVRC2012_val_{n:08d}.png", n)
    expected = [sorted(WORDNET_IDS).index(wordnet_id) for wordnet_id in WORDNET_IDS[:3]]
    (tmp_path / "LOC_val_solution.csv").write_text(kaggle_rows(WORDNET_IDS))
    by_kaggle = validation_images(tmp_path, cache_dir=tmp_path / "cache")
    rows = [f"anywhere/ILSVRC2012_val_{n:08d}.JPEG,{id}" for n, id in enumerate(WORDNET_IDS, 1)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]))
    by_table = validation_images(tmp_path, cache_dir=tmp_path / "cache")
    assert by_kaggle.labels.tolist() == by_table.labels.tolist() == expected
    assert by_kaggle.classes == tuple(sorted(WORDNET_IDS))
    assert by_kaggle.missing == 997
    assert re.search(r"997 labelled images of 1,000 not there: .* ILSVRC2012_img_val\.tar", by_kaggle.notes[0])
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows[:3]]))
    with pytest.raises(DataError, match="names 3 WordNet ids, so the order of the 1000 classes is not known"):
        validation_images(tmp_path, cache_dir=tmp_path / "cache")


def test_imagenet_tar_is_read_where_it_lies(tmp_path):
    devkit(tmp_path / "data")
    with tarfile.open(tmp_path / "ILSVRC2012_img_val.tar", "w") as packed:
        for n in (3, 1, 4, 2):
            packed.add(draw(tmp_path / "drawn" / f"{n}.png", n), f"ILSVRC2012_val_{n:08d}.png")
    files = [(tmp_path / "drawn" / f"{n}.png").read_bytes() for n in range(1, 5)]
    shutil.rmtree(tmp_path / "drawn")
    found = validation_images(tmp_path, cache_dir=tmp_path / "cache")
    assert found.labels.tolist() == EXPECTED
    assert [image.read() for image in found.images] == files
    assert found.missing == 0
    assert not (tmp_path / "cache").exists()


def test_imagenet_labels_that_contradict_the_devkit(tmp_path):
    devkit(tmp_path / "data")
    draw(tmp_path / "val" / "ILSVRC2012_val_00000001.png", 1)
    (tmp_path / "LOC_val_solution.csv").write_text(
        "ImageId,PredictionString\nILSVRC2012_val_00000001,n99999999 1 2 3 4\n"
    )
    with pytest.raises(DataError, match="line 2: 'n99999999' is not one of the WordNet ids"):
        open_dataset("imagenet", data_dir=tmp_path)
    (tmp_path / "LOC_val_solution.csv").unlink()
    (tmp_path / "data" / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n9\n")
    with pytest.raises(DataError, match="should hold one ILSVRC2012_ID per line: 9"):
        open_dataset("imagenet", data_dir=tmp_path)
    (tmp_path / "data" / "meta.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(DataError, match=r"Cannot read the class list .*meta\.mat"):
        open_dataset("imagenet", data_dir=tmp_path)
    for name in ("a", "b"):
        draw(tmp_path / "twice" / name / "one.png", 1)
    (tmp_path / "twice" / "labels.csv").write_text("filename,class_index\none.png,1\n")
    with pytest.raises(DataError, match=r"holds 1 image twice: one\.png"):
        open_dataset("imagenet", data_dir=tmp_path / "twice")


def test_imagenet_that_cannot_be_labelled(tmp_path):
    with pytest.raises(DataError, match="cannot be downloaded without an account"):
        open_dataset("imagenet")
    draw(tmp_path / "val" / "one.png", 1)
    with pytest.raises(DataError, match="holds images but no labels"):
        open_dataset("imagenet", data_dir=tmp_path)
    (tmp_path / "labels.csv").write_text("filename,class_index\nother.png,3\n")
    with pytest.raises(DataError, match=r"1 image without a label: one\.png"):
        open_dataset("imagenet", data_dir=tmp_path)
    (tmp_path / "labels.csv").write_text("filename,class_index\none.png,1000\n")
    with pytest.raises(DataError, match=r"line 2: class_index '1000' is not one of 0\.\.999"):
        open_dataset("imagenet", data_dir=tmp_path)
    (tmp_path / "labels.csv").write_text("filename,label\none.png,tench\n")
    with pytest.raises(DataError, match="should have the columns filename,class_index"):
        open_dataset("imagenet", data_dir=tmp_path)


def test_an_evaluation_set_can_be_inspected(tmp_path):
    draw(tmp_path / "one.png", 1)
    (tmp_path / "labels.csv").write_text("filename,class_index\none.png,7\n")
    audit = inspect_dataset(open_dataset("imagenet", data_dir=tmp_path))
    assert audit.counts["n01514668 cock"] == {"test": 1}
    assert audit.imbalance_ratio == 1.0
