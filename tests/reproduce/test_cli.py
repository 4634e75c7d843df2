"""`foray reproduce` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.cli.main import app
from foray.reproduce.all_claims import CLAIMS

from .conftest import Finished


def foray(*arguments: object) -> None:
    app(["reproduce", *map(str, arguments)], standalone_mode=False)


def test_the_list_has_every_claim_and_runs_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    foray("--list", "--offline")
    printed = capsys.readouterr().out
    assert all(claim in printed for claim in CLAIMS)
    assert f"{len(CLAIMS)} claims need" in printed
    assert "at scale reduced" in printed
    assert "rps-b0" in printed
    assert "rps-b2" not in printed  # at full alone
    assert "github.com/AlexOlsen/DeepWeeds" in printed  # where the images are found
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_the_full_scale_says_how_to_spread_it(capsys: pytest.CaptureFixture[str]) -> None:
    foray("table1.cifar100", "--list", "--scale", "full", "--offline")
    printed = capsys.readouterr().out
    assert "torchrun --nproc-per-node 8 -m foray reproduce" in printed
    assert "cifar100-b0" in printed
    assert "500" in printed


def test_judging_again_prints_every_verdict(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foray("scaling.product", "mobilenet.whole.keeps_rising", "--from", finished.results, "--out", tmp_path)
    printed = capsys.readouterr().out
    assert printed.startswith("Mini")
    assert "\n   1 error in the study\n   1 no result\nPage: " in printed
    assert (tmp_path / "reproduction.html").is_file()


def test_claims_are_printed_with_their_reasons_and_counted_by_verdict(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    foray("analysis.separable", "scaling.phi", "table1.rps.b2", "--offline", "--out", tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 60 for line in lines if not line.startswith("Page: "))
    assert "scaling.phi: error in the study" in lines
    assert "    B0 is phi = 0, where all three multipliers are 1. At phi" in lines
    assert lines[-6:-1] == ["", "   1 reproduced", "   1 not reproduced", "   1 error in the study", "   1 no result"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tabel1"], "Unknown claim 'tabel1'. Did you mean table1"),
        (["--from", "nowhere"], "There are no results in nowhere"),
        (["--data-dir", "nowhere"], "--data-dir nowhere is not a folder"),
    ],
)
def test_mistakes_end_with_one_message(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        foray(*arguments)
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert list(tmp_path.iterdir()) == []
