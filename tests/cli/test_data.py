"""`foray data inspect` on folders with everything a folder of images can have."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from .conftest import PER_CLASS, Cli, paint


def test_counts_per_class_and_split(images: Path, cli: Cli) -> None:
    done = cli("data", "inspect", images)
    assert done.returncode == 0, done.stderr
    for name in ("circle red", "grün", "blue"):
        (row,) = [line for line in done.stdout.splitlines() if line.startswith(name)]
        *splits, total = map(int, row.removeprefix(name).split())
        assert sum(splits) == total == PER_CLASS
    assert "40 to 40 px" in done.stdout
    assert "unreadable: none" in done.stdout
    assert "exact duplicates across splits: none" in done.stdout
    assert "licence" in done.stdout


def test_what_is_wrong_is_named(cli: Cli, tmp_path: Path) -> None:
    """An exact copy across given splits, an empty file, a text file with the name of an image."""
    for split in ("train", "val", "test"):
        paint(tmp_path / "set" / split, per_class=3)
    shutil.rmtree(tmp_path / "set" / "val")
    shutil.rmtree(tmp_path / "set" / "test" / "blue")
    (tmp_path / "set" / "test" / "blue").mkdir()
    (tmp_path / "set" / "test" / "blue" / "empty.png").touch()
    (tmp_path / "set" / "test" / "blue" / "words.jpg").write_text("no image", encoding="utf-8")
    done = cli("data", "inspect", "set", "--json")
    assert done.returncode == 0, done.stderr
    audit = json.loads(done.stdout)
    unreadable = {Path(image["id"]).name for image in audit["unreadable"]}
    assert unreadable == {"empty.png", "words.jpg"}
    copies = {(Path(pair["first"]).name, Path(pair["second"]).name) for pair in audit["exact_duplicates"]}
    assert ("00.png", "00.png") in copies

    text = cli("data", "inspect", "set").stdout
    assert "unreadable: 2" in text
    assert "words.jpg" in text


@pytest.mark.parametrize("name", ["digit", "cifar-10"])
def test_unknown_name_suggests_the_nearest(name: str, cli: Cli) -> None:
    done = cli("data", "inspect", name)
    assert done.returncode == 2
    assert "Did you mean" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_named_pipe_among_the_images_is_named_and_skipped(cli: Cli, tmp_path: Path) -> None:
    folder = paint(tmp_path / "photos", per_class=6)
    os.mkfifo(folder / "blue" / "pipe.jpg")
    reason = "it is a named pipe (FIFO), not a regular file"
    inspected = cli("data", "inspect", folder)
    assert inspected.returncode == 0, inspected.stderr
    assert f"unreadable: 1\n  blue/pipe.jpg: {reason}\n" in inspected.stdout
    train = (
        "train", folder, "--model", "mobilenet_v1_x0.25", "--protocol", "scratch", "--epochs", 1, "--workers", 1,
        "--resolution", 32,
    )  # fmt: skip
    stopped, skipped = cli(*train), cli(*train, "--skip-unreadable")
    assert stopped.returncode == 2
    assert f"1 image cannot be read: blue/pipe.jpg ({reason})." in stopped.stderr
    assert skipped.returncode == 0, skipped.stderr


def test_a_named_set_states_its_groups(cli: Cli, shared_data: Path) -> None:
    done = cli("data", "inspect", "rock_paper_scissors", "--data-dir", shared_data / "data/rock_paper_scissors_28px")
    assert done.returncode == 0, done.stderr
    assert "33: frames of one hand" in done.stdout
    assert "near-duplicates across splits: none" in done.stdout
