"""`foray train`, `evaluate` and `predict` on a run, and `foray models`."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from foray.records import RunRecord
from foray.specs import get_spec, spec_names
from tests.ghostscript import EPS, install

from .conftest import CLASSES, Cli, Finished, environment


def test_train_says_how_good_how_sure_and_what_next(images: Path, cli: Cli, tmp_path: Path) -> None:
    done = cli(
        "train", images, "--model", "mobilenet_v1_x0.25", "--protocol", "scratch", "--epochs", "1", "--seed", "3",
        "--workers", "1", "--out", "mine",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "mine").iterdir()
    record = RunRecord.load(folder / "record.json")
    top1 = record.metrics["test"].top1
    assert record.seed == 3
    assert f"test accuracy {100 * top1.value:.1f} %" in done.stdout
    assert f"95 % interval {100 * top1.low:.1f} to {100 * top1.high:.1f}, n = {top1.n}" in done.stdout
    assert f"Run: mine/{folder.name}" in done.stdout
    assert f"foray predict mine/{folder.name}" in done.stdout


def test_evaluate_agrees_with_the_record(comparison: Finished, images: Path, cli: Cli) -> None:
    """Scored again from the saved weights, a run gets the test accuracy its record states."""
    record = RunRecord.load(comparison.run / "record.json").metrics["test"]
    done = cli("evaluate", comparison.run, images, "--split", "test", "--json", "--workers", "1")
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert again["n"] == record.n
    assert again["confusion"] == record.confusion
    assert again["loss"] == pytest.approx(record.loss, abs=1e-4)


def test_evaluate_prints_a_row_a_class(comparison: Finished, images: Path, cli: Cli) -> None:
    done = cli("evaluate", comparison.run, images)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("test: accuracy ")
    for name in CLASSES:
        assert any(line.startswith(name) for line in done.stdout.splitlines())
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_predict_as_table_and_as_json(comparison: Finished, images: Path, cli: Cli) -> None:
    picture = images / "grün" / "00.png"
    table = cli("predict", comparison.run, picture)
    assert table.returncode == 0, table.stderr
    assert "00.png" in table.stdout

    done = cli("predict", comparison.run, picture, images / "blue" / "01.png", "--json")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    assert first["path"] == str(picture)
    assert first["label"] in CLASSES
    assert sum(probability for _, probability in first["top"]) == pytest.approx(1.0, abs=1e-3)
    assert second["top"][0][1] == second["probability"]


def test_predict_on_what_is_no_image(comparison: Finished, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("not an image", encoding="utf-8")
    for name in ("notes.jpg", "nowhere.jpg"):
        done = cli("predict", comparison.run, name)
        assert done.returncode == 2
        assert name in done.stderr
        assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_run(cli: Cli, tmp_path: Path) -> None:
    for verb in (("evaluate", tmp_path, "digits"), ("predict", tmp_path, "image.jpg")):
        done = cli(*verb)
        assert done.returncode == 2
        assert str(tmp_path) in done.stderr.replace("\n", "")
        assert "Traceback" not in done.stderr


def test_models_as_json_hold_the_published_counts(cli: Cli) -> None:
    done = cli("models", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert list(rows) == spec_names()
    assert rows["efficientnet_b0"]["params"] == 5_288_548
    assert rows["mobilenet_v2"]["params"] == 3_504_872
    assert rows["mobilenet_v2"]["macs"] == 300_774_272
    assert rows["tf_efficientnet_v2_b0"]["hub"] == "timm/tf_efficientnetv2_b0.in1k"
    assert rows["tf_efficientnet_v2_b0"]["hub_licence"] == "apache-2.0"
    assert rows["resnet18"]["hub_licence"] == "bsd-3-clause"
    assert rows["mobilenet_v1_x0.25"]["hub"] is rows["mobilenet_v1_x0.25"]["hub_licence"] is None
    published = get_spec("tf_efficientnet_b2").published
    assert rows["tf_efficientnet_b2"]["published_macs"] == published.macs
    assert rows["tf_efficientnet_b2"]["published_params"] == published.params
    assert rows["mobilenet_v2"]["top1"] == get_spec("mobilenet_v2").published.top1


def test_models_as_table(cli: Cli) -> None:
    done = cli("models")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    row = next(line for line in done.stdout.splitlines() if line.startswith("mobilenet_v2 "))
    assert row.split()[1:8] == ["3.50", "M", "301", "M", "224", "71.9", "yes"]
    assert next(line for line in done.stdout.splitlines() if line.startswith("mnasnet1_3 ")).split()[7] == "-"


def test_one_model_stage_by_stage(cli: Cli) -> None:
    done = cli("models", "mobilenet_v3_large")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split() for line in lines if line}
    assert rows["stages.5"][-5:] == ["160x7x7", "2.02", "M", "54.4", "M"]
    assert "5,483,032 (published 5,483,032)" in done.stdout
    assert "timm/resnet18.tv_in1k on the hub, licence bsd-3-clause" in cli("models", "resnet18").stdout


def test_one_model_layer_by_layer_with_what_separable_layers_save(cli: Cli) -> None:
    done = cli("models", "tf_efficientnet_b0", "--layers")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "stages.1.0.se.reduce" in done.stdout
    assert "times fewer MACs" in done.stdout
    shown = json.loads(cli("models", "mobilenet_v2", "--json").stdout)
    assert sum(layer["macs"] for layer in shown["layers"]) == sum(s["macs"] for s in shown["stages"]) == 300_774_272
    assert len(shown["separable"]) == 17


def test_layers_of_no_model(cli: Cli) -> None:
    done = cli("models", "--layers")
    assert done.returncode == 2
    assert "name it" in done.stderr


INTERRUPTED = """
    import contextlib, os, signal, sys
    import foray.cli.progress

    class Interrupts:
        '''Progress that sends its own process Ctrl-C after the fourth training step, TIMES times.'''
        left = 4
        def note(self, message): pass
        @contextlib.contextmanager
        def task(self, description, total, done=0):
            self.is_training = description.endswith("training")
            yield self
        def advance(self, n=1, note=""):
            if self.is_training and note:
                self.left -= 1
                if self.left == 0:
                    for _ in range(int(os.environ.get("TIMES", "1"))):
                        os.kill(os.getpid(), signal.SIGINT)

    foray.cli.progress.terminal_progress = lambda: contextlib.nullcontext(Interrupts())
    from foray.cli.main import main
    main()
