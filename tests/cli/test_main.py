"""`foray` before it does anything: help, version, slips of the keyboard, errors."""

from __future__ import annotations

import os
import subprocess
import typing
from pathlib import Path

import pytest

import foray
from foray.cli import options
from foray.clock import schedule
from foray.recipes import recipe
from foray.records import cost

from .conftest import Cli, command, environment

VERBS = ["compare", "train", "evaluate", "predict", "models", "recipes", "scale", "data", "report", "settle"]


@pytest.mark.parametrize("arguments", [("--help",), *[(verb, "--help") for verb in VERBS], ("data", "inspect", "-h")])
def test_help_fits_80_columns(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: foray")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout


def test_help_names_every_verb(cli: Cli) -> None:
    lines = cli("--help").stdout.splitlines()
    named = [line.split()[0] for line in lines[lines.index("Commands:") + 1 :] if line.startswith("  ")]
    assert set(VERBS) <= set(named)


def test_no_argument_shows_the_help(cli: Cli) -> None:
    assert "Commands:" in cli().stdout + cli().stderr


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout == f"foray {foray.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (("compair",), "'compare'"),
        (("data", "inspct"), "'inspect'"),
        (("compare", "x", "--modles", "y"), "--models"),
        (("train", "x", "--model", "y", "--protocol", "fine-tune"), "'finetune'"),
        (("compare", "x", "--models", "y", "--prefer", "speed"), "'latency'"),
    ],
)
def test_slips_end_with_a_suggestion(cli: Cli, arguments: tuple[str, ...], suggestion: str) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert suggestion in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "unit"),
    [
        ("--max-latency", "30", "ms"),
        ("--max-latency", "30MB", "ms"),
        ("--max-memory", "60", "MB"),
        ("--max-memory", "60ms", "MB"),
        ("--max-file", "20pt", "MB"),
        ("--max-params", "6MB", "6M"),
        ("--max-macs", "-5M", "M"),
        ("--tolerance", "1", "pt"),
        ("--tolerance", "1ms", "pt"),
    ],
)
def test_numbers_need_their_unit(option: str, value: str, unit: str, images: Path, cli: Cli) -> None:
    done = cli("compare", images, "--models", "mobilenet_v2", option, value)
    assert done.returncode == 2
    assert done.stderr.startswith("foray: ")
    assert option in done.stderr
    assert value in done.stderr
    assert unit in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_epochs_and_seeds_start_at_one(images: Path, cli: Cli) -> None:
    for option in ("--epochs", "--seeds"):
        done = cli("compare", images, "--models", "mobilenet_v2", option, "0")
        assert done.returncode == 2
        assert option in done.stderr


def test_debug_shows_where_an_error_was_raised(cli: Cli) -> None:
    quiet = cli("report", "nowhere")
    assert quiet.returncode == 2
    assert quiet.stderr.startswith("foray: There is no finished comparison in nowhere: it has no comparison.json.")
    loud = cli("report", "nowhere", FORAY_DEBUG="1")
    assert loud.returncode == 1
    assert "Traceback" in loud.stderr
    assert "RunError" in loud.stderr


def test_a_reader_that_leaves_early_is_no_error(cli_cache: Path) -> None:
    with subprocess.Popen(
        command("compare", "--help"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(cli_cache)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_choices_are_those_of_recipes_and_records() -> None:
    assert typing.get_args(options.Protocol) == typing.get_args(recipe.Protocol)
    assert typing.get_args(options.Preference) == typing.get_args(cost.Preference)
    assert options.WAIT_SECONDS == schedule.WAIT_SECONDS


def test_ctrl_c_during_the_first_imports_is_no_traceback(tmp_path: Path) -> None:
    """Typer is imported first: here it is a module during whose import the key is pressed."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    shown = environment(tmp_path)
    shown["PYTHONPATH"] = os.pathsep.join([str(tmp_path), shown.get("PYTHONPATH", "")])
    done = subprocess.run(command("models"), cwd=tmp_path, env=shown, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nInterrupted.\n")
