"""The error at which a comparison tests: 2.5 %, as labels may settle the rest, or 5 % where they will not."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

import foray
import foray.comparison
from foray.cli.main import app
from tests.asking import plan_comparison

MODEL = "mobilenet_v1_x0.25"


class Asked(Exception):
    """In place of a comparison, with the request."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def compare(request: Any, *_: Any, **__: Any) -> None:
        raise Asked(request)

    monkeypatch.setattr(foray.comparison, "compare", compare)


def test_the_plan_has_the_error_and_is_the_same_comparison() -> None:
    usual, alone = (plan_comparison("digits", [MODEL], "scratch", alone=alone) for alone in (False, True))
    assert (usual.error, alone.error) == (0.025, 0.05)
    assert usual.key == alone.key


@pytest.mark.parametrize("alone", [False, True])
def test_python_and_the_command_line_ask_for_it(asked, alone, tmp_path) -> None:
    with pytest.raises(Asked) as from_python:
        foray.compare("digits", [MODEL], "scratch", alone=alone, out=tmp_path)
    arguments = ["compare", "digits", "--models", MODEL, "--protocol", "scratch", "--out", str(tmp_path)]
    typed = CliRunner().invoke(app, [*arguments, *(["--alone"] if alone else [])])
    assert isinstance(typed.exception, Asked), typed.output
    for request in (from_python.value.args[0], typed.exception.args[0]):
        assert request.alone is alone


def test_help_says_when_to_use_it() -> None:
    shown = " ".join(CliRunner().invoke(app, ["compare", "--help"], terminal_width=200).output.split())
    assert "Allow 5 % wrong picks, not 2.5 %. Only if you will not run foray settle on this folder." in shown