"""


def test_a_second_ctrl_c_ends_at_once_and_does_not_say_that_everything_is_saved(
    images: Path, cli_cache: Path, tmp_path: Path
) -> None:
    arguments = (
        "train", images, "--model", "mobilenet_v1_x0.25", "--protocol", "scratch", "--epochs", "2",
        "--set", "batch_size=8", "--resolution", "32", "--workers", "1", "--threads", "1", "--out", "runs",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), *map(str, arguments)],
        capture_output=True, text=True, cwd=tmp_path, env=environment(cli_cache) | {"TIMES": "2"},
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "Interrupted at once: steps since the last save are lost" in done.stderr
    assert "Everything" not in done.stderr
    assert "foray train --resume runs" in done.stderr


def test_ctrl_c_saves_and_names_the_command_that_goes_on(images: Path, cli: Cli, cli_cache: Path, tmp_path) -> None:
    arguments = (
        "train", images, "--model", "mobilenet_v1_x0.25", "--protocol", "scratch", "--epochs", "2", "--seed", "3",
        "--set", "batch_size=8", "--resolution", "32", "--workers", "1", "--threads", "1", "--deterministic",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), *map(str, arguments), "--out", "my runs"],
        capture_output=True, text=True, cwd=tmp_path, env=environment(cli_cache),
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "Interrupted in epoch 1 after batch 5 of" in done.stderr
    assert "foray train --resume 'my runs'" in done.stderr
    (run,) = (tmp_path / "my runs").iterdir()
    assert RunRecord.load(run / "record.json").status == "failed"

    for contradiction, message in (
        (("--seed", "4"), "--seed contradicts the run in my runs/"),
        (("--epochs", "3"), "--epochs contradicts the run in"),
        (("--set", "label_smoothing=0.2"), "--set contradicts the run in"),
        (("digits",), "DATA contradicts the run in"),
    ):
        refused = cli("train", *contradiction, "--resume", "my runs")
        assert refused.returncode == 2
        assert message in refused.stderr
    gone_on = cli("train", images, "--seed", "3", "--set", "batch_size=8", "--resume", "my runs")
    assert gone_on.returncode == 0, gone_on.stderr
    whole = cli(*arguments, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    kept = [next((tmp_path / out).iterdir()) / "best.safetensors" for out in ("my runs", "whole")]
    ours, theirs = map(load_file, kept)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[key], theirs[key]) for key in ours)
    record = RunRecord.load(kept[0].parent / "record.json")
    assert (record.deterministic, record.threads, record.architecture.resolution) == (True, 1, 32)
    again = cli("train", "--resume", "my runs")
    assert again.returncode == 0
    assert "is done already" in again.stderr


def test_train_without_what_it_needs(cli: Cli) -> None:
    done = cli("train", "--model", "mobilenet_v2")
    assert done.returncode == 2
    assert "foray train DATA --model NAME --weights hub (or --protocol scratch" in done.stderr
    done = cli("train", "--resume", "nowhere")
    assert done.returncode == 2
    assert "There is no run in nowhere" in done.stderr


def test_evaluate_takes_a_run_and_images_or_a_model_and_imagenet(tmp_path: Path, cli: Cli) -> None:
    for words in (
        ("--model", "mobilenet_v2", "imagenet"),
        ("--model", "mobilenet_v2", "--weights", tmp_path, "digits"),
    ):
        done = cli("evaluate", *words)
        assert done.returncode == 2
        assert "foray evaluate --model NAME --weights DIR imagenet --data-dir DIR" in done.stderr
    done = cli("evaluate", "digits")
    assert done.returncode == 2
    assert done.stderr.startswith("foray: Name a run and the images to score it on")


def test_evaluate_pretrained_weights(shared_data: Path, tmp_path: Path, cli: Cli) -> None:
    images = tmp_path / "val"
    images.mkdir()
    source = shared_data / "data" / "imagenet_val_500"
    lines = (source / "labels.csv").read_text().splitlines()[:9]
    with zipfile.ZipFile(source / "imagenet_val_500.zip") as archive:
        for line in lines[1:]:
            archive.extract(line.split(",")[0], images)
    (images / "labels.csv").write_text("\n".join(lines))
    weights = shared_data / "weights" / "mobilenetv1_025.tf_qat_in1k"
    command = ("evaluate", "--model", "mobilenet_v1_x0.25", "--weights", weights, "imagenet", "--data-dir", images)
    first = cli(*command)
    assert first.returncode == 0, first.stderr
    assert "top-1: " in first.stdout
    assert "n = 8)" in first.stdout
    record = json.loads(cli(*command, "--json").stdout)
    assert (record["n"], record["computed"]) == (8, 0)
    assert f"top-1: {100 * record['top1']['value']:.1f} %" in first.stdout


def test_a_picture_in_postscript_starts_no_program(comparison: Finished, cli: Cli, tmp_path: Path) -> None:
    ghostscript = install(tmp_path)
    for number in range(6):
        path = tmp_path / "pictures" / f"class {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(path)
        path.with_name("x.jpg").write_bytes(EPS)
    inspected = cli("data", "inspect", "pictures", PATH=ghostscript.path)
    assert not ghostscript.ran
    assert inspected.returncode == 0, inspected.stderr
    assert "not an image in a supported format" in inspected.stdout
    predicted = cli("predict", comparison.run, ghostscript.picture, PATH=ghostscript.path)
    assert not ghostscript.ran
    assert predicted.returncode == 2
    assert "x.jpg: it is not an image in a supported format (JPEG, PNG," in predicted.stderr
