"""Training, evaluating and predicting in one call each, from files on disk; `linear` with real parts all through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from foray.api import evaluate, train
from foray.data import ImageFile, UnreadableImagesError, open_dataset
from foray.errors import DataError, RunError
from foray.linear import extract_features
from foray.linear.folds import out_of_fold_positions
from foray.recipes import RMSprop, preset
from foray.records import RunRecord
from foray.runs import load_run, predict
from tests.small_training import MODEL, coloured_squares, small_recipe


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """The coloured squares as PNG files below train/, val/ and test/."""
    folder = tmp_path_factory.mktemp("data") / "squares"
    for sample in coloured_squares().samples:
        path = folder / sample.split / f"{sample.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sample.image.pixels).save(path)
    return folder


@pytest.fixture(scope="module")
def linear_run(pictures, small_weights, tmp_path_factory) -> tuple[RunRecord, Path]:
    # Random features and few images: a higher rate than the preset's and no decay.
    recipe = preset("linear", epochs=30).model_copy(update={"batch_size": 8, "optimizer": RMSprop(learning_rate=1e-2)})
    out = tmp_path_factory.mktemp("runs")
    record = train(pictures, MODEL, recipe=recipe, weights=small_weights, out=out)
    return record, out / record.run_id


def test_linear_learns_and_scores_every_train_and_val_image_out_of_fold(linear_run, pictures) -> None:
    record, folder = linear_run
    assert record.metrics["test"].top1.value > 0.6  # one in three by chance
    assert record.metrics["out_of_fold"].top1.value > 0.6
    counts = record.dataset.counts
    assert record.metrics["out_of_fold"].n == counts["train"] + counts["val"]
    kept = np.load(folder / "predictions" / "out_of_fold.npz")
    expected = [s.id for s in open_dataset(pictures).samples if s.split in ("train", "val")]
    assert kept["image_ids"].tolist() == expected
    assert record.feature_engine.split()[-1] == "float32"
    assert len((folder / "history.jsonl").read_text().splitlines()) == 30


def test_the_head_of_a_linear_run_is_part_of_its_network(linear_run, pictures) -> None:
    """Images through the whole network give what was predicted from features."""
    record, folder = linear_run
    metrics = evaluate(folder, pictures)
    assert metrics.confusion == record.metrics["test"].confusion
    assert metrics.loss == pytest.approx(record.metrics["test"].loss, rel=1e-2)
    assert evaluate(folder, pictures, "val").top1 == record.metrics["val"].top1


def test_the_backbone_of_a_linear_run_is_the_pretrained_one(linear_run, small_weights) -> None:
    from foray.weights import create_model

    _, folder = linear_run
    ours = load_run(folder).network.state_dict()
    published = create_model(MODEL, weights=small_weights, num_classes=3).state_dict()
    assert {key for key in ours if not torch.equal(ours[key], published[key])} == {
        "classifier.weight",
        "classifier.bias",
    }


def test_predict_names_classes_and_runners_up(linear_run, pictures) -> None:
    record, folder = linear_run
    paths = sorted((pictures / "test").rglob("*.png"))
    predictions = predict(folder, paths)
    assert [prediction.path for prediction in predictions] == paths
    kept = np.load(folder / "predictions" / "test.npz")
    by_id = dict(zip(kept["image_ids"].tolist(), kept["probabilities"], strict=True))
    for prediction in predictions:
        probabilities = by_id[prediction.path.relative_to(pictures).as_posix()]
        assert prediction.label == record.dataset.classes[probabilities.argmax()]
        # Features from OpenVINO (kept) and torch (here) differ by float32 rounding, which this head magnifies.
        assert prediction.probability == pytest.approx(probabilities.max(), abs=5e-3)
        assert len(prediction.top) == 3
        assert sum(p for _, p in prediction.top) == pytest.approx(1.0, abs=1e-5)
        assert [p for _, p in prediction.top] == sorted((p for _, p in prediction.top), reverse=True)


def test_folds_hold_each_image_once_keep_copies_together_and_classes_in_proportion() -> None:
    from dataclasses import replace

    dataset = coloured_squares(per_class=30)
    samples = list(dataset.samples)
    for i in range(0, 80, 8):  # pairs of exact copies in train, and a group over two classes
        if samples[i].split != "test" and samples[i + 1].split != "test":
            samples[i + 1] = replace(samples[i + 1], content=samples[i].content, label=samples[i].label)
    samples[32] = replace(samples[32], group="one plant")
    samples[62] = replace(samples[62], group="one plant")
    dataset = replace(dataset, samples=tuple(samples))
    folds = out_of_fold_positions(dataset, seed=1)
    assert len(folds) == 5
    pool = [i for i, s in enumerate(samples) if s.split != "test"]
    assert sorted(np.concatenate(folds).tolist()) == pool
    where = {int(i): k for k, fold in enumerate(folds) for i in fold}
    for i in pool:
        for j in pool:
            if samples[i].content == samples[j].content:
                assert where[i] == where[j]
    assert where[32] == where[62]
    for fold in folds:
        labels = [samples[i].label for i in fold]
        assert all(3 <= labels.count(label) <= 7 for label in range(3))
    other = out_of_fold_positions(dataset, seed=2)
    assert any(not np.array_equal(a, b) for a, b in zip(folds, other, strict=True))


def test_features_are_extracted_once_for_all_seeds(pictures, small_weights, tmp_path, monkeypatch) -> None:
    from foray.linear import features

    calls = []

    def counted(*arguments, **options):
        calls.append(1)
        return extract_features(*arguments, **options)

    monkeypatch.setattr(features, "extract_features", counted)
    recipe = preset("linear", epochs=1)
    records = [
        train(pictures, MODEL, recipe=recipe, weights=small_weights, seed=seed, out=tmp_path / "runs",
              cache_dir=tmp_path / "cache")
        for seed in range(3)
    ]  # fmt: skip
    assert len(calls) == 1
    assert len({record.run_id for record in records}) == 3
    assert len({record.metrics["val"].loss for record in records}) == 3


def test_finetune_starts_from_the_weights_and_moves_all_of_them(pictures, small_weights, tmp_path) -> None:
    from foray.weights import create_model

    recipe = small_recipe(protocol="finetune", epochs=1)
    record = train(pictures, MODEL, recipe=recipe, weights=small_weights, out=tmp_path)
    assert (record.weights.variant, record.weights.head) == ("tf_" + MODEL, "replaced")
    assert set(record.metrics) == {"val", "val_crossfit", "test"}
    ours = load_run(tmp_path / record.run_id).network
    published = create_model(MODEL, weights=small_weights, num_classes=3)
    for (key, tensor), (_, before) in zip(ours.named_parameters(), published.named_parameters(), strict=True):
        assert not torch.equal(tensor, before), key


def test_the_recipes_batch_norm_momentum_changes_the_statistics_and_nothing_else(pictures, tmp_path) -> None:
    networks = []
    for momentum in (None, 0.5):
        recipe = small_recipe(epochs=1, bn_momentum=momentum, checkpoint="last")
        record = train(pictures, f"tf_{MODEL}", recipe=recipe, out=tmp_path)
        networks.append(load_run(tmp_path / record.run_id).network)
    own, changed = networks
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), changed.parameters(), strict=True))
    assert not torch.equal(own.stem.norm.running_mean, changed.stem.norm.running_mean)


def test_other_classes_are_refused(linear_run, pictures, tmp_path) -> None:
    _, folder = linear_run
    for split in ("train", "val", "test"):
        for name in ("red", "green", "violet"):
            target = tmp_path / "other" / split / name
            target.mkdir(parents=True)
            for path in sorted((pictures / split / ("blue" if name == "violet" else name)).iterdir())[:3]:
                (target / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"not those the run was trained on \(unknown: violet\)"):
        evaluate(folder, tmp_path / "other")


def test_unreadable_images_stop_the_run_or_are_left_out(pictures, tmp_path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(pictures, broken)
    victim = broken / "train" / "red" / "000.png"
    victim.write_bytes(victim.read_bytes()[:60])
    recipe = small_recipe(epochs=1)
    with pytest.raises(UnreadableImagesError, match=r"000\.png"):
        train(broken, MODEL, recipe=recipe, out=tmp_path / "runs")
    record = train(broken, MODEL, recipe=recipe, out=tmp_path / "runs", skip_unreadable=True)
    assert record.dataset.counts["train"] == 35
    assert any("unreadable" in note for note in record.notes)


def test_a_folder_that_is_no_run_is_named(tmp_path, pictures) -> None:
    image = next(sample.image for sample in open_dataset(pictures).samples)
    assert isinstance(image, ImageFile)
    with pytest.raises(RunError, match=r"is not a run: it has no record\.json"):
        predict(tmp_path, [image.path])
    with pytest.raises(RunError, match="is not a run"):
        evaluate(tmp_path / "nowhere", pictures)
