"""Pretrained weights on ImageNet images: the stored reference, every way the images may lie, interruptions, damage."""

from __future__ import annotations

import csv
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import load_file, save_file

from foray.data.images import UnreadableImagesError
from foray.data.named.imagenet import validation_images
from foray.errors import DataError, WeightsError
from foray.evaluation import imagenet as pretrained_evaluation
from foray.evaluation import inference_engine, prediction_shards
from foray.evaluation.imagenet import evaluate_pretrained
from foray.evaluation.prediction_shards import TopPredictions, read_shard, top_predictions
from foray.records import PretrainedEvaluation
from foray.requests import ImageSource, Machine

SMALLEST = "mobilenetv1_025.tf_qat_in1k"
N = 70  # two whole shards of 32 and a part of one, the last batch smaller than the others


def unpacked(shared_data: Path, folder: Path, n: int | None) -> Path:
    """The first `n` of the 500 validation images by name, with their labels, in one folder."""
    source = shared_data / "data" / "imagenet_val_500"
    with (source / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))[:n]
    with zipfile.ZipFile(source / "imagenet_val_500.zip") as archive:
        for row in rows:
            archive.extract(row["filename"], folder)
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def images(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(shared_data, tmp_path_factory.mktemp("val"), N)


@pytest.fixture(scope="module")
def smallest(shared_data: Path) -> Path:
    return shared_data / "weights" / SMALLEST


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_shards, "SHARD_IMAGES", 32)


@pytest.fixture
def torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling with OpenVINO takes seconds, and is beside the point where files are what is tested."""
    monkeypatch.setattr(inference_engine, "openvino_fits", lambda device: False)


@pytest.fixture(scope="module")
def straight(
    images: Path, smallest: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PretrainedEvaluation, Path]:
    """One run over all images, in shards of 32."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction_shards, "SHARD_IMAGES", 32)
        patch.setattr(inference_engine, "openvino_fits", lambda device: False)
        return evaluate(smallest, images, tmp_path_factory.mktemp("straight"))


def evaluate(
    weights: Path, data_dir: Path | None, out: Path, model: str = "mobilenet_v1_x0.25", *, skip_unreadable: bool = False
) -> tuple[PretrainedEvaluation, Path]:
    source = ImageSource("imagenet", data_dir=data_dir, skip_unreadable=skip_unreadable)
    return evaluate_pretrained(model, weights, source, Machine("cpu"), out=out)


def predictions_in(folder: Path) -> TopPredictions:
    paths = sorted((folder / "predictions").glob("*.npz"))
    with_sizes = [(path, len(np.load(path)["classes"])) for path in paths]
    return TopPredictions.joined([part for path, n in with_sizes if (part := read_shard(path, n)) is not None])


