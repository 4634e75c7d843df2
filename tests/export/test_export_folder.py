"""An export takes nothing away that it did not write, and says so before it works."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from foray.deploy import open_artifact
from foray.errors import RunError
from foray.export.artifact_folder import remove_unfinished_folders, replaced_folder
from foray.records import RunRecord
from tests.warm_start import run_command

pytest.importorskip("openvino", reason="openvino is not installed (extra: openvino)")

ARTIFACT = {
    "README.md", "artifact.json", "bench.py", "labels.txt", "model.bin", "model.xml", "predict.py"
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a small network, one epoch on squares of two colours, one with a line break in its name."""
    from foray import train

    squares = tmp_path_factory.mktemp("pictures") / "squares"
    for name, red in {"dark  and\nblue": 20, "light": 220}.items():
        (squares / name).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (32, 32), (red, 3 * i, 90)).save(squares / name / f"{i}.png")
    out = tmp_path_factory.mktemp("runs")
    train(str(squares), "mobilenet_v1_x0.25", "scratch", epochs=1, resolution=32, out=out, workers=1)
    return next(path.parent for path in out.glob("*/record.json"))


def export(run: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run_command(("export", run, "--to", "openvino", "--out", out, "--threads", 1, *options), os.environ)


def test_a_class_whose_name_is_no_line_is_certified(run: Path, tmp_path: Path) -> None:
    squares = RunRecord.load(run / "record.json").dataset.source
    done = export(run, tmp_path, "--data", squares, "--tolerance", "99pt", "--workers", "1", "--json")
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)
    assert one["artifact"]["certificate"]["label_agreement"]["value"] == 1.0
    assert open_artifact(tmp_path / "openvino-fp32").labels == ["dark and blue", "light"]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_a_folder_that_is_the_users_own_stops_an_export(run: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    mine = tmp_path / "mine" / "openvino-fp32"
    mine.mkdir(parents=True)
    for name in ("notes.txt", "model.xml"):  # without artifact.json no file is known to be an artifact's
        (mine / name).write_text("mine")
    done = export(run, tmp_path / "mine", *options)
    assert done.returncode == 2
    assert f"{mine} holds model.xml, notes.txt, which foray export did not write" in done.stderr
    assert "Move them elsewhere, or choose another folder with --out." in done.stderr
    assert {path.name: path.read_text() for path in mine.iterdir()} == {"notes.txt": "mine", "model.xml": "mine"}


def test_what_was_put_beside_an_artifact_survives_the_next_export(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "openvino-fp32"
    assert export(run, tmp_path).returncode == 0
    assert names(folder) == ARTIFACT
    (folder / "device.json").write_text("measured here")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "predict.cpython-311.pyc").write_bytes(b"of bench.py, which imports predict.py")
    kept = export(run, tmp_path)
    assert kept.returncode == 0, kept.stderr
    assert "Kept" in kept.stderr

    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    forced = export(run, tmp_path, "--force")
    assert forced.returncode == 2
    assert f"{folder} holds device.json, which foray export did not write" in forced.stderr
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before

    (folder / "model.bin").write_bytes(b"damaged")  # has to be written again, which takes as much away
    assert "holds device.json" in export(run, tmp_path).stderr
    assert (folder / "device.json").read_text() == "measured here"
    (folder / "device.json").rename(tmp_path / "device.json")
    assert export(run, tmp_path).returncode == 0
    assert names(folder) == ARTIFACT


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_link_or_a_file_in_the_place_of_the_folder_stops_an_export(run: Path, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "openvino-fp32"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "notes.txt").write_text("mine")
        place.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    else:
        place.write_text("mine")
    done = export(run, tmp_path)
    assert done.returncode == 2
    assert f"{place} is a link or a file, not the folder of an artifact." in done.stderr
    assert (tmp_path / "elsewhere" / "notes.txt" if kind == "link" else place).read_text() == "mine"


def write_both(unfinished: Path, folder: Path) -> None:
    (unfinished / "model.onnx").write_bytes(b"the new one")
    (folder / "notes.txt").write_text("mine")


def test_what_comes_into_the_folder_while_an_export_works_is_not_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "onnx-fp32"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"the earlier one")
    with (
        pytest.raises(RunError, match=r"onnx-fp32 holds notes\.txt, which foray export did not write"),
        replaced_folder(folder) as unfinished,
    ):
        write_both(unfinished, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "model.onnx": b"the earlier one",
        "notes.txt": b"mine",
    }
    assert names(tmp_path) == {"onnx-fp32"}


def test_only_folders_of_killed_exports_are_cleared_away(tmp_path: Path) -> None:
    for name in (".onnx-fp32-a1b2c3.unfinished", ".novel.unfinished"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "chapter").write_text("one")
    remove_unfinished_folders(tmp_path)
    assert names(tmp_path) == {".novel.unfinished"}
