"""The reader that is copied beside artifacts: what it runs on, what it needs, and what it says about what is wrong."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features

from foray.data.network_input import prepare as prepare_for_training
from foray.deploy import (
    ArtifactError,
    Session,
    classify,
    open_artifact,
    open_session,
    predict_images,
    prepare,
    read_image,
)
from foray.deploy.predict import FORMATS
from foray.export import litert
from foray.export.graph import deployable
from foray.export.reader_probes import is_own_reader, reader_faults
from foray.models import build_model
from foray.specs import Preprocessing, get_spec
from made_artifacts import Trained, describe, pictures, settle, sha256, write_onnx
from tests.ghostscript import install

RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino", "litert": "ai_edge_litert"}
# Refuses modules as if they were not installed.
WITHOUT = """
import sys, importlib.abc
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition('.')[0] in {absent!r}: raise ModuleNotFoundError('No module named ' + repr(name), name=name)
sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    network = build_model(get_spec("mobilenet_v1_x0.25"), num_classes=12, seed=0)
    settle(network, torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        network.classifier.weight.normal_(0, 1, generator=torch.Generator().manual_seed(1))
    dataset = pictures(tmp_path_factory.mktemp("pictures"), None, train=1, test=1)
    return Trained(network, Preprocessing(32), dataset)


@pytest.fixture(scope="session")
def onnx_artifact(untrained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("onnx-fp32")
    write_onnx(untrained, folder)
    return describe(folder, untrained)


@pytest.fixture(scope="session")
def artifacts(
    untrained: Trained, onnx_artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The same network as an artifact for a runtime."""
    made = {"onnx": onnx_artifact}

    def make(runtime: str) -> Path:
        if runtime in made:
            return made[runtime]
        folder = tmp_path_factory.mktemp(f"{runtime}-fp32")
        if runtime == "openvino":
            openvino = importorskip("openvino")
            openvino.save_model(openvino.convert_model(onnx_artifact / "model.onnx"), folder / "model.xml", False)
        else:
            importorskip("litert_torch")
            litert.write(deployable(untrained.network, untrained.preprocessing), folder)
        made[runtime] = describe(folder, untrained, runtime=runtime)
        return made[runtime]

    return make


def importorskip(name: str) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} is not installed (extra: export)")


@pytest.fixture(scope="session")
def photographs(untrained: Trained) -> list[Path]:
    return [sample.image.path for sample in untrained.dataset.samples][:6]


def expected(untrained: Trained, paths: list[Path]) -> np.ndarray:
    """Probabilities as PyTorch gives them."""
    shown = untrained.preprocessing
    images = np.stack([prepare_for_training(Image.open(path).convert("RGB"), shown) for path in paths])
    with torch.inference_mode():
        return deployable(untrained.network, shown)(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_gives_the_networks_probabilities(
    runtime: str, artifacts: Callable[[str], Path], untrained: Trained, photographs: list[Path]
) -> None:
    importorskip(RUNTIMES[runtime])
    artifact = open_artifact(artifacts(runtime))
    assert tuple(artifact.labels) == untrained.dataset.classes
    session = open_session(artifact, threads=1)
    probabilities = classify(artifact, session, photographs)
    assert probabilities.dtype == np.float32
    right = expected(untrained, photographs)
    assert np.ptp(right, axis=0).max() > 0.01, "the images would not be told apart"
    np.testing.assert_allclose(probabilities, right, atol=1e-4)
    np.testing.assert_allclose(classify(artifact, session, [photographs[0].read_bytes()])[0], right[0], atol=1e-4)
    assert classify(artifact, session, []).shape == (0, 12)
    best = list(predict_images(artifact, session, photographs, top=3))
    assert [row.label for row in best] == [artifact.labels[i] for i in right.argmax(axis=1)]
    assert all(len(row.top) == 3 and row.top[0] == (row.label, row.probability) for row in best)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_predict_py_and_foray_predict_need_no_torch(
    runtime: str, artifacts: Callable[[str], Path], untrained: Trained, photographs: list[Path]
) -> None:
    importorskip(RUNTIMES[runtime])
    folder = artifacts(runtime)
    alone = run_without(["torch", "foray", "scipy", "pydantic"], folder / "predict.py", *photographs, "--json")
    by_foray = run_without(["torch"], "foray", "predict", folder, *photographs, "--json")
    right = expected(untrained, photographs)
    for done in (alone, by_foray):
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout)
        assert [row["path"] for row in rows] == [str(path) for path in photographs]
        assert [row["label"] for row in rows] == [untrained.dataset.classes[i] for i in right.argmax(axis=1)]
        np.testing.assert_allclose([row["probability"] for row in rows], right.max(axis=1), atol=1e-4)


def run_without(absent: list[str], script: Path | str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs predict.py, or `foray`, in a process that has some packages not installed."""
    start = (
        "from foray.cli.main import main; main()"
        if script == "foray"
        else f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    code = f"{WITHOUT.format(absent=set(absent))}\nsys.argv = {[str(script), *map(str, arguments)]!r}\n{start}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_a_batch_is_as_its_images_one_by_one(onnx_artifact: Path, untrained: Trained, photographs: list[Path]) -> None:
    session = open_session(open_artifact(onnx_artifact), threads=1)
    images = np.stack([prepare_for_training(Image.open(path), untrained.preprocessing) for path in photographs])
    np.testing.assert_allclose(session.run(images), expected(untrained, photographs), atol=1e-4)
    sizes = []
    session = Session(lambda batch: sizes.append(len(batch)) or np.zeros((len(batch), 3), np.float32), 2)
    assert session.run(np.zeros((5, 4, 4, 3), np.uint8)).shape == (5, 3)
    assert sizes == [2, 2, 1]


def test_what_is_wrong_is_one_message_and_status_2(
    onnx_artifact: Path, photographs: list[Path], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(photographs[0].read_bytes()[:1000])
    done = run_without(["torch", "foray"], onnx_artifact / "predict.py", photographs[0], damaged)
    assert done.returncode == 2
    assert photographs[0].name in done.stdout  # what came before is said
    assert done.stderr.startswith(f"predict.py: Cannot read the image {damaged}: ")
    assert done.stderr.count("\n") == 1
    done = run_without(["onnxruntime"], onnx_artifact / "predict.py", photographs[0])
    assert done.returncode == 2
    assert "pip install onnxruntime" in done.stderr
    assert done.stderr.count("\n") == 1
    done = run_without(["torch"], "foray", "predict", onnx_artifact, damaged)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"foray: Cannot read the image {damaged}" in done.stderr


@pytest.fixture
def copied(onnx_artifact: Path, tmp_path: Path) -> Path:
    return shutil.copytree(onnx_artifact, tmp_path / "artifact")


def redescribe(folder: Path, **changes: object) -> None:
    path = folder / "artifact.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_that_is_not_as_it_was_written_is_refused(copied: Path) -> None:
    model = copied / "model.onnx"
    whole = model.read_bytes()
    for content in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        model.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"model\.onnx is damaged or was changed"):
            open_artifact(copied)
    model.unlink()
    with pytest.raises(ArtifactError, match=r"model\.onnx: No such file"):
        open_artifact(copied)
    model.write_bytes(whole)
    open_artifact(copied)
    redescribe(copied, num_classes=11)
    with pytest.raises(ArtifactError, match="12 names for 11 classes"):
        open_artifact(copied)


def test_a_newer_artifact_and_what_is_none_are_told_apart(copied: Path, tmp_path: Path) -> None:
    redescribe(copied, schema_version=2, files=None)
    with pytest.raises(ArtifactError, match="is of version 2, written by a newer foray"):
        open_artifact(copied)
    redescribe(copied, schema_version=1, kind="something")
    with pytest.raises(ArtifactError, match="damaged"):
        open_artifact(copied)
    for content in ("{", "[]", '{"schema_version": 1}', '{"schema_version": "1"}', "null", "\0"):
        (copied / "artifact.json").write_text(content)
        with pytest.raises(ArtifactError, match=r"artifact\.json is damaged"):
            open_artifact(copied)
    with pytest.raises(ArtifactError, match="is not a complete artifact"):
        open_artifact(tmp_path / "nowhere")


def test_a_model_that_the_runtime_cannot_load_is_one_message(copied: Path) -> None:
    (copied / "model.onnx").write_bytes(b"not a model")
    file = {"sha256": sha256(copied / "model.onnx"), "bytes": 11}
    redescribe(copied, files=json.loads((copied / "artifact.json").read_text())["files"] | {"model.onnx": file})
    with pytest.raises(ArtifactError, match=r"model\.onnx cannot be loaded by onnxruntime: "):
        open_session(open_artifact(copied))


def test_an_artifact_that_failed_says_so(copied: Path, photographs: list[Path]) -> None:
    redescribe(copied, certificate={"verdict": "fail", "failures": ["It loses at least 40 points."]})
    done = run_without(["torch"], copied / "predict.py", photographs[0], "--top", 1)
    assert done.returncode == 0
    assert "failed certification: It loses at least 40 points." in done.stderr
    assert done.stdout.count("%") == 1


def test_the_reader_reads_what_its_probes_hold_and_training_reads_with_it() -> None:
    assert reader_faults() == []
    images = importlib.import_module("foray.data.images")
    random = np.random.default_rng(0)
    for height, width in ((40, 60), (61, 37), (32, 32), (1, 90)):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        shown = Preprocessing(24, 0.8, "bilinear")
        described = {"resolution": 24, "resize_side": shown.resize_side, "interpolation": "bilinear", "resize": "cut"}
        np.testing.assert_array_equal(prepare(pixels, described), prepare_for_training(Image.fromarray(pixels), shown))
        del described["resize"]  # as in artifacts of earlier versions, which rounded
        rounded = prepare_for_training(Image.fromarray(pixels), replace(shown, resize="rounded"))
        np.testing.assert_array_equal(prepare(pixels, described), rounded)
    assert images.decode is importlib.import_module("foray.deploy.predict").decode


def test_the_copied_reader_is_told_from_another(copied: Path) -> None:
    assert is_own_reader(copied)
    (copied / "predict.py").write_text("print('cat')")
    assert not is_own_reader(copied)
    (copied / "predict.py").unlink()
    assert not is_own_reader(copied)


def test_pixels_of_a_read_image_are_upright_rgb(tmp_path: Path) -> None:
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).save(path, exif=exif)
    assert read_image(path)[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]  # turned clockwise


def test_a_picture_in_postscript_starts_no_program_on_the_device(onnx_artifact: Path, tmp_path: Path) -> None:
    importorskip("onnxruntime")
    ghostscript = install(tmp_path)
    done = subprocess.run(
        [sys.executable, onnx_artifact / "predict.py", ghostscript.picture],
        env={**os.environ, "PATH": ghostscript.path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not ghostscript.ran
    assert done.returncode == 2
    assert "x.jpg: it is not an image in a supported format (JPEG, PNG," in done.stderr


@pytest.mark.parametrize("format_", FORMATS)
def test_every_raster_format_is_read(format_: str, tmp_path: Path) -> None:
    if not features.check({"AVIF": "avif", "WEBP": "webp", "JPEG2000": "jpg_2000"}.get(format_, "pil")):
        pytest.skip(f"this Pillow has no {format_}")
    path = tmp_path / "file"
    Image.new("RGB", (16, 16), (200, 60, 60)).save(path, format_)
    assert np.abs(read_image(path)[8, 8].astype(int) - (200, 60, 60)).max() <= 6


def test_a_folder_or_a_pattern_stands_for_its_images_and_one_bad_file_loses_nothing(
    onnx_artifact: Path, photographs: list[Path], tmp_path: Path
) -> None:
    new = tmp_path / "new"
    (new / "deep" / "@eaDir").mkdir(parents=True)
    for place, photo in zip(("a.jpg", "deep/b.JPG", "deep/@eaDir/b.jpg"), photographs, strict=False):
        shutil.copy(photo, new / place)
    (new / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (new / "dead.png").symlink_to("nowhere.png")
    (new / "notes.txt").write_text("no image")
    for command in (["foray", "predict", onnx_artifact], [onnx_artifact / "predict.py"]):
        done = run_without(["torch"], *command, "--json", new)
        assert done.returncode == 2, done.stderr
        seen = {Path(row["path"]).relative_to(new).as_posix(): row for row in json.loads(done.stdout)}
        assert list(seen) == ["a.jpg", "broken.jpg", "dead.png", "deep/b.JPG"]
        assert seen["dead.png"]["error"] == "there is no such file"
        assert seen["broken.jpg"]["error"]
        assert seen["broken.jpg"]["label"] == ""
        assert all(seen[name]["label"] and not seen[name]["error"] for name in ("a.jpg", "deep/b.JPG"))
        done = run_without(["torch"], *command, "--json", new / "a*.jp*")
        assert [Path(row["path"]).name for row in json.loads(done.stdout)] == ["a.jpg"]
        assert done.returncode == 0
        done = run_without(["torch"], *command, "--json", new / "*.gif", new / "a.jpg")  # the good one is not lost
        assert [bool(row["error"]) for row in json.loads(done.stdout)] == [False, True]
        assert done.returncode == 2
        done = run_without(["torch"], *command, new / "*.gif")
        assert done.returncode == 2
        assert "*.gif gives no image" in done.stderr


def test_the_most_pixels_of_an_image_can_be_raised(onnx_artifact: Path, tmp_path: Path, monkeypatch) -> None:
    large = tmp_path / "large.png"
    Image.new("1", (15_000, 13_000)).save(large)
    done = run_without(["torch"], onnx_artifact / "predict.py", large)
    assert done.returncode == 2
    assert "more than 178,956,970 pixels; if it is genuine, set FORAY_MAX_IMAGE_PIXELS" in done.stderr
    monkeypatch.setenv("FORAY_MAX_IMAGE_PIXELS", "200000000")
    assert run_without(["torch"], onnx_artifact / "predict.py", large).returncode == 0
    assert run_without(["torch"], "foray", "predict", onnx_artifact, large).returncode == 0
    monkeypatch.setenv("FORAY_MAX_IMAGE_PIXELS", "many")
    for command in (["foray", "predict", onnx_artifact], [onnx_artifact / "predict.py"]):
        done = run_without(["torch"], *command, large)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "FORAY_MAX_IMAGE_PIXELS is 'many'" in done.stderr