def same(ours: TopPredictions, theirs: TopPredictions) -> bool:
    pairs = zip(vars(ours).values(), vars(theirs).values(), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def scores(record: PretrainedEvaluation) -> dict[str, object]:
    return record.model_dump(include={"n", "top1", "top5", "unreadable", "model"})


# --- reference ------------------------------------------------------------------------------------------------------


def test_all_500_validation_images_agree_with_the_table(shared_data: Path, tmp_path: Path) -> None:
    """README.md of the weights, column "val 256/224", measured with timm: 69.0 / 90.4 of 500; within two images."""
    folder = unpacked(shared_data, tmp_path / "val", None)
    weights = shared_data / "weights" / "mobilenetv2_100.tf_in1k"
    record, kept = evaluate(weights, folder, tmp_path, "mobilenet_v2")
    assert record.model == "tf_mobilenet_v2"
    assert record.n == record.computed == 500
    assert abs(record.top1.value * 500 - 345) <= 2
    assert abs(record.top5.value * 500 - 452) <= 2
    assert record.top1.low < record.top1.value < record.top1.high
    assert PretrainedEvaluation.load(kept / "evaluation.json") == record


@pytest.mark.parametrize(
    ("folder", "model"), [("tf_efficientnetv2_b0.in1k", "efficientnet_v2_b0"), (SMALLEST, "mobilenet_v1_x0.25")]
)
def test_predictions_are_those_of_the_reference_logits(
    shared_data: Path, images: Path, tmp_path: Path, folder: str, model: str
) -> None:
    """Stored logits of timm for the first 16 images as they are: 224 x 224, so a crop_pct of 1 leaves them alone."""
    reference = np.load(shared_data / "weights" / "reference_logits.npz")
    whole = tmp_path / folder
    whole.mkdir()
    config = json.loads((shared_data / "weights" / folder / "config.json").read_text())
    config["pretrained_cfg"]["crop_pct"] = 1.0
    (whole / "config.json").write_text(json.dumps(config))
    (whole / "model.safetensors").symlink_to(shared_data / "weights" / folder / "model.safetensors")
    sixteen = tmp_path / "val"
    sixteen.mkdir()
    for name in reference["image_names"]:
        shutil.copy(images / str(name), sixteen)
    shutil.copy(images / "labels.csv", sixteen)
    record, kept = evaluate(whole, sixteen, tmp_path, model)
    expected, probabilities = top_predictions(reference[f"{folder}/logits"])
    found = predictions_in(kept)
    assert record.missing == N - 16
    assert "54 labelled images of 70 not there" in record.notes[0]
    np.testing.assert_array_equal(found.classes[:, 0], expected[:, 0])
    np.testing.assert_allclose(found.probabilities, probabilities, atol=0.01)
    assert record.top1.value == pytest.approx((expected[:, 0] == reference["class_index"]).mean())


@given(arrays(np.float32, (3, 12), elements=st.integers(-4, 4).map(float)))
def test_of_equal_logits_the_smaller_index_comes_first(logits: np.ndarray) -> None:
    classes, probabilities = top_predictions(logits)
    exponentials = np.exp(logits.astype(np.float64))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    for row in range(3):
        expected = sorted(range(12), key=lambda i: (-logits[row, i], i))[:5]
        assert classes[row].tolist() == expected
        np.testing.assert_allclose(probabilities[row], softmax[row, expected], rtol=1e-5)


# --- where the images lie -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_shards", "torch_alone")
def test_a_tar_and_class_folders_give_what_the_flat_folder_gives(
    straight: tuple[PretrainedEvaluation, Path], images: Path, smallest: Path, tmp_path: Path
) -> None:
    record, kept = straight
    packed, foldered = tmp_path / "packed", tmp_path / "foldered"
    packed.mkdir()
    foldered.mkdir()
    with tarfile.open(packed / "ILSVRC2012_img_val.tar", "w") as archive:
        for path in sorted(images.glob("*.JPEG"), reverse=True):
            archive.add(path, path.name)
    shutil.copy(images / "labels.csv", packed)
    with (images / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        (foldered / "val" / row["wordnet_id"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(images / row["filename"], foldered / "val" / row["wordnet_id"])
    table = [f"val/{row['wordnet_id']}/{row['filename']},{row['class_index']}" for row in rows]
    (foldered / "labels.csv").write_text("\n".join(["path,label", *table]))
    for data_dir in (packed, packed / "ILSVRC2012_img_val.tar", foldered):
        ours, our_folder = evaluate(smallest, data_dir, tmp_path / f"out {data_dir.name}")
        assert scores(ours) == scores(record)
        assert same(predictions_in(our_folder), predictions_in(kept))
    assert not list(tmp_path.rglob("unpacked"))


# --- interruption ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_shards")
def test_going_on_gives_bit_for_bit_what_one_run_gives(
    images: Path, smallest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the fastest engine, whose batches end in any order."""
    straight = evaluate(smallest, images, tmp_path / "straight")
    write, written = pretrained_evaluation.write_shard, []

    def interrupted(path: Path, predictions: TopPredictions) -> None:
        if written:
            raise KeyboardInterrupt
        write(path, predictions)
        written.append(path)

    monkeypatch.setattr(pretrained_evaluation, "write_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(smallest, images, tmp_path)
    before = written[0].read_bytes()
    monkeypatch.setattr(pretrained_evaluation, "write_shard", write)
    record, kept = evaluate(smallest, images, tmp_path)
    assert 0 < record.computed < N
    assert scores(record) == scores(straight[0])
    assert same(predictions_in(kept), predictions_in(straight[1]))
    assert written[0].read_bytes() == before
    written[0].write_bytes(before[:100])  # a damaged shard is computed again, the others are not
    again, kept = evaluate(smallest, images, tmp_path)
    assert 0 < again.computed <= 32
    assert same(predictions_in(kept), predictions_in(straight[1]))


@pytest.mark.usefixtures("small_shards", "torch_alone")
def test_unreadable_images_are_listed_and_one_that_is_repaired_is_predicted(
    straight: tuple[PretrainedEvaluation, Path], images: Path, smallest: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "val"
    shutil.copytree(images, copy)
    damaged = sorted(copy.glob("*.JPEG"))[40]
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImagesError, match=rf"1 image cannot be read: {damaged.name} \(the file is truncated"):
        evaluate(smallest, copy, tmp_path)
    record, kept = evaluate(smallest, copy, tmp_path, skip_unreadable=True)
    assert record.computed == 0  # nothing is lost to the refusal
    assert (record.n, list(record.unreadable)) == (N - 1, [damaged.name])
    whole, found = predictions_in(straight[1]), predictions_in(kept)
    others = np.arange(N) != 40
    assert np.array_equal(found.classes[others], whole.classes[others])
    damaged.write_bytes(content)
    repaired, _ = evaluate(smallest, copy, tmp_path)
    assert repaired.computed == 32
    assert scores(repaired) == scores(straight[0])


# --- classes and weights --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_shards", "torch_alone")
def test_of_1001_classes_the_background_is_left_out(
    straight: tuple[PretrainedEvaluation, Path], images: Path, smallest: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "with_background"
    folder.mkdir()
    config = json.loads((smallest / "config.json").read_text()) | {"num_classes": 1001}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(smallest / "model.safetensors")
    weight, bias = tensors["classifier.weight"], tensors["classifier.bias"]
    tensors["classifier.weight"] = np.concatenate([np.zeros_like(weight[:1]), weight])
    tensors["classifier.bias"] = np.concatenate([np.full_like(bias[:1], 1000.0), bias])  # would win every time
    save_file(tensors, folder / "model.safetensors")
    record, kept = evaluate(folder, images, tmp_path)
    assert record.num_classes == 1001
    assert scores(record) == scores(straight[0])
    assert np.array_equal(predictions_in(kept).classes, predictions_in(straight[1]).classes)


def test_weights_that_do_not_classify_imagenet_are_refused(shared_data: Path, smallest: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="a backbone without a classifier"):
        evaluate(shared_data / "weights" / "tf_efficientnet_b0.backbone_in1k", tmp_path, tmp_path, "efficientnet_b0")
    with pytest.raises(WeightsError, match="not of mobilenet_v2"):
        evaluate(smallest, tmp_path, tmp_path, "mobilenet_v2")
    twelve = tmp_path / "twelve"
    twelve.mkdir()
    config = json.loads((smallest / "config.json").read_text()) | {"num_classes": 12}
    (twelve / "config.json").write_text(json.dumps(config))
    shutil.copy(smallest / "model.safetensors", twelve)
    with pytest.raises(WeightsError, match="12 classes, not the 1000 of ImageNet"):
        evaluate(twelve, tmp_path, tmp_path)


def test_absent_and_damaged_images_are_refused(images: Path, smallest: Path, tmp_path: Path) -> None:
    for data_dir in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(DataError, match=r"image-net\.org/challenges/LSVRC/2012/ after registering"):
            evaluate(smallest, data_dir, tmp_path)
    packed = tmp_path / "packed"
    packed.mkdir()
    archive = packed / "ILSVRC2012_img_val.tar"
    with tarfile.open(archive, "w") as tar:
        for path in sorted(images.glob("*.JPEG"))[:3]:
            tar.add(path, path.name)
    content = archive.read_bytes()
    shutil.copy(images / "labels.csv", packed)
    with tarfile.open(archive) as tar:
        ends = [member.offset_data + -(-member.size // 512) * 512 for member in tar]
    cuts = [ends[0] - 600, ends[0], ends[0] + 150, ends[1], ends[2]]
    for damaged in (*(content[:cut] for cut in cuts), b"<html>404</html>" * 100, b""):
        archive.write_bytes(damaged)
        with pytest.raises(DataError, match=r"ILSVRC2012_img_val\.tar is damaged or cut short"):
            validation_images(packed, cache_dir=tmp_path)
