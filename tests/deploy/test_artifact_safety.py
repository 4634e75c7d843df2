"""An artifact from somebody else: nothing outside its folder is opened, nothing hangs, nothing steers the terminal."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from foray import plain_text
from foray.deploy import ArtifactError, open_artifact, open_session
from foray.deploy import predict as reader
from tests.made_onnx import SIDE, write_artifact
from tests.warm_start import run_command

pytest.importorskip("onnx", reason="onnx is not installed (extra: onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")

SECRET = b"a file of 33 bytes, nobody's else"
ESCAPE, SHOWN = "\x1b]0;owned\x07\x9b31m\u202e\n", r"\u001b]0;owned\u0007\u009b31m\u202e\u000a"
LIMIT = 120  # seconds, after which a command is said to hang


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    (tmp_path / "outside.onnx").write_bytes(SECRET)
    folder = write_artifact(tmp_path / "artifact")
    Image.new("RGB", (20, 20), "red").save(tmp_path / "red.png")
    return folder


def described(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    description = json.loads((folder / "artifact.json").read_text())
    change(description)
    (folder / "artifact.json").write_text(json.dumps(description))


def info(path: Path) -> dict[str, object]:
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}


def alone(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """predict.py or bench.py as on a device."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-W", "error", program, *map(str, arguments)], capture_output=True, text=True, env=env,
        timeout=LIMIT, cwd=program.parent.parent,
    )  # fmt: skip


