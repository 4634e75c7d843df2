"""An exported file certified on images without labels, and by labels of the few on which it differs from float32."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import foray
from foray.errors import DataError, ForayError, RunError
from foray.records import ArtifactRecord, Certificate, FlipPlan, RunRecord
from foray.settling.shipped_file import certify_on_images
from foray.statistics import flips_bound, paired_loss
from tests.cli.conftest import run_cli
from tests.damage import flip_a_bit

from .conftest import Visit
from .shipped import CLASSES, Files, add_bias, log_probabilities, paint_classes, paint_new, sign, write_labels

pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra: onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")

NAMES = sorted(CLASSES)
IMAGES = 700


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("shipped")
    known, images = paint_classes(folder / "known", 60), paint_new(folder / "new", IMAGES)
    foray.train(
        known, "mobilenet_v1_x0.25", "scratch", epochs=12, changes=["batch_size=8"], resolution=32,
        out=folder / "runs", workers=1,
    )  # fmt: skip
    run = next((folder / "runs").glob("*/record.json")).parent
    [exported] = foray.export_run(run, ["onnx"], ["fp32"], folder / "files", threads=1)
    ids = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    return Files(run, exported.folder, images, ids, log_probabilities(exported.folder, images, ids))


def certify(files: Files, artifact: Path, **options: object) -> Certificate:
    return foray.certify(artifact, **{"run": files.run, "images": files.images, "threads": 1} | options)


def certificate_of(artifact: Path) -> Certificate:
    certificate = ArtifactRecord.load(artifact / "artifact.json").certificate
    assert certificate is not None
    return certificate


def plan_of(artifact: Path) -> FlipPlan:
    return FlipPlan.load(artifact / "settle" / "plan.json")


def labels_for(plan: FlipPlan, kinds: str, path: Path) -> Path:
    """labels.csv for the first images in the stored order: l loss, g gain, n neither, s cannot tell."""
    rows = []
    for kind, one in zip(kinds, plan.asked, strict=False):
        [neither] = {0, 1, 2} - {one.float32, one.file}
        label = {"l": NAMES[one.float32], "g": NAMES[one.file], "n": NAMES[neither], "s": "cannot tell"}[kind]
        rows.append((one.image, label))
    return write_labels(path, rows)


# Without labels


def test_a_file_that_never_differs_passes_without_a_label(files: Files) -> None:
    certificate = certify(files, files.artifact)
    assert certificate.verdict == "pass"
    assert certificate.n == IMAGES
    assert certificate.unlabelled is not None
    assert certificate.unlabelled.flips == 0
    assert certificate.loss_upper == flips_bound(0, IMAGES)
    unknown = (certificate.top1, certificate.reference_top1, certificate.loss_lower)
    assert unknown == (None,) * 3
    assert certificate.loss == 0  # no label changed
    assert certificate.per_class == []
    assert certificate.split == "unlabelled"
    assert certificate.sentence == (
        "pass: 700 images without labels: 0 of 700 labels differ from float32; with 95.0 % confidence the loss is "
        "below 1 point (upper bound 0.43)."
    )
    assert not (files.artifact / "settle").exists()
    assert ArtifactRecord.load(files.artifact / "artifact.json").certificate == certificate
    card = (files.artifact / "README.md").read_text(encoding="utf-8")
    assert "**Certificate: pass**, on images without labels" in card
    assert "Not known without labels of the other images: the accuracy, and the loss per class." in card
    assert "None" not in card


def test_few_differing_labels_pass_without_a_label(files: Files, tmp_path: Path) -> None:
    folder, ids, _ = files.flipped(tmp_path / "file", 2)
    certificate = certify(files, folder)
    assert certificate.verdict == "pass"
    assert certificate.unlabelled is not None
    assert certificate.unlabelled.flips == len(ids) == 2
    assert certificate.sentence == (
        "pass: 700 images without labels: 2 of 700 labels differ from float32; even if every one of them were an "
        "error, the loss would be below 1 point (upper bound 0.90)."
    )
    assert certificate.label_agreement.value == pytest.approx(1 - 2 / IMAGES)
    assert not (folder / "settle").exists()


def test_too_many_ask_for_labels_of_just_these_in_a_stored_random_order(files: Files, tmp_path: Path) -> None:
    folder, ids, index = files.flipped(tmp_path / "file", 12)
    certificate = certify(files, folder)
    assert certificate.verdict == "inconclusive"
    assert certificate.loss_upper == flips_bound(12, IMAGES) > 0.01
    assert (
        "if every one of them were an error, the loss could be above 1 point (upper bound 2.7" in certificate.sentence
    )
    plan = plan_of(folder)
    asked = [one.image for one in plan.asked]
    assert sorted(asked) == ids
    assert asked != ids
    assert {one.file for one in plan.asked} == {index}
    of_float32 = dict(zip(files.ids, files.float32.tolist(), strict=True))
    assert {one.image: one.float32 for one in plan.asked} == {id_: of_float32[id_] for id_ in ids}
    assert len(plan.repeats) == 12  # twenty where there are so many
    rows = (folder / "settle" / "labels.csv").read_text().split()
    assert rows == ["image,label", *(f"{id_}," for id_ in asked)]
    assert (folder / "settle" / "label.html").read_text(encoding="utf-8").count('"/9j/') == 12  # JPEG in base64
    assert certificate.images_needed is None
    again = certify(files, folder)
    assert [one.image for one in plan_of(folder).asked] == asked
    assert again.model_copy(update={"created": certificate.created}) == certificate


def test_images_that_are_too_few_for_any_label_ask_for_none(files: Files, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for id_ in files.ids[:60]:
        shutil.copy(files.images / id_, few / id_.replace("/", "-"))
    nothing = certify(files, shutil.copytree(files.artifact, tmp_path / "same"), images=few)
    assert (nothing.verdict, nothing.images_needed) == ("inconclusive", 299)
    assert "so few images do not show that the loss is below 1 point" in nothing.sentence
    assert nothing.sentence.endswith("299 images would be enough if no label differs.")
    folder = shutil.copytree(files.artifact, tmp_path / "file")
    margins = np.sort(files.logs[:60].max(axis=1) - files.logs[:60, 0])
    positive = margins[margins > 0]
    add_bias(folder, 0, float(positive[:2].mean()))  # one of the sixty
    some = certify(files, folder, images=few)
    assert some.unlabelled is not None
    assert some.unlabelled.flips == 1
    assert some.verdict == "inconclusive"
    assert "These images are too few: no labels of them decide at a tolerance of 1 point." in some.warnings
    assert not (folder / "settle").exists()


def test_what_needs_no_label_still_fails_a_file(files: Files, tmp_path: Path) -> None:
    not_a_number = shutil.copytree(files.artifact, tmp_path / "nan")
    add_bias(not_a_number, 0, float("nan"))
    found = certify(files, not_a_number)
    assert found.verdict == "fail"
    assert "Some of its outputs are not finite numbers." in found.failures
    other, _, _ = files.flipped(tmp_path / "float", 12)
    sign(other, precision="fp32")  # in float32 twelve changed labels are more than near-ties explain
    assert certify(files, other).verdict == "fail"
    doubtful, _, _ = files.flipped(tmp_path / "reader", 2)
    with (doubtful / "predict.py").open("a") as stream:
        stream.write("# changed\n")
    found = certify(files, doubtful)
    assert found.verdict == "inconclusive"
    assert "predict.py" in " ".join(found.doubts)
    assert not (doubtful / "settle").exists()  # labels would not help


# With labels


def test_labels_of_the_flips_are_the_test_of_all_images_labelled(files: Files, tmp_path: Path) -> None:
    """All 700 images labelled, by `paired_loss` at 4 %: a fifth of the 5 % pays for looking after every label."""
    folder, _, _ = files.flipped(tmp_path / "file", 12)
    certify(files, folder)
    plan = plan_of(folder)
    for kinds, verdict in (("llllggggnnnn", "pass"), ("l" * 12, "inconclusive"), ("lllllllggnnn", "inconclusive")):
        found = certify(files, folder, labels=labels_for(plan, kinds, tmp_path / "labels.csv"))
        reference, candidate = np.ones((2, 1, IMAGES), dtype=bool)
        for i, kind in enumerate(kinds):
            reference[0, i], candidate[0, i] = kind == "l", kind == "g"
        whole = paired_loss(reference, candidate, 0.01, confidence=0.96)
        upper = min(whole.upper, flips_bound(12, IMAGES))  # which needs no label
        assert (found.loss, found.loss_lower, found.loss_upper) == (whole.loss, whole.lower, upper)
        assert found.confidence == pytest.approx(0.96 if whole.upper <= upper else 0.95)
        assert found.verdict == verdict == ("pass" if whole.status == "not_worse" else "inconclusive")
        assert found.images_needed == (whole.images_needed if verdict == "inconclusive" else None)
        assert found.top1 is None
        assert ArtifactRecord.load(folder / "artifact.json").certificate == found


def test_a_file_fails_by_labels(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "file", 40)
    assert certify(files, folder).verdict == "inconclusive"
    plan = plan_of(folder)
    found = certify(files, folder, labels=labels_for(plan, "l" * 40, tmp_path / "all.csv"))
    assert found.verdict == "fail"
    assert found.failures[0].startswith("It loses at least ")
    early = certify(files, folder, labels=labels_for(plan, "l" * 25, tmp_path / "some.csv"))
    assert early.verdict == "fail"  # before all have a label
    assert early.unlabelled is not None
    assert early.unlabelled.seen + early.unlabelled.later == 25


def test_loss_and_counts_of_a_certificate_are_of_the_same_labels(files: Files, tmp_path: Path) -> None:
    """A verdict that was reached stays, whatever the next labels say, until all images have one."""
    folder, _, _ = files.flipped(tmp_path / "file", 40)
    certify(files, folder)
    path = tmp_path / "labels.csv"
    found = certify(files, folder, labels=labels_for(plan_of(folder), "l" * 25 + "g" * 14, path))
    assert found.unlabelled is not None
    labels = found.unlabelled
    assert found.verdict == "fail"
    assert labels.decided
    assert (labels.losses, labels.gains, labels.neither) == (labels.seen, 0, 0)
    assert labels.seen + labels.later == 39
    assert labels.seen < 25
    assert found.loss == 40 / IMAGES
    assert (
        f"Decided after {labels.seen} of 40 labels: only float32 is right on {labels.seen}, only the file on 0, "
        f"neither on 0. {labels.later} later ones change nothing until all have one. It loses 5.71 points"
    ) in found.sentence
    whole = certify(files, folder, labels=labels_for(plan_of(folder), "l" * 25 + "g" * 15, path))
    assert whole.unlabelled is not None
    assert (whole.unlabelled.decided, whole.unlabelled.later, whole.unlabelled.gains) == (False, 0, 15)
    assert whole.loss == 10 / IMAGES


def test_labels_that_are_missing_or_could_not_be_told(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "file", 12)
    certify(files, folder)
    plan = plan_of(folder)
    path = labels_for(plan, "llllggggssss", tmp_path / "labels.csv")
    found = certify(files, folder, labels=path)
    assert found.verdict == "inconclusive"  # 4 losses and 4 gains of 8 would pass: those skipped count as losses
    assert found.unlabelled is not None
    assert (found.unlabelled.losses, found.unlabelled.gains, found.unlabelled.skipped) == (4, 4, 4)
    assert "4 could not be told, counted against either verdict" in found.sentence
    rows = path.read_text().splitlines()
    path.write_text("\n".join([*rows[:3], *rows[4:]]) + "\n")  # the third image has no row
    found = certify(files, folder, labels=path)
    assert found.unlabelled is not None
    assert found.unlabelled.seen == 2
    assert "9 labels do not count: an image before them in the stored order has none." in found.unlabelled.remarks
    assert "2 of the 12 are labelled" in found.sentence


def test_images_shown_twice_are_reported(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "file", 12)
    certify(files, folder)
    path = labels_for(plan_of(folder), "llllggggnnnn", tmp_path / "labels.csv")
    rows = path.read_text().splitlines()
    other = f"{rows[2].split(',')[0]},cannot tell"
    path.write_text("\n".join([*rows, rows[1], other, rows[3]]) + "\n")
    found = certify(files, folder, labels=path).unlabelled
    assert found is not None
    assert (found.shown_twice, found.same_again) == (3, 2)
    assert "Of 3 images shown twice, 2 got the same answer again." in found.remarks


# Which images count


def test_images_of_the_run_near_copies_and_bursts_are_left_out_and_counted(files: Files, tmp_path: Path) -> None:
    new = shutil.copytree(files.images, tmp_path / "new")
    record = RunRecord.load(files.run / "record.json")
    known = Path(record.inputs.data if record.inputs else "")
    of_the_run = sorted(known.rglob("*.png"))
    assert len(of_the_run) == 180
    for i, path in enumerate(of_the_run):  # train, val and test, under other names
        shutil.copy(path, new / f"known-{i}.png")
    for i, id_ in enumerate(files.ids[:3]):  # the same three images again, compressed
        Image.open(files.images / id_).save(new / f"zz-burst-{i}.jpg", quality=92)  # later by name
    (new / "broken.png").write_bytes(b"no image")
    found = certify(files, files.artifact, images=new)
    assert found.unlabelled is not None
    left_out = found.unlabelled.left_out
    assert (found.n, left_out.near_copies, left_out.bursts, left_out.unreadable) == (IMAGES, 180, 3, 1)
    said = (
        "Left out: 1 unreadable, 180 that were used already, near-duplicates included, 3 near-duplicates of another "
        "new image."
    )
    assert said in found.unlabelled.remarks
    with pytest.raises(DataError, match=r"No image of .* remains"):
        certify(files, files.artifact, images=known)


def test_what_int8_was_calibrated_on_does_not_certify_it(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "file", 2)
    from foray.data.content import EMPTY_SHA256
    from foray.records import file_sha256

    used = {EMPTY_SHA256, *(file_sha256(files.images / id_) for id_ in files.ids[:30])}
    found = certify_on_images(folder, files.run, files.images, used=used)
    assert found.n == IMAGES - 30
    assert found.left_out is not None
    assert found.left_out.calibrated_on == 30


# Several sets of images, and labels that were given


def tries(certificate: Certificate) -> str:
    return " ".join(one for one in certificate.cautions if one.startswith("This file was tried on"))


def test_every_set_of_images_on_which_a_file_was_tried_counts_once(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "onnx-fp32", 12)
    sign(folder, precision="fp32")  # whose verdict without labels is the same on any images: it fails
    sets = {
        "a": files.images, "b": paint_new(tmp_path / "b", 40, seed=5), "c": paint_new(tmp_path / "c", 40, seed=6),
    }  # fmt: skip

    def on(name: str, **options: object) -> Certificate:
        return certify(files, folder, images=sets[name], **options)

    assert tries(on("a")) == tries(on("a")) == ""
    at = on("a", tolerance=0.02).created[:10]  # the same images
    second = tries(on("b"))
    assert second == (
        f"This file was tried on 2 sets of images. Before this one: fail on 700 unlabelled images of new ({at}). Each "
        "set passes a wrong file with a chance of at most 5 %, the 2 together of at most 10 %."
    )
    assert tries(on("b")) == second
    for _ in range(2):
        said = tries(on("c"))
        assert said.startswith("This file was tried on 3 sets of images. Before this one: fail on 700 unlabelled")
        assert "; inconclusive on 40 unlabelled images of b" in said or "; fail on 40 unlabelled images of b" in said
        assert said.endswith("the 3 together of at most 15 %.")
    known = foray.certify(folder, files.images.parent / "known", run=files.run, threads=1, workers=1)
    assert "tried on 4 sets of images" in tries(known)
    assert "tried on 4 sets of images" in tries(on("a"))
    assert "tried on 4 sets of images" in (folder / "README.md").read_text(encoding="utf-8")
    add_bias(folder, 0, 0.01)
    assert tries(on("a")) == ""  # other bytes are another file


def test_a_file_that_is_written_anew_with_the_same_bytes_keeps_its_tries(files: Files, tmp_path: Path) -> None:
    def export(seed: int) -> tuple[dict[str, str], str]:
        images = paint_new(tmp_path / str(seed), 30, seed=seed)
        [done] = foray.export_run(
            files.run, ["onnx"], ["fp32"], tmp_path / "out", images=images, threads=1, workers=1, force=True
        )
        assert done.record.certificate is not None
        return done.record.digests, tries(done.record.certificate)

    (before, nothing), (after, said) = export(5), export(6)
    assert before == after
    assert nothing == ""
    assert "Before this one: inconclusive on 30 unlabelled images of 5" in said


def test_a_verdict_by_labels_stays_and_keeps_other_images_out(files: Files, tmp_path: Path) -> None:
    """The labels lie elsewhere than in settle/, as after a download."""
    folder, _, _ = files.flipped(tmp_path / "file", 40)
    certify(files, folder)
    path = labels_for(plan_of(folder), "l" * 40, tmp_path / "labels.csv")
    failed = certify(files, folder, labels=path)
    assert failed.verdict == "fail"
    assert certify(files, folder) == failed.model_copy(update={"created": certificate_of(folder).created})
    other = paint_new(tmp_path / "other", 40, seed=5)
    before = (folder / "artifact.json").read_bytes()
    with pytest.raises(RunError, match="were read already, and said fail"):
        certify(files, folder, images=other)
    assert (folder / "artifact.json").read_bytes() == before
    (folder / "settle").rename(tmp_path / "elsewhere")
    assert "Before this one: fail on 700 unlabelled images of new" in tries(certify(files, folder, images=other))
    shutil.rmtree(folder / "settle", ignore_errors=True)
    again = certify(files, folder)
    assert (again.verdict, again.unlabelled) == ("fail", failed.unlabelled)
    assert "of other (" in tries(again)
    few = certify(files, shutil.copytree(folder, tmp_path / "copy"), tolerance=0.5)
    assert few.verdict == "pass"  # another question


def test_labels_that_did_not_decide_are_remembered(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "file", 12)
    certify(files, folder)
    path = labels_for(plan_of(folder), "ll", tmp_path / "labels.csv")
    some = certify(files, folder, labels=path)
    assert some.verdict == "inconclusive"
    shutil.rmtree(folder / "settle")
    again = certify(files, folder)
    assert (again.unlabelled, again.loss) == (some.unlabelled, some.loss)
    assert certify(files, folder, labels=path).unlabelled == some.unlabelled  # what was asked is there again


def test_a_spreadsheet_that_saved_the_empty_file_holds_no_labels(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "onnx-fp32", 12)
    certify(files, folder)
    path = folder / "settle" / "labels.csv"
    path.write_text("\ufeff" + path.read_text().replace(",", ";"), encoding="utf-8", newline="\r\n")
    certify(files, folder, images=paint_new(tmp_path / "other", 40, seed=5))
    certify(files, folder)
    path.write_text(path.read_text().replace(",", ";"))
    foray.export_run(files.run, ["onnx"], ["fp32"], tmp_path, force=True)
    assert not path.exists()


# Bad input


def test_arguments_that_do_not_fit(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "file", 12)
    known = files.images.parent / "known"
    labels = tmp_path / "labels.csv"
    for options, message in (
        ({"labels": labels, "images": None}, "`labels` are of images without labels"),
        ({"data": known}, "either images with labels"),
        ({"images": None}, "either images with labels"),
        ({"run": None}, "Name what"),
        ({"run": None, "weights": "hub"}, "`images` go with `run`"),
        ({"split": "val"}, "`split` is of images with labels"),
        ({"images": tmp_path / "nowhere"}, "does not exist"),
        ({"labels": labels}, "No labels were asked for"),
        ({"tolerance": 2.0}, "tolerance"),
    ):
        with pytest.raises(ForayError, match=message):
            certify(files, folder, **options)


def test_labels_that_do_not_fit(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "file", 12)
    certify(files, folder)
    before = (folder / "artifact.json").read_bytes()
    first = plan_of(folder).asked[0].image
    for rows, message in (
        ([("elsewhere.png", "red")], "line 2: 'elsewhere.png' is none of the new images"),
        ([(first, "purple")], "unknown class 'purple'"),
        ([(first, "red"), (first, "green"), (first, "blue")], "has another label than in line"),
        ([(plan_of(folder).asked[1].image, "red")], "has no label of "),
        ([], "has no label of "),
    ):
        with pytest.raises(DataError, match=message):
            certify(files, folder, labels=write_labels(tmp_path / "labels.csv", rows))
    (tmp_path / "labels.csv").write_text("file,class\n")
    with pytest.raises(DataError, match="lacks the columns image and label"):
        certify(files, folder, labels=tmp_path / "labels.csv")
    good = labels_for(plan_of(folder), "llllggggnnnn", tmp_path / "labels.csv")
    other = paint_new(tmp_path / "other", 320, seed=5)
    for options, message in (
        ({"tolerance": 0.02}, "at a tolerance of 1 point, not 2 points"),
        ({"images": other}, "does not hold the images for which labels were asked"),
    ):
        with pytest.raises(ForayError, match=message):
            certify(files, folder, labels=good, **options)
    assert (folder / "artifact.json").read_bytes() == before
    add_bias(folder, 0, 0.5)
    with pytest.raises(ForayError, match="has changed since labels were asked for"):
        certify(files, folder, labels=good)


def test_a_file_of_another_run_is_refused(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "file", 2)
    origin = ArtifactRecord.load(folder / "artifact.json").run
    sign(folder, run=origin.model_copy(update={"network_sha256": "0" * 64, "id": "another"}))
    with pytest.raises(ForayError, match="was exported from another, and its network is not that of"):
        certify(files, folder)


def test_a_damaged_plan_is_refused(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "file", 12)
    certify(files, folder)
    path = folder / "settle" / "plan.json"
    labels = labels_for(plan_of(folder), "llllggggnnnn", tmp_path / "labels.csv")
    whole = path.read_bytes()
    flip_a_bit(path, len(whole) // 2, bit=0)
    with pytest.raises(RunError, match=r"plan\.json is damaged"):
        certify(files, folder, labels=labels)
    content = json.loads(whole)
    del content["digest"]
    for change in ({"asked": content["asked"][1:]}, {"classes": ["one"]}, {"scored": None}):
        path.write_text(json.dumps(content | change))
        with pytest.raises(RunError, match=r"plan\.json is damaged"):
            certify(files, folder, labels=labels)


def test_labels_are_not_lost(files: Files, tmp_path: Path) -> None:
    """Those that a person wrote into settle/labels.csv, where the command is repeated or is about other images."""
    folder, _, _ = files.flipped(tmp_path / "onnx-fp32", 12)
    certify(files, folder)
    path = labels_for(plan_of(folder), "llllggggnnn", folder / "settle" / "labels.csv")
    filled_in = path.read_bytes()
    assert certify(files, folder).verdict == "inconclusive"
    with pytest.raises(RunError, match=r"labels\.csv holds labels of the images that were asked for on .* elsewhere"):
        certify(files, folder, images=paint_new(tmp_path / "other", 320, seed=5))
    certify(files, folder, tolerance=0.02)
    assert path.read_bytes() == filled_in
    assert certify(files, folder, labels=path, tolerance=0.02).verdict == "pass"
    with pytest.raises(RunError, match="settle holds labels that somebody gave"):
        foray.export_run(files.run, ["onnx"], ["fp32"], tmp_path, force=True)


def test_questions_without_answers_are_replaced(files: Files, tmp_path: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "onnx-fp32", 12)
    certify(files, folder)
    other = paint_new(tmp_path / "other", 320, seed=5)
    images = plan_of(folder).images
    certificate = certify(files, folder, images=other)
    assert certificate.verdict == "inconclusive"
    assert (plan_of(folder).images == images) == (certificate.unlabelled.flips == 0)
    foray.export_run(files.run, ["onnx"], ["fp32"], tmp_path, force=True)
    assert not (folder / "settle").exists()


# Real exports, and the command line


def test_exports_are_certified_on_images_without_labels(files: Files, tmp_path: Path) -> None:
    known = files.images.parent / "known"

    def export() -> list[Certificate]:
        done = foray.export_run(
            files.run, ["onnx"], ["fp32", "int8"], tmp_path / "out", data=known, images=files.images, threads=1,
            workers=1,
        )  # fmt: skip
        return [one.record.certificate for one in done]

    first = export()
    assert [one.split for one in first] == ["unlabelled"] * 2
    assert first[0].verdict == "pass"
    assert first[0].unlabelled.flips == 0
    int8 = tmp_path / "out" / "onnx-int8"
    if first[1].verdict == "inconclusive":  # by how many labels int8 differs is up to the machine
        assert len(plan_of(int8).asked) == first[1].unlabelled.flips
        labelled = certify(files, int8, labels=labels_for(plan_of(int8), "s", tmp_path / "labels.csv"))
        first = [first[0], labelled]
    assert export() == first  # kept, labels included


def test_the_command_line(files: Files, tmp_path: Path, cli_cache: Path) -> None:
    folder, _, _ = files.flipped(tmp_path / "int8", 40)

    def cli(*arguments: object) -> tuple[int, str]:
        done = run_cli("certify", "int8", "--run", files.run, *arguments, cache=cli_cache, cwd=tmp_path)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout or done.stderr

    status, said = cli("--images", files.images, "--threads", 1)
    assert status == 0, said
    assert said.startswith("inconclusive: 700 images without labels: 40 of 700 labels differ from")
    assert "not known: it needs labels of all images" in said
    reach = "Labels of all 40 are sure to pass the file where its loss on these images is at most -0.71 points, and to "
    assert reach + "fail it where that loss is at least 2.71 points." in " ".join(said.split())
    table, _, following = said.partition("40 images that differ have no label yet.")
    assert max(map(len, table.splitlines())) <= 80
    assert "  int8/settle/label.html\n" in following
    labels_for(plan_of(folder), "l" * 40, folder / "settle" / "labels.csv")
    program, *words = shlex.split(following.partition("your file:\n")[2].replace("\\\n", ""))
    assert program == "foray"
    done = run_cli(*words, "--threads", 1, cache=cli_cache, cwd=tmp_path)
    status, said = done.returncode, done.stdout
    assert status == 3, done.stderr
    assert said.startswith("fail: ")
    assert "Do not ship this file." in (folder / "README.md").read_text(encoding="utf-8")
    for arguments, message in (
        (("--labels", "labels.csv"), "--labels are of images without labels: name these as well, with --images."),
        ((files.images, "--images", files.images), "Name either images with labels (DATA) or images without"),
    ):
        status, said = cli(*arguments)
        assert (status, message in said) == (2, True), said


def test_labels_given_on_the_page(files: Files, browser: Any, tmp_path: Path) -> None:
    """In a browser: every image is what float32 says. The page comes to the verdict of the certificate."""
    folder, _, _ = files.flipped(tmp_path / "file", 40)
    certify(files, folder)
    plan = plan_of(folder)
    order = list(range(40))
    for position, index in plan.repeats:
        order.insert(position, index)
    visit = Visit(browser.new_context(), folder / "settle" / "label.html")
    assert "more than 1 point worse than float32" in visit.text("verdict")
    command = "foray certify ARTIFACT --run RUN --images DIR --labels labels.csv"
    assert visit.page.locator("footer code").inner_text() == command
    visit.press(*(str(plan.asked[i].float32 + 1) for i in order[:30]))
    assert visit.text("verdict").startswith("Decided: the file file is more than 1 point worse than float32.")
    path = tmp_path / "labels.csv"
    path.write_text(visit.labels_csv(), encoding="utf-8")
    early = certify(files, folder, labels=path)
    assert early.verdict == "fail"
    visit.press(*(str(plan.asked[i].float32 + 1) for i in order[30:]))
    path.write_text(visit.labels_csv(), encoding="utf-8")
    visit.context.close()
    assert visit.errors == []
    found = certify(files, folder, labels=path)
    assert found.verdict == "fail"
    assert found.unlabelled is not None
    assert (found.unlabelled.losses, found.unlabelled.flips) == (40, 40)
    assert (found.unlabelled.shown_twice, found.unlabelled.same_again) == (20, 20)
    assert found.unlabelled.guesses_shown == 0


@pytest.fixture(scope="module")
def cli_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.caches import new_cache

    return new_cache(tmp_path_factory.mktemp("cli-cache"))
