"""Whatever a file that a user gives holds, foray gives an answer or one error that says what is wrong."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from foray.costs import load_profiles, save_profiles
from foray.data import open_dataset
from foray.data.encoded_images import images_in_tar
from foray.data.named.imagenet_labels import find_labels
from foray.deploy import ArtifactError, bench, open_artifact, open_session, predict_images
from foray.errors import ForayError, QuantityError
from foray.models import build_model
from foray.recipes import changed, preset, read_recipe
from foray.recipes.toml import recipe_toml
from foray.records import AskedPair, CostProfile, PanelLeftOut, SettlePlan
from foray.records.quantities import parse_bytes, parse_count, parse_duration_ms, parse_points
from foray.report.candidate_table import csv_table, markdown_table
from foray.report.comparison_folder import read_folder
from foray.report.tradeoff import tradeoffs
from foray.settling.labels_file import LabelQuestion, read_labels
from foray.settling.plan import question_of, read_plan
from foray.specs import get_spec
from foray.weights import find_weights, load_weights
from foray.weights.keras_file import read_keras
from foray.weights.key_map import timm_keys
from tests.fuzzing import Edit, edits, fuzzed, gives_an_answer_or_a_foray_error, value_edits
from tests.made_keras import write_keras
from tests.made_onnx import write_artifact
from tests.report.example import write_comparison

MODEL = "mobilenet_v1_x0.25"
Reader = Callable[[], object]
READERS = (
    "recipe.toml", "config.json", "weights.h5", "images.csv", "images.zip", "images.tar", "images.tar.gz",
    "tar that is read where it lies", "labels.csv", "complete.json", "device.json", "artifact.json", "labels.txt",
    "report of comparison.json", "labels of new images.csv", "plan.json",
)  # fmt: skip
EXAMPLES = {
    "images.zip": 60,
    "images.tar": 60,
    "images.tar.gz": 40,
    "report of comparison.json": 60,
    "complete.json": 40,
}
SETTING = ("optimizer", ".", "epochs", "=", "[", "{", "NaN", "-Infinity", "1e400", "9" * 5000, "[" * 5000)
AMOUNTS = ("9" * 5000 + "M", "1e400M", "1e-400s")
WITH_ONNX = ("artifact.json", "labels.txt")


def pictures(folder: Path) -> Path:
    """Two classes of three pictures of 8 x 8 pixels."""
    for i in range(6):
        path = folder / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    return folder


def packed(folder: Path, name: str) -> Path:
    home, target = pictures(folder / "images"), folder / name
    with contextlib.ExitStack() as stack:
        if name.endswith(".zip"):
            add = stack.enter_context(zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)).write
        else:
            add = stack.enter_context(tarfile.open(target, "w:gz" if name.endswith(".gz") else "w")).add
        for path in sorted(home.rglob("*.png")):
            add(path, path.relative_to(home))
    return target


def weights_in(folder: Path) -> Path:
    """A folder in timm's layout."""
    network = build_model(get_spec(MODEL), num_classes=3, seed=0)
    names = timm_keys(network.spec)
    folder.mkdir()
    save_file({names[key]: tensor.contiguous() for key, tensor in network.state_dict().items()},
              folder / "model.safetensors")  # fmt: skip
    config = {
        "architecture": "mobilenetv1_025", "num_classes": 3, "model_args": {"bn_eps": 1e-5}, "license": "mit",
        "pretrained_cfg": {
            "input_size": [3, 64, 64], "crop_pct": 0.875, "interpolation": "bicubic", "crop_mode": "center",
            "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
        },
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def resized_sides(folder: Path) -> None:
    found = find_weights(folder, MODEL)
    load_weights(build_model(found.spec, num_classes=3, seed=0), found)
    assert 1 <= found.preprocessing.resolution <= found.preprocessing.resize_side <= 32 * 4096


def what_a_report_says(folder: Path) -> None:
    comparison = read_folder(folder).comparison
    csv_table(comparison)
    markdown_table(comparison)
    for costs in tradeoffs(comparison):
        for point in costs.points:
            costs.across(point.x)
            costs.up(point.y.value)


def classified(folder: Path, picture: Path) -> None:
    artifact = open_artifact(folder)
    assert artifact.failed is None or artifact.failed
    assert len(list(predict_images(artifact, open_session(artifact, 1), [picture]))) == 1
    bench.description_of(artifact)


def classified_with_digests(folder: Path, picture: Path) -> None:
    """As of an artifact whose labels.txt somebody has written anew."""
    content = (folder / "labels.txt").read_bytes()
    description = json.loads((folder / "artifact.json").read_text())
    description["files"]["labels.txt"] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "artifact.json").write_text(json.dumps(description))
    classified(folder, picture)