def foray(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_command(arguments, os.environ)


@pytest.mark.parametrize("kind", ["entry", "absolute entry", "another file", "a folder below", "the folder above"])
def test_a_name_that_leads_out_of_the_artifact_is_refused(artifact: Path, kind: str) -> None:
    outside = artifact.parent / "outside.onnx"
    (artifact / "below").mkdir()
    (artifact / "below" / "model.onnx").write_bytes(SECRET)
    name = {
        "entry": "../outside.onnx", "absolute entry": str(outside), "another file": "../outside.onnx",
        "a folder below": "below/model.onnx", "the folder above": "..",
    }[kind]  # fmt: skip

    def change(description: dict[str, Any]) -> None:
        description["files"][name] = {"sha256": "0" * 64, "bytes": 1} if "another" in kind else info(outside)
        if "another" not in kind:
            description["entry"] = name

    described(artifact, change)
    with pytest.raises(ArtifactError, match="which is not a file directly in the artifact's folder") as refusal:
        open_artifact(artifact)
    assert repr(name) in str(refusal.value)
    assert "33" not in str(refusal.value)  # the size of a file that is none of its business


def test_a_link_out_of_the_artifact_is_refused_and_one_within_is_followed(artifact: Path) -> None:
    model, kept = artifact / "model.onnx", artifact / "kept.onnx"
    model.rename(kept)
    model.symlink_to("kept.onnx")
    assert open_artifact(artifact).labels == ["a", "b", "c"]
    model.unlink()
    model.symlink_to(artifact.parent / "outside.onnx")
    with pytest.raises(
        ArtifactError, match=r"model\.onnx is a link to a file outside the artifact's folder"
    ) as refusal:
        open_artifact(artifact)
    assert "33" not in str(refusal.value)


def test_weights_that_the_runtime_finds_by_itself_are_checked_as_well(artifact: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed (extra: openvino)")
    folder = write_artifact(artifact.parent / "ir", runtime="openvino")
    described(folder, lambda description: description["files"].pop("model.bin"))
    with pytest.raises(ArtifactError, match=r"artifact\.json is damaged \(KeyError\('model\.bin'\)"):
        open_artifact(folder)


def test_both_programs_beside_an_artifact_and_foray_refuse_it(artifact: Path) -> None:
    outside = artifact.parent / "outside.onnx"
    described(artifact, lambda description: description.update(entry="../outside.onnx"))
    described(artifact, lambda description: description["files"].update({"../outside.onnx": info(outside)}))
    picture = artifact.parent / "red.png"
    for done in (
        alone(artifact / "predict.py", picture),
        alone(artifact / "bench.py", "--threads", 1),
        foray("predict", artifact, picture),
        foray("profile", artifact, "--threads", 1),
    ):
        assert done.returncode == 2, done.stderr
        assert "names '../outside.onnx', which is not a file directly in the artifact's folder" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert not (artifact.parent / "device.json").exists()


@pytest.mark.parametrize("what", ["artifact.json", "model.onnx", "labels.txt", "image"])
def test_a_named_pipe_is_refused_at_once(artifact: Path, what: str) -> None:
    place = artifact.parent / "red.png" if what == "image" else artifact / what
    place.unlink()
    os.mkfifo(place)
    for done in (
        alone(artifact / "predict.py", artifact.parent / "red.png"),
        foray("predict", artifact, artifact.parent / "red.png"),
    ):
        assert done.returncode == 2, done.stderr
        assert f"{place}: it is a named pipe (FIFO), not a regular file." in done.stderr


def test_a_device_is_no_image(artifact: Path) -> None:
    done = alone(artifact / "predict.py", "/dev/zero")
    assert done.returncode == 2
    assert "Cannot read the image /dev/zero: it is a device, not a regular file." in done.stderr


@pytest.mark.parametrize("threads", [0, -1, 10**8])
def test_more_threads_than_any_device_has_are_refused(artifact: Path, threads: int) -> None:
    with pytest.raises(ArtifactError, match=f"--threads must be a number from 1 to 1024, not {threads}"):
        open_session(open_artifact(artifact), threads)


def test_names_are_shown_and_steer_nothing(artifact: Path) -> None:
    labels = [f"{letter}{ESCAPE.strip()}" for letter in "abc"]
    (artifact / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    described(artifact, lambda description: description["files"].update({"labels.txt": info(artifact / "labels.txt")}))
    described(artifact, lambda description: description.update(model=f"net{ESCAPE}"))
    described(
        artifact, lambda description: description.update(certificate={"verdict": "fail", "failures": [f"bad{ESCAPE}"]})
    )
    picture = artifact.parent / f"red{ESCAPE}.png"
    (artifact.parent / "red.png").rename(picture)
    commands = [
        alone(artifact / "predict.py", picture),
        alone(artifact / "predict.py", artifact.parent / f"gone{ESCAPE}.png"),
        alone(artifact / "predict.py", picture, f"--red{ESCAPE}.png"),
        foray("predict", artifact, picture),
        foray("predict", artifact, artifact.parent / f"gone{ESCAPE}.png"),
        foray("predict", artifact, picture, f"--red{ESCAPE}.png"),
    ]
    for done in commands:
        for stream in (done.stdout, done.stderr):
            assert not any(character in stream for character in "\x1b\x07\x9b\u202e")
        assert "1b]0;owned" in "".join((done.stdout + done.stderr).split())  # click writes \\x1b of what it refuses
    assert [line.split(": ")[0] for line in commands[0].stdout.splitlines()] == [f"{artifact.parent}/red{SHOWN}.png"]
    assert f"failed certification: bad{SHOWN}" in commands[0].stderr
    in_json = json.loads(alone(artifact / "predict.py", "--json", picture).stdout)
    assert in_json[0]["path"] == str(picture)
    assert {label for label, _ in in_json[0]["top"]} == set(labels)


def test_a_file_name_that_is_no_text_can_be_printed(artifact: Path) -> None:
    picture = artifact.parent / os.fsdecode(b"red\xff.png")
    (artifact.parent / "red.png").rename(picture)
    done = alone(artifact / "predict.py", picture)
    assert done.returncode == 0, done.stderr
    assert "red\\udcff.png: " in done.stdout


def test_the_copied_reader_and_foray_show_names_alike() -> None:
    everything = "".join(map(chr, range(0x3000))) + "\ud800\udfff\ufeffé"
    assert reader.one_line(everything) == plain_text.one_line(everything)


def test_bench_overwrites_no_file_that_is_not_its_own(artifact: Path) -> None:
    notes = artifact.parent / "notes.txt"
    notes.write_text("mine")
    done = alone(artifact / "bench.py", "--threads", 1, "--out", notes)
    assert done.returncode == 2
    assert "notes.txt is no device.json" in done.stderr
    assert notes.read_text() == "mine"


@pytest.mark.parametrize(
    ("where", "value", "named"),
    [
        (("input", "batch"), 0, "batch"),
        (("input", "batch"), -1, "batch"),
        (("input", "batch"), 10**12, "batch"),
        (("input", "batch"), "one", "batch"),
        (("input", "height"), 0, "resolution"),
        (("input", "width"), 10**6, "resolution"),
        (("resolution",), None, "resolution"),
        (("preprocessing", "resize_side"), 10**9, "preprocessing"),
        (("preprocessing", "interpolation"), "nearest", "preprocessing"),
        (("num_classes",), 10**12, "3 names for 1000000000000 classes"),
        (("num_classes",), 1.5, "num_classes"),
        (("precision",), "int4", "precision"),
        (("model",), ["x"], "model"),
        (("params",), -1, "params or macs"),
        (("certificate",), {"verdict": "fail", "failures": [1]}, "certificate"),
        (("certificate",), 7, "AttributeError"),
        (("schema_version",), 0, "of version 0"),
    ],
)
def test_what_foray_cannot_have_written_is_refused_before_anything_runs(
    artifact: Path, where: tuple[str, ...], value: object, named: str
) -> None:
    def change(description: dict[str, Any]) -> None:
        *tables, last = where
        for table in tables:
            description = description[table]
        description[last] = value

    described(artifact, change)
    with pytest.raises(ArtifactError, match=named):
        open_artifact(artifact)


def test_labels_that_are_no_text_are_said(artifact: Path) -> None:
    (artifact / "labels.txt").write_bytes(b"\xff\xfe\nb\nc\n")
    described(artifact, lambda description: description["files"].update({"labels.txt": info(artifact / "labels.txt")}))
    with pytest.raises(ArtifactError, match="UnicodeDecodeError"):
        open_artifact(artifact)


def test_a_network_that_is_not_what_artifact_json_says_ends_with_one_message(artifact: Path) -> None:
    picture = artifact.parent / "red.png"
    described(artifact, lambda description: description["input"].update(height=SIDE + 1, width=SIDE + 1))
    described(
        artifact, lambda description: description["preprocessing"].update(resolution=SIDE + 1, resize_side=SIDE + 1)
    )
    with pytest.raises(ArtifactError, match=r"cannot be run on \(1, 17, 17, 3\) images"):
        list(reader.predict_images(opened := open_artifact(artifact), open_session(opened, 1), [picture]))

    write_artifact(artifact)
    (artifact / "labels.txt").write_text("a\nb\n")
    described(artifact, lambda description: description["files"].update({"labels.txt": info(artifact / "labels.txt")}))
    described(artifact, lambda description: description.update(num_classes=2))
    with pytest.raises(ArtifactError, match=r"output has shape \(1, 3\), for 2 classes"):
        list(reader.predict_images(opened := open_artifact(artifact), open_session(opened, 1), [picture]))


def test_a_picture_with_a_name_too_long_is_an_unreadable_picture(artifact: Path) -> None:
    name = "x" * 300 + ".png"
    with pytest.raises(reader.ImageError, match="File name too long"):
        reader.read_image(name)
    done = alone(artifact / "predict.py", name)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "File name too long" in done.stderr
