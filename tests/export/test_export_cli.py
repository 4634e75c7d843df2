"""A run becomes artifacts: written once, certified, described; and every way in which that is refused."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foray.api import export_run
from foray.deploy import open_artifact
from foray.errors import DataError, DiskFullError, ForayError, RunError, UnknownNameError
from foray.export.artifact_folder import replaced_folder
from foray.export.card import render_card
from foray.export.export import Exported
from foray.export.graph import deployable
from foray.export.runtimes import RUNTIMES, RuntimeSupport, plan_exports, write_float
from foray.export.source import source_of_run
from foray.export.speed import Stopwatch
from foray.progress import SilentProgress
from foray.records import ArtifactRecord, RunRecord, hardware
from foray.requests import ImageSource
from tests.asking import export_weights
from tests.warm_start import run_command

COLOURS = {"red": (200, 60, 60), "green": (60, 190, 70), "blue": (50, 70, 210)}
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed (extra: openvino)"
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "squares"
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(np.array(colour) + random.normal(0, 25, (30 + i, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02}.png")
    return folder


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a small network."""
    from foray import train

    out = tmp_path_factory.mktemp("runs")
    train(str(pictures), "mobilenet_v1_x0.25", "scratch", epochs=2, resolution=32, out=out, workers=1)
    return next(path.parent for path in out.glob("*/record.json"))


