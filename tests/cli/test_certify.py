"""`foray certify` as a user runs it: exit status, what is printed, what is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from foray.data import open_dataset
from foray.runs import load_run
from made_artifacts import Trained, describe, write_onnx

from .conftest import CLASSES, Cli, Finished

pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra: onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")


@pytest.fixture(scope="module")
def learnt(comparison: Finished, images: Path) -> Trained:
    run = load_run(comparison.run)
    return Trained(run.network, run.record.preprocessing, open_dataset(images))


@pytest.fixture(scope="module")
def artifact(learnt: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "onnx-fp32"
    write_onnx(learnt, folder)
    return describe(folder, learnt)


def test_few_images_are_inconclusive_and_say_how_many_would_decide(
    cli: Cli, artifact: Path, images: Path, comparison: Finished
) -> None:
    done = cli("certify", artifact, images, "--run", comparison.run, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("inconclusive: accuracy ")
    assert "images like these, these " in done.stdout
    certificate = json.loads((artifact / "artifact.json").read_text())["certificate"]
    assert certificate["verdict"] == "inconclusive"
    assert certificate["label_agreement"]["value"] == 1.0
    assert certificate["n"] < certificate["images_needed"]
    assert certificate["reference"].endswith("on its test split")


def test_images_the_run_knows_are_left_out_and_said(
    cli: Cli, artifact: Path, images: Path, comparison: Finished, tmp_path: Path
) -> None:
    for i, path in enumerate(sorted(images.rglob("*.png"))):
        target = tmp_path / "renamed" / path.parent.name / f"a{i}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    done = cli("certify", artifact, tmp_path / "renamed", "--run", comparison.run, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "Left out of the score: 36 trained on, 6 used to select (val)." in done.stdout
    certificate = json.loads((artifact / "artifact.json").read_text())["certificate"]
    assert (certificate["n"], certificate["left_out"]["trained_on"]) == (6, 36)
    scored = cli("evaluate", comparison.run, tmp_path / "renamed", "--json")
    assert json.loads(scored.stdout)["left_out"]["selected_on"] == 6
    assert "Left out of the score: 36 trained on" in cli("evaluate", comparison.run, tmp_path / "renamed").stdout


def test_a_file_that_fails_is_marked_and_kept_and_the_status_is_3(
    cli: Cli, artifact: Path, learnt: Trained, images: Path, comparison: Finished, tmp_path: Path
) -> None:
    faulty = shutil.copytree(artifact, tmp_path / "faulty")
    names = sorted(CLASSES)
    describe(faulty, learnt, labels=[*names[1:], names[0]])
    done = cli("certify", faulty, images, "--run", comparison.run)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("fail: ")
    assert (faulty / "model.onnx").exists()
    seen = cli("predict", faulty, next(images.rglob("*.png")))
    assert seen.returncode == 0, seen.stderr
    assert "failed its certification" in seen.stderr


def test_what_cannot_be_certified_is_one_message(
    cli: Cli, artifact: Path, images: Path, comparison: Finished, tmp_path: Path
) -> None:
    for arguments, message in (
        ((artifact, images), "Name what"),
        ((tmp_path / "nothing", images, "--run", comparison.run), "artifact.json"),
        (
            (artifact, "digits", "--run", comparison.run),
            "are not those the run was trained on (unknown: 0, 1, 2, 3, 4)",
        ),
    ):
        done = cli("certify", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
