"""Runs and artifacts of versions that prepared images, or drew a classifier, in another way are read, and
continued, as they were made."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from foray.models import SmallImage
from foray.recipes import preset
from foray.records import ArtifactPreprocessing, RunFolder, RunRecord, WeightsInfo
from foray.runs.identity import as_begun
from foray.specs import Preprocessing, get_spec
from foray.training.plan import RunPlan
from foray.weights import find_weights

KEPT = Path(__file__).parents[1] / "fixtures" / "written_by_86f8878" / "train"


def plan(preprocessing: Preprocessing, small_image: SmallImage = "none") -> RunPlan:
    return RunPlan(
        requested="tf_efficientnet_b0", spec=get_spec("tf_efficientnet_b0"), weights=None, recipe=preset("finetune"),
        num_classes=3, preprocessing=preprocessing, small_image=small_image, seed=0,
    )  # fmt: skip


def preprocessing_in(run: RunFolder, planned: Preprocessing, small_image: SmallImage = "none") -> Preprocessing:
    return as_begun(run, plan(planned, small_image)).preprocessing


def test_a_run_that_does_not_say_how_it_resized_has_rounded() -> None:
    path = next(KEPT.glob("*/record.json"))
    assert '"resize"' not in path.read_text(encoding="utf-8")
    assert RunRecord.load(path).preprocessing.resize == "rounded"


def test_a_run_keeps_what_it_says(tmp_path: Path) -> None:
    earlier = RunRecord.load(next(KEPT.glob("*/record.json")))
    for resize in ("cut", "squashed"):
        record = earlier.model_copy(update={"preprocessing": Preprocessing(resize=resize)})
        record.save(tmp_path / "record.json")
        assert RunRecord.load(tmp_path / "record.json") == record


def test_an_artifact_that_does_not_say_rounds() -> None:
    stated = {"resolution": 24, "resize_side": 30, "interpolation": "bilinear", "mean": (0.5,) * 3, "std": (0.5,) * 3}
    assert ArtifactPreprocessing.model_validate(stated).resize == "rounded"


def test_keys_of_runs_are_those_of_earlier_versions_unless_images_are_squashed() -> None:
    usual = Preprocessing(resolution=160)
    assert usual.identity == {name: value for name, value in asdict(usual).items() if name != "resize"}
    squashed = Preprocessing(resolution=160, resize="squashed")
    assert squashed.identity == usual.identity | {"resize": "squashed"}


def test_a_run_begun_by_an_earlier_version_goes_on_rounding(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert preprocessing_in(run, Preprocessing()) == Preprocessing()
    earlier = RunRecord.load(next(KEPT.glob("*/record.json")))
    earlier.save(run.record)
    rounded = earlier.preprocessing
    planned = replace(rounded, resize="cut")
    assert preprocessing_in(run, planned) == rounded
    assert str(planned) == str(rounded)  # of which the identity in a checkpoint is made
    for other in (replace(rounded, resize="squashed"), replace(planned, resolution=planned.resolution + 32)):
        assert preprocessing_in(run, other) == other


def test_a_run_begun_by_an_earlier_version_goes_on_cropping_enlarged_images(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    cropped = Preprocessing(resolution=96, crop_pct=0.875)
    record = RunRecord.load(next(KEPT.glob("*/record.json")))
    record.model_copy(update={"preprocessing": cropped}).save(run.record)
    whole = replace(cropped, crop_pct=1.0)
    assert preprocessing_in(run, whole, "upsampled") == cropped
    assert preprocessing_in(run, whole) == whole  # photographs, whose weights state another crop now
    other = replace(whole, resolution=128)
    assert preprocessing_in(run, other, "upsampled") == other


@pytest.mark.parametrize("head", ["absent", "replaced", "kept", None])
@pytest.mark.parametrize(
    ("name", "classes", "recorded", "expected"),
    [
        ("tf_efficientnet_b0", 3, None, True),
        ("tf_efficientnet_b0", 3, True, True),  # and again, once it has gone on
        ("tf_efficientnet_b0", 3, False, False),
        ("tf_efficientnet_b0", 1000, None, False),  # where both forms are one
        ("tf_mobilenet_v2", 3, None, False),  # whose rule has one form
    ],
)
def test_a_run_begun_by_an_earlier_version_keeps_its_classifier(
    tmp_path, name, classes, recorded, expected, head
) -> None:
    run, usual = RunFolder(tmp_path), plan(Preprocessing())
    assert not as_begun(run, usual).large_classifier
    record = RunRecord.load(next(KEPT.glob("*/record.json")))
    about = {"name": name, "num_classes": classes, "large_classifier": recorded}
    weights = WeightsInfo(source="s", variant=name, sha256="0" * 64, head=head) if head else None
    changes = {
        "weights": weights,
        "architecture": record.architecture.model_copy(update=about),
        "dataset": record.dataset.model_copy(update={"classes": [f"class {i}" for i in range(classes)]}),
    }
    record.model_copy(update=changes).save(run.record)
    assert as_begun(run, usual).large_classifier == (expected and head != "kept")


def test_runs_of_both_forms_of_the_classifier_have_different_keys(small_weights: Path) -> None:
    small = plan(Preprocessing())
    assert small.key != replace(small, large_classifier=True).key
    weights = find_weights(small_weights, "mobilenet_v1_x0.25")
    own = replace(small, weights=weights, num_classes=weights.num_classes)
    assert own.key == replace(own, large_classifier=True).key  # the file's classifier is kept
    other = replace(own, num_classes=weights.num_classes + 1)
    assert other.key != replace(other, large_classifier=True).key
    many = replace(small, num_classes=1000)
    assert many.key == replace(many, large_classifier=True).key  # no effect on the network
