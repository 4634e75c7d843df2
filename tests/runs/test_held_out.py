"""What a run is scored on: nothing it was trained or selected on, whatever the files are called; new data whole."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foray.api import compare, evaluate, train
from foray.cache_folder import cache_directory
from foray.data import open_dataset
from foray.data.open import open_given
from foray.errors import DataError, RunError
from foray.recipes import RMSprop, preset
from foray.records import Metrics, RunFolder, RunRecord
from foray.runs import predict, resume
from foray.runs.carving import carving_in
from foray.runs.held_out import held_out
from foray.runs.seen_images import read_seen_images
from tests.asking import plan_comparison
from tests.small_training import MODEL


def seen_by(run):
    return read_seen_images(RunFolder(run), RunRecord.load(run / "record.json"))


SIDE = 32


def noise(folder: Path, names: dict[str, int], first: int = 0) -> Path:
    """Images of noise, as many in each folder as `names` says; no two are the same."""
    number = first
    for name, n in names.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:04}-{i}.png")
            number += 1
    return folder


def trained_on(data: Path, weights: Path, out: Path, epochs: int = 20) -> tuple[RunRecord, Path]:
    """A linear head, over-fitted where there are many epochs."""
    recipe = preset("linear", epochs=epochs).model_copy(
        update={"batch_size": 8, "optimizer": RMSprop(learning_rate=1e-2), "checkpoint": "last"}
    )
    record = train(data, MODEL, recipe=recipe, weights=weights, out=out)
    return record, out / record.run_id


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """120 images of noise in two classes: labels that nothing tells, so the truth is 50 %."""
    return noise(tmp_path_factory.mktemp("data") / "photos", {"no": 60, "yes": 60})


@pytest.fixture(scope="module")
def noisy(photos, small_weights, tmp_path_factory) -> tuple[RunRecord, Path]:
    return trained_on(photos, small_weights, tmp_path_factory.mktemp("runs"), epochs=60)


def listed(photos: Path, table: Path, *, absolute: bool) -> Path:
    """A CSV of all images, by relative or absolute paths."""
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label"])
        for path in sorted(photos.rglob("*.png")):
            writer.writerow([path if absolute else path.relative_to(table.parent), path.parent.name])
    return table


def renamed(photos: Path, folder: Path) -> Path:
    for i, path in enumerate(sorted(photos.rglob("*.png"), reverse=True)):
        target = folder / path.parent.name / f"photo {i}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return folder


def resaved(photos: Path, folder: Path, suffix: str, **options: object) -> Path:
    for i, path in enumerate(sorted(photos.rglob("*.png"))):
        target = folder / path.parent.name / f"{i}{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(target, **options)
    return folder


def test_the_same_images_by_any_name_get_the_same_score_on_the_runs_own_test_images(noisy, photos, tmp_path) -> None:
    """By names, 13 of 18 test images had been trained on, and the accuracy was 94 % in place of 50 %."""
    record, run = noisy
    tested = {c for c, split in seen_by(run).split_of.items() if split == "test"}
    assert len(tested) == record.metrics["test"].n == 18
    own = evaluate(run, photos)
    for data in (
        photos,
        listed(photos, photos.parent / "relative.csv", absolute=False),
        listed(photos, tmp_path / "absolute.csv", absolute=True),
        renamed(photos, tmp_path / "renamed"),
    ):
        images = held_out(run, open_given(data), cache_dir=cache_directory())
        assert {sample.content for sample in images.dataset.samples} == tested
        metrics = evaluate(run, data)
        assert metrics.confusion == own.confusion
        assert metrics.loss == pytest.approx(own.loss)
        assert metrics.left_out.trained_on == record.dataset.counts["train"] == 84
        assert metrics.left_out.selected_on == record.dataset.counts["val"] == 18
        assert metrics.left_out.near_copies == 0
    assert own.top1.low < 0.5 < evaluate(run, photos, "train").top1.low  # it knows by heart what it was trained on


def test_splits_are_the_same_by_any_name_and_follow_the_content(photos, tmp_path) -> None:
    def contents(data: Path) -> dict[str, str]:
        return {sample.content: str(sample.split) for sample in open_dataset(data).samples}

    own = contents(photos)
    assert contents(renamed(photos, tmp_path / "renamed")) == own
    assert contents(listed(photos, tmp_path / "absolute.csv", absolute=True)) == own
    assert contents(resaved(photos, tmp_path / "bitmaps", ".bmp")) != own


def test_resaved_copies_of_what_was_trained_on_are_left_out(noisy, photos, tmp_path) -> None:
    """Their bytes are others, their pixels the same, or nearly so."""
    record, run = noisy
    bitmaps = evaluate(run, resaved(photos, tmp_path / "bitmaps", ".bmp"))
    assert bitmaps.left_out.near_copies == record.dataset.counts["train"] + record.dataset.counts["val"]
    assert bitmaps.confusion == evaluate(run, photos).confusion
    jpegs = evaluate(run, resaved(photos, tmp_path / "jpegs", ".jpg", quality=90))
    assert jpegs.left_out.near_copies == 102
    assert jpegs.n == 18


def test_if_nothing_remains_the_error_says_what_to_do(noisy, photos, tmp_path) -> None:
    _, run = noisy
    known = seen_by(run).split_of
    for sample in open_dataset(photos).samples:
        if known[sample.content] != "test":
            target = tmp_path / "known" / sample.id
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sample.image.path, target)
    with pytest.raises(
        DataError, match=r"No image of known remains.*84 trained on, 18 used to select.*Give images that"
    ):
        evaluate(run, tmp_path / "known")


def test_train_and_val_are_scored_on_purpose_and_said_to_be_known(noisy, photos, tmp_path) -> None:
    record, run = noisy
    for data in (photos, renamed(photos, tmp_path / "renamed")):
        val = evaluate(run, data, "val")
        assert val.n == record.metrics["val"].n == 18
        assert val.loss == pytest.approx(record.metrics["val"].loss, rel=1e-2)
        assert "selected on these images" in val.notes[0]
        memory = evaluate(run, data, "train")
        assert memory.n == 84
        assert "trained on these images" in memory.notes[0]


def test_new_data_without_splits_are_scored_whole(noisy, tmp_path) -> None:
    _, run = noisy
    metrics = evaluate(run, noise(tmp_path / "new", {"no": 9, "yes": 8}, first=5000))
    assert (metrics.n, metrics.left_out.total, metrics.absent) == (17, 0, [])


@pytest.mark.parametrize(
    ("folders", "n", "absent"),
    [
        ({"test/no": 4, "test/yes": 5}, 9, []),
        ({"no": 6}, 6, ["yes"]),
        ({"test/yes": 3}, 3, ["no"]),
        ({"no": 2, "yes": 2}, 4, []),
        ({"train/no": 5, "train/yes": 5, "test/no": 2, "test/yes": 1}, 3, []),
    ],
)
def test_what_cannot_be_trained_on_can_be_evaluated(noisy, tmp_path, folders, n, absent) -> None:
    _, run = noisy
    metrics = evaluate(run, noise(tmp_path / "new", folders, first=6000))
    assert (metrics.n, metrics.absent) == (n, absent)
    present = [row.f1 for row in metrics.per_class if row.n]
    assert metrics.macro_f1 == pytest.approx(np.mean(present))


def test_new_data_without_test_images_name_the_split_they_have(noisy, tmp_path) -> None:
    _, run = noisy
    new = noise(tmp_path / "new", {"val/no": 2, "val/yes": 2}, first=7000)
    with pytest.raises(DataError, match=r"new has no test images, only val\. Name the split to score with `split` val"):
        evaluate(run, new)
    assert evaluate(run, new, "val").n == 4


def test_classes_are_met_by_name_not_by_order(small_weights, tmp_path) -> None:
    """Three colours; the new data have the last two, so their labels begin at 0 with another class."""
    random = np.random.default_rng(0)
    colours = {"blue": (40, 50, 220), "green": (40, 210, 50), "red": (220, 40, 40)}
    for name, colour in colours.items():
        for i in range(26):
            pixels = np.clip(np.array(colour) + random.normal(0, 25, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
            target = tmp_path / ("new" if i >= 20 and name != "blue" else "photos") / name / f"{i}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(target)
    _, run = trained_on(tmp_path / "photos", small_weights, tmp_path / "runs")
    metrics = evaluate(run, tmp_path / "new")
    assert [(row.name, row.n) for row in metrics.per_class] == [("blue", 0), ("green", 6), ("red", 6)]
    assert metrics.absent == ["blue"]
    named = predict(run, sorted((tmp_path / "new").rglob("*.png")))
    right = sum(one.label == one.path.parent.name for one in named)
    assert 0 < right == round(metrics.top1.value * 12)
    for i, label in enumerate(("blue", "green", "red")):
        answered = [one.label for one in named if one.path.parent.name == label]
        assert metrics.confusion[i] == [answered.count(name) for name in ("blue", "green", "red")]


def test_test_images_moved_to_train_in_other_data_stay_out_and_new_ones_come_in(noisy, photos, tmp_path) -> None:
    """The run's own folder has grown: its test images and the new ones are scored."""
    grown = tmp_path / "grown"
    shutil.copytree(photos, grown)
    noise(grown, {"no": 3, "yes": 4}, first=8000)
    _, run = noisy
    metrics = evaluate(run, grown)
    assert metrics.n == 18 + 7
    assert metrics.left_out.total == 102