def settle_plan(folder: Path) -> Path:
    """What labels are asked for, without a digest."""
    stream = io.BytesIO()
    labels = np.array([[[0, 1, 0]], [[1, 1, 0]]])
    np.savez(stream, image_ids=np.array(["a", "b", "c"]), models=np.array(["big", "small"]), labels=labels)
    (folder / "predictions.npz").write_bytes(stream.getvalue())
    pair = AskedPair(
        reference="big", candidate="small", disagreements=1, error=0.025, probability=0.5, expected_labels=1.0
    )
    plan = SettlePlan(
        created="2026-11-29", comparison="x", decision="y", tolerance=0.01, error=0.025, source="new",
        classes=["one", "two"], runs={"big": ["r0"], "small": ["r1"]}, seeds=[0], images=3, fingerprint="z",
        left_out=PanelLeftOut(), pairs=[pair], asked=["a"], repeats=[(1, 0)], pictures=1, early=True,
        known={"d": 1}, predictions=hashlib.sha256(stream.getvalue()).hexdigest(),
    )  # fmt: skip
    (folder / "plan.json").write_text(plan.model_dump_json(indent=1))
    return folder


def reader_of(kind: str, folder: Path) -> tuple[Path, Reader]:
    """A whole file of the kind, and what reads it."""
    cache, number = folder / "cache", itertools.count()
    path = folder / kind
    if kind == "recipe.toml":
        path.write_text(recipe_toml(preset("partial")))
        return path, lambda: read_recipe(path)
    if kind == "config.json":
        weights = weights_in(folder / "weights")
        return weights / kind, lambda: resized_sides(weights)
    if kind == "weights.h5":
        write_keras(path)
        return path, lambda: read_keras(path, get_spec(f"tf_{MODEL}"))
    if kind == "images.csv":
        pictures(folder)
        rows = [f"{label}/{i}.png,{label},,g{i}\n" for i in range(6) for label in ("ab"[i % 2],)]
        path.write_text("".join(["path,label,split,group\n", *rows]))
        return path, lambda: open_dataset(path, cache_dir=cache)
    if kind.startswith("images."):
        archive = packed(folder, kind)
        return archive, lambda: open_dataset(archive, cache_dir=cache / str(next(number)))
    if kind == "tar that is read where it lies":
        archive = packed(folder, "images.tar")
        return archive, lambda: images_in_tar(archive)
    if kind == "labels.csv":
        path.write_text("filename,class_index\n" + "".join(f"{i}.jpg,{i}\n" for i in range(0, 1000, 100)))
        return path, lambda: find_labels(folder, None, [])
    if kind == "complete.json":
        archive = packed(folder, "images.zip")
        open_dataset(archive, cache_dir=cache)
        return next(cache.rglob("complete.json")), lambda: open_dataset(archive, cache_dir=cache)
    if kind == "device.json":
        save_profiles(path, "a device", [CostProfile(model="m", resolution=32, params=1, macs=1, latency_p50_ms=1.5)])
        return path, lambda: (load_profiles(path), bench._earlier(path, "a device"))
    if kind == "labels of new images.csv":
        question = LabelQuestion(("a.png", "=b.png", "c.png"), ("one", "two, 2"), ("a.png",), ("d.png",), {"e.png": 1})
        path.write_text(
            'image,label,guess_shown\r\na.png,one,no\r\n\'=b.png,"two, 2",yes\r\na.png,one,no\r\nc.png,,\r\n'
        )
        return path, lambda: read_labels(path, question)
    if kind == "plan.json":
        return settle_plan(folder) / kind, lambda: question_of(read_plan(folder)[0]).asked
    if kind == "report of comparison.json":
        comparison = write_comparison(folder / "comparison") / "comparison.json"
        comparison.write_text(
            "".join(line for line in comparison.read_text().splitlines(True) if '"digest"' not in line)
        )
        return comparison, lambda: what_a_report_says(folder / "comparison")
    artifact, picture = write_artifact(folder / "artifact"), folder / "red.png"
    Image.new("RGB", (20, 20), "red").save(picture)
    read = classified if kind == "artifact.json" else classified_with_digests
    return artifact / kind, lambda: read(artifact, picture)


@pytest.fixture(scope="module", params=READERS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Reader]:
    if request.param == "weights.h5":
        pytest.importorskip("h5py", reason="h5py is not installed (extra: keras)")
    if request.param in WITH_ONNX:
        pytest.importorskip("onnx", reason="onnx is not installed (extra: onnx)")
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")
    return request.param, *reader_of(request.param, tmp_path_factory.mktemp("whole"))


def test_a_whole_file_is_read(whole) -> None:
    whole[2]()


def test_a_changed_file_gives_an_answer_or_a_foray_error(whole) -> None:
    kind, path, reader = whole

    @fuzzed(EXAMPLES.get(kind, 120))
    @given(edit=edits() | value_edits() if kind.endswith(".json") else edits())
    def read(edit: Edit) -> None:
        gives_an_answer_or_a_foray_error(path, reader, edit, ArtifactError)

    read()


@fuzzed(150)
@given(st.lists(st.sampled_from(SETTING), max_size=6))
def test_any_setting_of_a_recipe_gives_a_recipe_or_a_foray_error(words: list[str]) -> None:
    with contextlib.suppress(ForayError):
        assert changed(preset("finetune"), ["".join(words)]).epochs >= 1


@fuzzed(200)
@given(st.text("0123456789.,_+-eE kMGTi%ptmsuB²٣", max_size=12) | st.sampled_from(AMOUNTS))
def test_any_amount_is_a_finite_number_above_zero_or_an_error(text: str) -> None:
    for parse in (parse_count, parse_bytes, parse_duration_ms, parse_points):
        try:
            assert 0 < parse(text) < float("inf")
        except QuantityError:
            continue
