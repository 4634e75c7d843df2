"""`foray scale`: the answer, what it refuses, and that its names are models like any other."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import pytest

from foray.cli import scale
from foray.scaling import By

from .conftest import Cli


def test_the_largest_network_within_a_budget(cli: Cli) -> None:
    done = cli("scale", "efficientnet", "--max-macs", "600M", "--max-memory", "60MB", "--by", "free")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "--max-macs binds: without it, efficientnet_b2" in done.stdout
    assert "--max-memory does not bind" in done.stdout
    answer = next(line for line in lines if line.startswith("Largest within the budget: ")).split()[-1]
    shown = cli("models", answer)
    assert shown.returncode == 0
    assert f"{answer}, one image of" in shown.stdout


def test_json_holds_every_admissible_network(cli: Cli) -> None:
    found = json.loads(cli("scale", "mobilenet_v2", "--max-params", "2M", "--classes", "10", "--json").stdout)
    assert found["best"] == found["admissible"][0]["name"]
    assert all(row["params"] <= 2_000_000 for row in found["admissible"])
    assert set(found["fronts"]) == {"params"}
    assert {"mobilenet_v2_x0.5", "mobilenet_v2_x0.35"} <= {row["released_as"] for row in found["admissible"]}


def test_a_latency_of_one_burst_is_measured_and_keeps_no_bound(cli: Cli) -> None:
    done = cli("scale", "mobilenet_v2", "--max-latency", "10s", "--max-macs", "20M", "--threads", "1", "--wait", "0")
    assert done.returncode == 4
    assert done.stdout == ""
    assert ", p95 " in done.stderr
    said = " ".join(done.stderr.split())
    assert "Not known which network keeps the bound of 10,000 ms latency: the latency of mobilenet_v2" in said
    assert "was not steady (" in said
    assert "all passes are from one process at one time" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("efficientnet",), "--max-macs 600M"),
        (("efficientnet", "--max-macs", "600"), "did you mean 600M?"),
        (("efficientnet", "--max-memory", "60"), "has no unit"),
        (("efficientnet", "--max-macs", "-5M"), "must be above zero"),
        (("efficientnet", "--max-macs", "3X"), "is not a unit that is known here"),
        (("efficientnet", "--max-macs", ""), "The argument after --max-macs is empty"),
        (("efficientnet", "--max-macs", "M"), "is not a number with a unit"),
        (("efficientnet", "--max-latency", "12"), "has no unit"),
        (("efficientnet", "--max-macs", "1M"), "The cheapest is efficientnet@"),
        (("resnet18", "--max-macs", "600M"), "Scaled are efficientnet"),
        (
            ("efficientnet", "--max-macs", "1G", "--alpha", "1", "--beta", "1", "--gamma", "1"),
            "nothing would be scaled",
        ),
    ],
)
def test_bad_input_gets_one_message(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    done = cli("scale", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_malformed_scaled_names_are_refused_in_a_list_of_models(cli: Cli) -> None:
    done = cli("compare", "digits", "--models", "mobilenet_v2,efficientnet@d1.2,w", "--protocol", "scratch")
    assert done.returncode == 2
    assert "'w' is not d, w or r" in done.stderr


def test_choices_are_those_of_the_solver() -> None:
    assert typing.get_args(scale.By) == typing.get_args(By)


def test_a_search_shows_its_plan_and_refuses_what_it_cannot_use(cli: Cli) -> None:
    planned = cli("scale", "--search", "digits", "--epochs", "1", "--dry-run")
    assert planned.returncode == 0
    assert "efficientnet@d0.5,w0.5,r96" in planned.stdout
    assert "seeds 0, 1, 2" in planned.stdout
    both = cli("scale", "--search", "digits", "--max-macs", "600M")
    assert both.returncode == 2
    assert "give the bounds to a second foray scale" in both.stderr


def test_a_search_ends_with_the_grid_a_verdict_and_a_picture(cli: Cli, images: Path, tmp_path: Path) -> None:
    options = ("--proxy", "mobilenet_v1@d0.5,w0.1,r32", "--epochs", "1", "--seeds", "2", "--workers", "1")
    done = cli("scale", "--search", images, *options, "--out", tmp_path / "scaling")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= 80
    assert "Most accurate on val, cross-fitted: mobilenet_v1@" in done.stdout
    assert (tmp_path / "scaling" / "scaling_search.png").stat().st_size > 10_000
