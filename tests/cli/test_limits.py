"""What one request may ask for is bounded: beyond, a message and exit status 2 instead of a command that never ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foray import limits
from foray.cli.main import app
from foray.clock.measure import time_candidates
from foray.clock.schedule import TimingSchedule
from foray.data import decode_for_evaluation, open_dataset
from foray.errors import ForayError
from foray.recipes import changed, preset
from foray.scaling.directions import directions
from foray.specs import Preprocessing
from tests.asking import plan_comparison, plan_run, plan_search
from tests.cli.conftest import Cli

HUGE = 10**8
COMPARE = ("compare", "digits", "--models", "mobilenet_v2_x0.25", "--protocol", "scratch", "--dry-run")
TRAIN = ("train", "digits", "--model", "mobilenet_v2_x0.25", "--protocol", "scratch")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((*COMPARE, "--seeds", HUGE), "Invalid value for '--seeds': Input should be less than or equal to 1000"),
        ((*COMPARE, "--epochs", HUGE), "'--epochs'"),
        ((*COMPARE, "--resolution", HUGE), "'--resolution'"),
        ((*COMPARE, "--threads", HUGE), "'--threads'"),
        ((*TRAIN, "--workers", HUGE), "'--workers'"),
        (("profile", "mobilenet_v2", "--turns", HUGE), "'--turns'"),
        (("profile", "mobilenet_v2", "--resolution", HUGE), "'--resolution'"),
        (("profile", "mobilenet_v2", "--batch", f"1,{HUGE}"), "--batch must be at most 65,536, not 100,000,000"),
        (("profile", "mobilenet_v2", "--threads", HUGE), "--threads must be at most 1,024, not 100,000,000"),
        (("scale", "--max-params", "9M", "--alpha", HUGE), "'--alpha'"),
        (("scale", "--max-params", "9M", "--beta", "nan"), "'--beta'"),
        (("scale", "--max-params", "9M", "--classes", 10**18), "'--classes'"),
        (("scale", "--search", "digits", "--seeds", HUGE, "--dry-run"), "'--seeds'"),
        (("reproduce", "--list", "--seeds", HUGE), "'--seeds'"),
        (("scale", "--search", "digits", "--epochs", HUGE, "--dry-run"), "'--epochs'"),
        (("scale", "--search", "digits", "--steps", HUGE, "--dry-run"), "--steps must be at most 20"),
    ],
)
def test_the_command_line_refuses_what_no_machine_could_do(
    arguments: tuple[object, ...], named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 2, done.output
    assert named in " ".join(done.output.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "setting",
    ["epochs=100000000", "batch_size=100000000", "augmentation.num_ops=100000000", "feature_views=100000000"],
)
def test_a_recipe_refuses_it_as_well(setting: str) -> None:
    key, _, value = setting.partition("=")
    with pytest.raises(
        ForayError, match=rf"`changes`: {key} = {value} does not fit: Input should be less than or equal"
    ):
        changed(preset("linear" if key == "feature_views" else "scratch"), [setting])


def test_dry_run_says_so_at_once(cli: Cli) -> None:
    done = cli(*COMPARE, "--seeds", HUGE)
    assert done.returncode == 2
    assert "Invalid value for '--seeds': Input should be less than or equal to 1000" in done.stderr
    assert done.stdout == ""


DIGITS = "digits"
MANY = [f"mobilenet_v2@d1,w1,r{32 * i}" for i in range(1, 21)]
CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "seeds": (
        lambda: plan_comparison(DIGITS, ["mobilenet_v2"], "scratch", seeds=HUGE),
        "`seeds` must be at most 1,000, not 100,000,000",
    ),
    "no seeds": (
        lambda: plan_comparison(DIGITS, ["mobilenet_v2"], "scratch", seeds=0),
        "`seeds` must be at least 1, not 0",
    ),
    "models times seeds": (
        lambda: plan_comparison(DIGITS, MANY, "scratch", seeds=1000),
        "20 models with 1,000 seeds are 20,000 runs; one request may ask for 10,000",
    ),
    "threads": (
        lambda: plan_comparison(DIGITS, ["mobilenet_v2"], "scratch", threads=HUGE),
        "`threads` must be at most 1,024",
    ),
    "epochs": (
        lambda: plan_comparison(DIGITS, ["mobilenet_v2"], "scratch", epochs=HUGE),
        "`epochs` must be at most 100,000",
    ),
    "resolution": (
        lambda: plan_run("mobilenet_v2", open_dataset(DIGITS), preset("scratch"), resolution=HUGE),
        "`resolution` must be at most 4,096",
    ),
    "workers": (
        lambda: decode_for_evaluation(open_dataset(DIGITS), Preprocessing(8), workers=HUGE),
        "`workers` must be at most 1,024",
    ),
    "steps": (lambda: directions(HUGE), "`steps` must be at most 20"),
    "search": (lambda: plan_search(DIGITS, "mobilenet_v2@d1,w1,r32", seeds=HUGE), "`seeds` must be at most 1,000"),
    "turns": (lambda: time_candidates([], schedule=TimingSchedule(turns=HUGE)), "`turns` must be at most 1,000,000"),
    "batches": (lambda: time_candidates([], batches=[1, HUGE]), "`batches` must be at most 65,536"),
}


@pytest.mark.parametrize("what", CALLS)
def test_python_gets_the_same_as_an_error(what: str) -> None:
    call, message = CALLS[what]
    with pytest.raises(ForayError) as refusal:
        call()
    assert message in str(refusal.value)


def test_the_largest_requests_that_are_allowed_are() -> None:
    limits.require_runs(10, limits.MOST_SEEDS)
    limits.require_range("--x", 3, 1, 3)
    assert preset("scratch", epochs=limits.MOST_EPOCHS).epochs == limits.MOST_EPOCHS
    assert len(directions(limits.MOST_STEPS)) == 232
