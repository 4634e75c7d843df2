"""`foray recipes`, `--recipe` and `--set`."""

from __future__ import annotations

from pathlib import Path

from foray.recipes import preset, read_recipe
from foray.records import RunRecord

from .conftest import Cli


def test_the_presets_are_listed_and_printed_as_files(cli: Cli, tmp_path: Path) -> None:
    listed = cli("recipes")
    assert listed.returncode == 0
    assert all(protocol in listed.stdout for protocol in ("scratch", "linear", "partial", "finetune"))
    assert max(map(len, listed.stdout.splitlines())) <= 80
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
    ):
        done = cli("train", images, "--model", "mobilenet_v1_x0.25", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
