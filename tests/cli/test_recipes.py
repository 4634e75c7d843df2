"""`foray recipes`, `--recipe` and `--set`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from foray.cli.options import read_recipe_file
from foray.errors import ForayError, UnknownNameError
from foray.recipes import preset, read_recipe, recipe_named, recipe_toml, recipes_by_name
from foray.records import RunRecord

from .conftest import Cli


def test_the_presets_are_listed_and_printed_as_files(cli: Cli, tmp_path: Path) -> None:
    listed = cli("recipes")
    assert listed.returncode == 0
    rows = listed.stdout.splitlines()
    assert set(recipes_by_name()) <= {row.split(" ")[0] for row in rows}
    assert max(map(len, rows)) <= 80
    assert not [row for row in rows if row.startswith(" ")]  # no cell is folded
    path = tmp_path / "mine.toml"
    path.write_text(cli("recipes", "partial", "--set", "epochs=3").stdout)
    assert read_recipe(path) == preset("partial", epochs=3)


def test_a_run_follows_the_recipe_it_is_given(cli: Cli, images: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(cli("recipes", "scratch", "--set", "optimizer.name=sgd", "--set", "epochs=9").stdout)
    done = cli(
        "train", images, "--model", "mobilenet_v1_x0.25", "--recipe", path, "--set", "epochs=1", "--workers", "1",
        "--out", tmp_path / "runs",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = [RunRecord.load(run / "record.json") for run in (tmp_path / "runs").iterdir()]
    assert (record.recipe["protocol"], record.recipe["epochs"]) == ("scratch", 1)
    assert record.recipe["optimizer"]["name"] == "sgd"


def test_slips_get_one_message(cli: Cli, images: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(cli("recipes", "scratch").stdout)
    for arguments, message in (
        (("--recipe", path, "--epochs", "3"), "--set epochs=N"),
        (("--protocol", "scratch", "--set", "epoch=3"), "unknown key 'epoch'"),
        (("--protocol", "scratch", "--unfreeze", "last:3"), "--unfreeze is for --protocol partial"),
        (("--recipe", tmp_path / "none.toml"), "Cannot read the recipe"),
        (("--recipe", "scratch_storng"), "Did you mean scratch_strong"),
    ):
        done = cli("train", images, "--model", "mobilenet_v1_x0.25", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_a_recipe_is_taken_by_its_name(cli: Cli, images: Path, tmp_path: Path) -> None:
    done = cli(
        "train", images, "--model", "mobilenet_v1_x0.25", "--recipe", "cifar10_scratch", "--set", "epochs=1",
        "--set", "batch_size=16", "--resolution", "32", "--workers", "1", "--out", tmp_path / "runs",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = [RunRecord.load(run / "record.json") for run in (tmp_path / "runs").iterdir()]
    wanted = recipe_named("cifar10_scratch").model_copy(update={"epochs": 1, "batch_size": 16})
    assert record.recipe == wanted.model_dump(mode="json")


def test_a_name_goes_before_a_file_of_that_name_and_a_file_needs_no_ending(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("finetune").write_text(recipe_toml(preset("scratch")), encoding="utf-8")
    Path("mine").write_text(recipe_toml(preset("scratch")), encoding="utf-8")
    assert read_recipe_file("finetune", None, None) == preset("finetune")
    assert read_recipe_file("./finetune", None, None) == preset("scratch")
    assert read_recipe_file("mine", None, None) == preset("scratch")
    with pytest.raises(UnknownNameError, match="Did you mean finetune"):
        read_recipe_file("finetun", None, None)
    for absent in ("./finetun", "finetun.toml"):
        with pytest.raises(ForayError, match="Cannot read the recipe"):
            read_recipe_file(absent, None, None)


def test_listing_recipes_needs_no_torch() -> None:
    code = "import sys; from foray.cli.recipes import recipes; recipes(); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