def test_given_splits_that_share_pictures_are_scored_as_they_are_and_said(small_weights, tmp_path) -> None:
    data = noise(tmp_path / "photos", {f"{s}/{c}": 10 for s in ("train", "val", "test") for c in ("no", "yes")})
    for name in ("no", "yes"):
        for i, path in enumerate(sorted((data / "train" / name).iterdir())[:4]):
            Image.open(path).save(data / "test" / name / f"again {i}.bmp")
    record, run = trained_on(data, small_weights, tmp_path / "runs")
    assert record.metrics["test"].n == 28
    assert any(
        note.startswith("8 of 28 test images are duplicates or near-duplicates of train") for note in record.notes
    )
    assert any(
        note.startswith("without the 8 test images that are duplicates") and "n = 20" in note for note in record.notes
    )
    metrics = evaluate(run, data)
    assert metrics.n == 28
    assert "8 of these 28 images are near-duplicates" in metrics.notes[0]
    assert "(n = 20)" in metrics.notes[0]


def test_a_comparison_on_given_splits_that_share_pictures_cautions_with_the_score_without_them(
    small_weights, tmp_path
) -> None:
    data = noise(tmp_path / "photos", {f"{s}/{c}": 10 for s in ("train", "val", "test") for c in ("no", "yes")})
    for path in sorted((data / "train" / "no").iterdir())[:5]:
        Image.open(path).save(data / "test" / "no" / f"again {path.stem}.bmp")
    compared = compare(
        data, [MODEL], "linear", weights=small_weights, epochs=2, prefer="params", seeds=1, out=tmp_path / "out",
        threads=1,
    )  # fmt: skip
    (leak,) = compared.leaks
    assert (leak.split, leak.n, leak.leaked, leak.without.n) == ("test", 25, 5, 20)
    with np.load(tmp_path / "out" / "runs" / compared.candidates[0].run_ids[0] / "predictions" / "test.npz") as kept:
        right = kept["probabilities"].argmax(axis=1) == kept["labels"]
        others = np.array(["again" not in id_ for id_ in kept["image_ids"].tolist()])
    assert leak.without.value == pytest.approx(right[others].mean())
    assert any("5 of 25 test images are duplicates or near-duplicates" in caution for caution in compared.cautions)
    assert "5 of 25 test images are duplicates" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_images_that_all_look_alike_are_not_taken_for_copies(small_weights, tmp_path) -> None:
    """One scene in both classes, whose difference is small: new images of it are scored."""
    base = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3))
    for i in range(80):
        pixels = np.clip(base + np.random.default_rng(i + 1).normal(0, 4, base.shape), 0, 255).astype(np.uint8)
        target = tmp_path / ("photos" if i < 50 else "new") / ("no", "yes")[i % 2] / f"{i}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target)
    _, run = trained_on(tmp_path / "photos", small_weights, tmp_path / "runs")
    metrics = evaluate(run, tmp_path / "new")
    assert (metrics.n, metrics.left_out.near_copies) == (30, 0)
    assert "near-duplicates could not be" in metrics.notes[0]


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_a_run_keeps_a_digest_of_every_image_and_how_it_looks(noisy, photos) -> None:
    record, run = noisy
    seen = seen_by(run)
    dataset = open_dataset(photos)
    assert seen.contents == tuple(sample.content for sample in dataset.samples)
    assert [seen.split_of[sample.content] for sample in dataset.samples] == [s.split for s in dataset.samples]
    counts = record.dataset.counts
    assert len(seen.fingerprints) == sum(counts.values())
    assert len(seen.fitted_fingerprints) == counts["train"] + counts["val"]
    with np.load(run / "predictions" / "test.npz") as kept:
        by_content = [sample.id for sample in sorted(
            (s for s in dataset.samples if s.split == "test"), key=lambda s: seen.tested_row[s.content]
        )]  # fmt: skip
        assert kept["image_ids"].tolist() == by_content


