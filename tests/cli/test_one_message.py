"""What a user gets wrong ends with one message and exit status 2, from Python with a ForayError."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from foray.api import evaluate, export_run
from foray.cli.main import Verbs, app
from foray.data import Dataset, open_dataset
from foray.errors import ForayError, RunError, UnknownNameError
from foray.models import build_model
from foray.parsing import home_expanded
from foray.records import Budget, require_writable
from foray.reproduce.experiments import experiments_at
from foray.runs.held_out import without_run
from foray.scaling import Family, solve
from foray.specs import Coefficients, get_spec
from tests.asking import plan_comparison, plan_run, recipe_for

LONG = "x" * 300
NOBODY = "~nosuchuser/x"
TRAIN = ("train", "digits", "--model", "mobilenet_v1_x0.25")
COMPARE = ("compare", "digits", "--models", "mobilenet_v1_x0.25", "--protocol", "scratch")
EVALUATE = ("evaluate", "--model", "mobilenet_v1_x0.25")


def commands(name: str) -> list[tuple[str, ...]]:
    """Every verb with every argument that takes a path, given `name`."""
    return [
        ("train", name, "--model", "mobilenet_v1_x0.25", "--protocol", "scratch"),
        (*TRAIN, "--weights", name),
        (*TRAIN, "--protocol", "scratch", "--recipe", f"{name}.toml"),
        (*TRAIN, "--protocol", "scratch", "--epochs", "1", "--out", name),
        ("train", "cifar10", *TRAIN[2:], "--protocol", "scratch", "--data-dir", name),
        ("train", "--resume", name),
        (*COMPARE, "--out", name),
        (*COMPARE, "--profiles", name),
        ("evaluate", name, "digits"),
        (*EVALUATE, "--weights", name, "imagenet", "--data-dir", "."),
        ("predict", name, "image.png"),
        ("export", name),
        ("export", "run", "--out", name),
        ("certify", name, "digits", "--run", "run"),
        ("profile", "mobilenet_v1_x0.25", "--weights", name),
        ("profile", "mobilenet_v1_x0.25", "--out", name),
        ("scale", "--search", name, "--dry-run"),
        ("reproduce", "--data-dir", name),
        ("reproduce", "--from", name),
        ("reproduce", "--from", ".", "--out", name),
        ("report", name),
        ("data", "inspect", name),
    ]


@pytest.mark.parametrize("name", [LONG, NOBODY])
@pytest.mark.parametrize("number", range(len(commands(""))))
def test_a_path_that_cannot_be_ends_with_one_message(
    name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, commands(name)[number])
    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit)
    last = done.output.strip().splitlines()[-1]
    assert last.startswith("foray: ")
    assert name in last or "home folder" in last
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--models", "--runtime", "--tolerance", "--max-params"])
def test_a_long_word_is_shown_by_its_beginning(option: str) -> None:
    done = CliRunner().invoke(app, [*COMPARE, "--dry-run", option, "x" * 5000])
    assert (done.exit_code, len(done.output) < 600) == (2, True), done.output


def test_a_home_folder_is_found_where_no_shell_expands_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for arguments in (("report", "~/none"), ("predict", "~/none", "x.png"), ("reproduce", "--from=~/none")):
        assert str(tmp_path / "none") in CliRunner().invoke(app, arguments).output
    monkeypatch.chdir(tmp_path)
    (tmp_path / NOBODY.partition("/")[0]).write_text("a file of that name")
    assert home_expanded("~nosuchuser").read_text() == "a file of that name"
    with pytest.raises(ForayError, match="home folder that ~ stands for"):
        home_expanded("~nosuchuser2")


def test_predict_says_whether_the_folder_is_missing_or_of_another_kind(tmp_path: Path) -> None:
    missing = CliRunner().invoke(app, ["predict", str(tmp_path / "none"), "x.png"])
    assert f"{tmp_path / 'none'} does not exist. Name the folder of a run or of an exported artifact." in missing.output
    other = CliRunner().invoke(app, ["predict", str(tmp_path), "x.png"])
    said = f"{tmp_path} is neither a run (record.json) nor an exported artifact (artifact.json)."
    assert said in other.output
    assert (missing.exit_code, other.exit_code) == (2, 2)


def test_what_the_system_refuses_unforeseen_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = typer.Typer(cls=Verbs)

    @broken.command()
    def read() -> None:
        (tmp_path / LONG).read_bytes()

    @broken.command()
    def fail() -> None:
        raise ZeroDivisionError

    done = CliRunner().invoke(broken, ["read"])
    assert done.exit_code == 2
    assert f"foray: Cannot use {tmp_path / LONG}: File name too long." in done.output
    assert isinstance(CliRunner().invoke(broken, ["fail"]).exception, ZeroDivisionError)  # a fault of foray's own
    monkeypatch.setenv("FORAY_DEBUG", "1")
    assert isinstance(CliRunner().invoke(broken, ["read"]).exception, OSError)


def test_a_folder_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    require_writable(tmp_path)
    require_writable(tmp_path / "not" / "yet" / "there")
    for folder, said in ((tmp_path / "file", "it is a file"), (tmp_path / "file" / "x", "Not a directory"),
                         (tmp_path / LONG, "File name too long")):  # fmt: skip
        with pytest.raises(RunError, match=said):
            require_writable(folder)
        for arguments in (("profile", "mobilenet_v1_x0.25", "--out", folder), (*COMPARE, "--out", folder),
                          ("export", "run", "--out", folder), ("reproduce", "--out", folder)):  # fmt: skip
            done = CliRunner().invoke(app, list(map(str, arguments)))
            assert (done.exit_code, said in done.output) == (2, True), done.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read_is_said_before_the_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="it is read-only"):
        require_writable(tmp_path / "out")


def test_no_home_folder_at_all_is_said_by_what_needs_one() -> None:
    program = """