@pytest.fixture(scope="module")
def exported(run: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    pytest.importorskip("openvino", reason="openvino is not installed (extra: openvino)")
    out = tmp_path_factory.mktemp("artifacts")
    (one,) = export_run(run, ["openvino"], ["fp32"], out, data=pictures, workers=1, tolerance=0.2, threads=1)
    return one


@needs_openvino
def test_an_export_without_images_says_where_those_of_the_run_are_or_were(
    pictures: Path, run: Path, tmp_path: Path
) -> None:
    said = Notes()
    export_run(run, ["openvino"], ["fp32"], tmp_path / "one", progress=said)
    assert f"without a certificate, because no images were given (`data`). Those of the run are in {pictures}." in said
    moved = shutil.copytree(run, tmp_path / "run")
    record = RunRecord.load(moved / "record.json")
    inputs = record.inputs.model_copy(update={"data": str(tmp_path / "gone")})
    record.model_copy(update={"inputs": inputs}).save(moved / "record.json")
    export_run(moved, ["openvino"], ["fp32"], tmp_path / "two", progress=said)
    assert f"were in {tmp_path / 'gone'}, which is not there any more: name where they are now." in said


class Notes(SilentProgress):
    """Progress that keeps what it is told; `in`: whether a note ends so."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def __contains__(self, end: str) -> bool:
        return any(note.endswith(end) for note in self.notes)


def test_the_folder_is_complete_and_certified(run: Path, exported: Exported) -> None:
    names = {path.name for path in exported.folder.iterdir()}
    assert {"model.xml", "model.bin", "artifact.json", "labels.txt", "README.md", "predict.py"} <= names
    artifact = open_artifact(exported.folder)
    assert artifact.labels == sorted(COLOURS)
    record = ArtifactRecord.load(exported.folder / "artifact.json")
    assert record == exported.record
    trained = RunRecord.load(run / "record.json")
    assert record.run.id == trained.run_id
    assert record.run.top1 == trained.metrics["test"].top1
    assert record.input.height is None
    assert record.certificate is not None
    assert record.certificate.failures == []
    assert record.certificate.label_agreement.value == 1.0
    assert record.certificate.n == trained.dataset.counts["test"]
    assert str(record.certificate.verdict) in (exported.folder / "README.md").read_text(encoding="utf-8")


def renamed(pictures: Path, folder: Path) -> Path:
    for i, path in enumerate(sorted(pictures.rglob("*.png"), reverse=True)):
        target = folder / path.parent.name / f"{i}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return folder


def test_what_was_trained_on_is_left_out_of_the_certificate_by_any_name(
    run: Path, pictures: Path, exported: Exported, tmp_path: Path
) -> None:
    trained = RunRecord.load(run / "record.json")
    (one,) = export_run(
        run, ["openvino"], ["fp32"], tmp_path / "out", data=renamed(pictures, tmp_path / "new"), workers=1,
        tolerance=0.2, threads=1,
    )  # fmt: skip
    certificate = one.record.certificate
    assert certificate is not None
    assert exported.record.certificate is not None
    assert certificate.n == trained.dataset.counts["test"]
    assert certificate.left_out is not None
    assert certificate.left_out == exported.record.certificate.left_out
    assert certificate.left_out.trained_on == trained.dataset.counts["train"]
    assert certificate.left_out.selected_on == trained.dataset.counts["val"]
    assert certificate.reference.endswith("on its test split")  # known by content, not by name
    assert certificate.top1 == exported.record.certificate.top1
    said = f"Left out of the score: {certificate.left_out.trained_on} trained on"
    assert said in (one.folder / "README.md").read_text(encoding="utf-8")
    stored = json.loads((one.folder / "artifact.json").read_text(encoding="utf-8"))
    assert stored["certificate"]["left_out"]["trained_on"] == trained.dataset.counts["train"]


def test_some_of_the_classes_certify(run: Path, tmp_path: Path) -> None:
    for i in range(4):
        pixels = np.random.default_rng(100 + i).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        (tmp_path / "new" / "red").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "new" / "red" / f"{i}.png")
    (one,) = export_run(run, ["openvino"], ["fp32"], tmp_path / "out", data=tmp_path / "new", workers=1, threads=1)
    assert one.record.certificate is not None
    assert [(row.name, row.n) for row in one.record.certificate.per_class] == [("blue", 0), ("green", 0), ("red", 4)]
    assert "The loss is not known for 2 classes without images" in " ".join(one.record.certificate.warnings)


def test_what_int8_is_calibrated_on_does_not_certify_it(run: Path, tmp_path: Path) -> None:
    """--calibration and --data overlap: 8 of 20 images."""
    pytest.importorskip("nncf", reason="nncf is not installed (extra: openvino)")
    for name, colour in COLOURS.items():
        for i in range(20):
            pixels = np.random.default_rng((7, *colour, i)).normal(colour, 25, (40, 40, 3)).clip(0, 255)
            for folder in ["tested"] * (i < 12) + ["calibration"] * (i >= 4):
                target = tmp_path / folder / name / f"{i}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(target)
    float32, int8 = export_run(
        run, ["openvino"], ["fp32", "int8"], tmp_path / "out", tolerance=0.6, threads=1,
        data=tmp_path / "tested", calibration=tmp_path / "calibration", workers=1,
    )  # fmt: skip
    assert float32.record.certificate is not None
    assert int8.record.certificate is not None
    assert (float32.record.certificate.n, int8.record.certificate.n) == (36, 12)
    assert int8.record.certificate.left_out is not None
    assert int8.record.certificate.left_out.calibrated_on == 24
    calibration = int8.record.calibration
    assert calibration.settings == f"{calibration.n} calibration images, full ranges"
    assert f"Calibrated on {calibration.n} images of calibration (seed 0): full ranges." in render_card(int8.record)
    with pytest.raises(DataError, match=r"All images of calibration .* are used to calibrate it\. Give other"):
        export_run(
            run, ["openvino"], ["int8"], tmp_path / "out", tolerance=0.6, threads=1,
            data=tmp_path / "calibration", calibration=tmp_path / "calibration", workers=1,
        )  # fmt: skip


def test_what_is_there_is_kept_until_it_is_damaged_or_forced(run: Path, exported: Exported) -> None:
    out = exported.folder.parent
    model = exported.folder / "model.bin"

    def again(**options: bool) -> Exported:
        (one,) = export_run(run, ["openvino"], ["fp32"], out, **options)
        return one

    assert not again().written
    model.write_bytes(model.read_bytes()[:-1])
    assert again().written
    assert not again().written
    assert again(force=True).written
    assert [path.name for path in out.iterdir() if path.name != ".lock"] == [exported.folder.name]


@pytest.mark.parametrize(
    ("runtimes", "precisions", "error", "message"),
    [
        (["onxn"], ["fp32"], UnknownNameError, "Unknown runtime 'onxn'. Did you mean onnx"),
        (["onnx"], ["fp23"], UnknownNameError, "Unknown precision 'fp23'. Did you mean fp32"),
        (
            ["openvino", "litert"],
            ["bf16"],
            ForayError,
            "litert has no bf16; it has fp32, fp16, int8. bf16 is written for openvino only.",
        ),
        ([], ["fp32"], ForayError, "Name at least one runtime"),
        (["onnx"], [], ForayError, "Name at least one precision"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    run: Path, tmp_path: Path, runtimes: list[str], precisions: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        export_run(run, runtimes, precisions, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_combinations_come_once_and_in_order() -> None:
    pytest.importorskip("openvino", reason="openvino is not installed (extra: openvino)")
    plan = plan_exports(["openvino", "openvino"], ["bf16", "fp32", "bf16"])
    assert [(support.name, precision) for support, precision in plan] == [("openvino", "bf16"), ("openvino", "fp32")]


def test_a_missing_package_is_named_with_its_extra() -> None:
    support = RuntimeSupport("litert", "model.tflite", {"no_such_module": "no-such-package"}, ("fp32",), resizes=False)
    with pytest.raises(
        ForayError,
        match=r"needs no-such-package, not installed here\. Run in the checkout of foray: "
        r"pip install -c constraints\.txt -e '\.\[litert\]'",
    ):
        support.require_installed()
    assert {support.entry for support in RUNTIMES.values()} == {"model.onnx", "model.xml", "model.tflite", "model.pte"}


@needs_openvino
def test_int8_without_images_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="int8 is calibrated on train images: name them with `data`"):
        export_run(run, ["openvino"], ["fp32", "int8"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@needs_openvino
def test_int8_without_train_images_is_refused(shared_data: Path, tmp_path: Path) -> None:
    images = ImageSource("imagenet", data_dir=shared_data / "data" / "imagenet_val_500")
    weights = shared_data / "weights" / "mobilenetv2_050.tf_qat_in1k"
    with pytest.raises(DataError, match=r"imagenet has none\. Name others with `calibration`"):
        export_weights("mobilenet_v2_x0.5", weights, ["openvino"], ["int8"], tmp_path / "out", images=images)
    assert not (tmp_path / "out").exists()


def test_int8_is_calibrated_on_train_and_measured_on_val(run: Path, pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="nncf is not installed (extra: openvino)")
    (one,) = export_run(run, ["openvino"], ["int8"], tmp_path, data=pictures, workers=1, tolerance=0.6, threads=1)
    trained = RunRecord.load(run / "record.json")
    assert one.record.calibration is not None
    assert one.record.calibration.n == trained.dataset.counts["train"]
    assert one.record.calibration.fingerprint == trained.dataset.fingerprint
    assert f"n = {trained.dataset.counts['val']} validation images" in one.record.remedies[0]
    assert one.record.certificate is not None
    assert one.record.remedies[0] in (one.folder / "README.md").read_text(encoding="utf-8")
    assert one.record.speed is not None
    assert one.record.speed.low <= one.record.speed.ratio <= one.record.speed.high
    assert one.record.speed.threads == 1
    assert one.record.speed.hardware == hardware()
    assert one.record.speed.sentence.split(" bursts;")[0] in (one.folder / "README.md").read_text(encoding="utf-8")
    (again,) = export_run(run, ["openvino"], ["int8"], tmp_path, data=pictures, workers=1, tolerance=0.6, threads=1)
    assert not again.written
    assert again.record == one.record


@needs_openvino
def test_a_time_that_cannot_be_measured_is_none_and_costs_no_file(run: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    progress = SilentProgress()
    progress.note = notes.append  # type: ignore[method-assign]
    source, support = source_of_run(run), RUNTIMES["openvino"]
    entry = write_float(support, "fp32", deployable(source.network, source.preprocessing), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert Stopwatch(source, support, tmp_path / "gone", 1, progress).time(entry) is None
    assert "The time of int8 could not be measured: " in notes[-1]
    assert "gone is not a complete artifact" in notes[-1]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@needs_openvino
def test_a_run_that_is_none_or_not_done_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        export_run(tmp_path, ["openvino"], ["fp32"], tmp_path / "out")
    record = RunRecord.load(run / "record.json")
    record.model_copy(update={"status": "running"}).save(tmp_path / "record.json")
    with pytest.raises(RunError, match="is not done: running"):
        export_run(tmp_path, ["openvino"], ["fp32"], tmp_path / "out")


@needs_openvino
def test_images_of_other_classes_are_refused(run: Path, tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (20, 20), (i, 2 * i, len(name))).save(tmp_path / "pets" / name / f"{i}.png")
    with pytest.raises(ForayError, match="The classes of pets are not those"):
        export_run(run, ["openvino"], ["fp32"], tmp_path / "out", data=tmp_path / "pets")
    assert not (tmp_path / "out").exists()


@needs_openvino
def test_a_file_in_the_place_of_the_folder_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(RunError, match=r"Cannot write in .*out: it is a file, not a folder"):
        export_run(run, ["openvino"], ["fp32"], tmp_path / "out")


@needs_openvino
def test_weights_without_a_classifier_are_refused(shared_data: Path, tmp_path: Path) -> None:
    weights = shared_data / "weights" / "tf_efficientnet_b0.backbone_in1k"
    with pytest.raises(ForayError, match="have no classifier"):
        export_weights("efficientnet_b0", weights, ["openvino"], ["fp32"], tmp_path / "out")


def fill_the_disk(folder: Path) -> None:
    with replaced_folder(folder) as unfinished:
        (unfinished / "model.onnx").write_bytes(b"half of")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "onnx-fp32"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"the earlier one")
    with pytest.raises(DiskFullError, match="The disk is full while writing"):
        fill_the_disk(folder)
    assert (folder / "model.onnx").read_bytes() == b"the earlier one"
    assert list(tmp_path.iterdir()) == [folder]
    with replaced_folder(folder) as unfinished:
        (unfinished / "model.onnx").write_bytes(b"the new one")
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]
    assert (folder / "model.onnx").read_bytes() == b"the new one"
    assert list(tmp_path.iterdir()) == [folder]


def foray(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_command(arguments, os.environ)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name the folder of a run, or published weights: --model NAME --weights DIR."),
        (("--model", "mobilenet_v2"), "Name the folder of a run, or published weights"),
        (("somewhere", "--tolerance", "1%"), "--tolerance: '1%' is ambiguous"),
    ],
)
def test_the_command_refuses_with_one_message(arguments: tuple[str, ...], message: str) -> None:
    done = foray("export", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_command_exports_as_json(exported: Exported, run: Path, pictures: Path) -> None:
    """What is there is kept, so that this is about the command alone."""
    done = foray(
        "export", run, "--to", "openvino", "--data", pictures, "--out", exported.folder.parent, "--tolerance", "20pt",
        "--threads", 1, "--workers", 1, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)
    assert one["folder"] == str(exported.folder)
    assert one["artifact"]["certificate"]["verdict"] in ("pass", "inconclusive")
    assert "Kept" in done.stderr