def test_a_damaged_list_of_images_is_an_error_and_not_a_score(noisy, photos, tmp_path) -> None:
    _, run = noisy
    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    content = bytearray((copy / "images.npz").read_bytes())
    content[len(content) // 2] ^= 255
    (copy / "images.npz").write_bytes(content)
    with pytest.raises(RunError, match=r"images\.npz is damaged: its SHA-256 differs from the recorded one"):
        evaluate(copy, photos)


def test_metrics_of_earlier_versions_load(noisy) -> None:
    stored = json.loads(noisy[0].metrics["test"].model_dump_json())
    for name in ("absent", "left_out", "notes"):
        del stored[name]
    assert Metrics.model_validate(stored).left_out is None


# --- runs of earlier versions ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def earlier(photos, small_weights, tmp_path_factory) -> tuple[RunRecord, Path]:
    """A run as earlier versions left it: carved by name, without images.npz and digests."""

    def by_name(data, **options):
        return open_dataset(data, **{**options, "carving": "by name"})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foray.requests.open_dataset", by_name)
        record, run = trained_on(photos, small_weights, tmp_path_factory.mktemp("earlier"), epochs=2)
    (run / "images.npz").unlink()
    record = record.model_copy(update={"files": {}})
    record.save(run / "record.json")
    return record, run


def test_a_run_of_an_earlier_version_keeps_its_splits(earlier, photos, tmp_path) -> None:
    record, run = earlier
    assert record.dataset.split_origin == "carved (seed 0)"
    assert open_dataset(photos).fingerprint != record.dataset.fingerprint
    for split in ("test", "val"):
        metrics = evaluate(run, photos, split)
        images = held_out(run, open_given(photos), split, cache_dir=cache_directory())
        with np.load(run / "predictions" / f"{split}.npz") as kept:
            assert [sample.id for sample in images.dataset.samples] == kept["image_ids"].tolist()
        assert (metrics.n, metrics.left_out) == (18, None)
        assert "has no digests of its images; by fingerprint, these are its own" in metrics.notes[0]
    broken_off = tmp_path / run.name
    shutil.copytree(run, broken_off)
    record.model_copy(update={"status": "failed", "metrics": {}}).save(broken_off / "record.json")
    assert resume(broken_off).dataset.fingerprint == record.dataset.fingerprint


def test_the_same_call_goes_on_with_a_run_of_an_earlier_version(earlier, photos, small_weights) -> None:
    record, run = earlier
    assert trained_on(photos, small_weights, run.parent, epochs=2) == (record, run)
    assert [path.name for path in run.parent.iterdir()] == [run.name]


def test_a_comparison_of_an_earlier_version_goes_on_with_its_splits(earlier, photos, small_weights, tmp_path) -> None:
    record, run = earlier
    shutil.copytree(run, tmp_path / "out" / "runs" / run.name)
    assert carving_in(tmp_path / "out") == "by name"
    assert carving_in(tmp_path) == "by content"
    plan = plan_comparison(photos, [MODEL], weights=small_weights, carving=carving_in(tmp_path / "out"))
    assert plan.dataset.fingerprint == record.dataset.fingerprint


def test_other_data_cannot_be_checked_for_a_run_of_an_earlier_version_and_it_says_so(earlier, photos, tmp_path) -> None:
    _, run = earlier
    metrics = evaluate(run, noise(tmp_path / "new", {"no": 4, "yes": 4}, first=9000))
    assert (metrics.n, metrics.left_out) == (8, None)
    assert "cannot be checked whether it was trained on some of these" in metrics.notes[0]


def test_what_is_held_out_knows_the_predictions_that_were_kept(noisy, photos, tmp_path) -> None:
    _, run = noisy
    images = held_out(run, open_given(renamed(photos, tmp_path / "renamed")), cache_dir=cache_directory())
    with np.load(run / "predictions" / "test.npz") as kept:
        assert np.array_equal(kept["labels"][images.tested], images.dataset.labels)
    assert sorted(images.tested.tolist()) == list(range(18))
    new = open_given(noise(tmp_path / "new", {"no": 3}, first=9500))
    assert held_out(run, new, cache_dir=cache_directory()).tested is None


def test_digests_of_another_run_or_none_at_all_are_an_error(noisy, photos, small_weights, tmp_path) -> None:
    """Else images that were trained on would be scored without a word."""
    _, run = noisy
    other = tmp_path / "copy"
    shutil.copytree(run, other)
    with np.load(other / "images.npz") as stored:
        arrays = dict(stored)
    arrays["contents"] = arrays["contents"][::-1]
    np.savez(other / "images.npz", **arrays)
    with pytest.raises(RunError, match=r"images\.npz is damaged: its SHA-256 differs from the recorded one"):
        evaluate(other, photos)
    (other / "images.npz").unlink()
    with pytest.raises(RunError, match=r"Cannot read .*images\.npz"):
        evaluate(other, photos)