import pwd, sys
def getpwuid(number): raise KeyError(number)
pwd.getpwuid = getpwuid
from foray.cli.main import app
app(sys.argv[1:])
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_", "FORAY_", "HOME"))}
    for arguments, said in (
        (("data", "inspect", "digits"), "Set FORAY_CACHE to a folder, or give --cache-dir"),
        (("profile", "mobilenet_v2", "--weights", "hub", "--offline"), "Set HF_HOME to a folder"),
    ):
        done = subprocess.run([sys.executable, "-c", program, *arguments], env=env, capture_output=True, text=True)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
        assert said in " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset("digits", cache_dir=tmp_path_factory.mktemp("cache"))


def a_plan(**wrong: object) -> object:
    return plan_comparison("digits", ["mobilenet_v1_x0.25"], "scratch", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: a_plan(prefer="speed"), "Unknown cost to prefer 'speed'.*There are latency, macs"),
        (lambda: evaluate("run", "digits", "tets"), "Unknown split 'tets'. Did you mean test"),
        (lambda: without_run(None, "vall"), "Unknown split 'vall'. Did you mean val"),
        (lambda: experiments_at("minni", ["x"]), "Unknown scale 'minni'. Did you mean mini"),
        (lambda: build_model(get_spec("mobilenet_v2"), small_image="stride1"), "Did you mean stride1_stem"),
        (lambda: solve(Family("efficientnet", Coefficients(1.2, 1.1, 1.15), 10), Budget(max_params=10**7), by="fre"),
         "Unknown way of scaling 'fre'. Did you mean free"),
    ],
)  # fmt: skip
def test_an_unknown_word_names_the_nearest(call: Callable[[], object], said: str) -> None:
    with pytest.raises(UnknownNameError, match=said):
        call()


@pytest.mark.parametrize("tolerance", [5.0, -0.01, float("nan")])
def test_a_tolerance_is_a_difference_of_accuracies(tolerance: float) -> None:
    for call in (
        lambda: a_plan(tolerance=tolerance),
        lambda: export_run("run", ["onnx"], ["fp32"], "out", tolerance=tolerance),
    ):
        with pytest.raises(ForayError, match=r"between 0 and 1 \(0.01 is one point\)"):
            call()


@pytest.mark.parametrize("seed", [2**64, -1])
def test_a_seed_is_one_that_torch_takes(digits: Dataset, seed: int) -> None:
    recipe = recipe_for(digits, "scratch")
    for call in (
        lambda: plan_run("mobilenet_v1_x0.25", digits, recipe, seed=seed),
        lambda: export_run("run", ["onnx"], ["fp32"], "out", seed=seed),
    ):
        with pytest.raises(ForayError, match="`seed` must"):
            call()


def test_a_resolution_is_one_that_a_name_may_have(digits: Dataset) -> None:
    with pytest.raises(ForayError, match="`resolution` must be at most 4,096, not 1,000,000,000"):
        plan_run("mobilenet_v1_x0.25", digits, recipe_for(digits, "scratch"), resolution=10**9)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("settle", "out", "--images", ""), "The argument after --images"),
        (("settle", "out", "--images="), "--images="),
        (("report", ""), "The argument after report"),
    ],
)
def test_an_empty_argument_is_not_the_current_folder(arguments: tuple[str, ...], named: str) -> None:
    """A variable of the shell that is not set becomes one, and `Path("")` is "."."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert done.output == f"foray: {named} is empty. Is a variable of the shell not set?\n"
