"""What foray writes takes the place of its own files alone; anything else stops it before it works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Cli, Finished


@pytest.mark.parametrize("name", ["report.html", "table.md", "table.csv"])
def test_a_comparison_overwrites_no_report_that_is_not_its_own(
    cli: Cli, images: Path, tmp_path: Path, name: str
) -> None:
    mine = tmp_path / "mine" / name
    mine.parent.mkdir()
    mine.write_text("mine")
    done = cli("compare", images, *TINY, "--out", "mine")
    assert done.returncode == 2
    assert f"mine holds {name} but no comparison.json: foray did not write that" in done.stderr
    assert mine.read_text() == "mine"
    assert [path.name for path in mine.parent.iterdir()] == [name]


def test_its_own_report_is_written_again_and_other_files_stay(cli: Cli, comparison: Finished) -> None:
    figures = comparison.out / "figures"
    for path in (
        comparison.out / "notes.txt",
        figures / "notes.txt",
        figures / "curves.txt",
        figures / "curvesketch.png",
    ):
        path.write_text("mine")
    assert cli("report", comparison.out).returncode == 0
    for path in (
        comparison.out / "notes.txt",
        figures / "notes.txt",
        figures / "curves.txt",
        figures / "curvesketch.png",
    ):
        assert path.read_text() == "mine"
        path.unlink()
    assert (figures / "curves.png").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("profile.json", "{}", "profile.json is damaged or was written by another version"),
        ("device.json", "mine", "device.json is damaged or was written by another version"),
        ("device.json", "of a Pi", "device.json was measured on Raspberry Pi 5, and would be overwritten"),
    ],
)
def test_a_profile_overwrites_nothing_measured_elsewhere(
    cli: Cli, comparison: Finished, tmp_path: Path, name: str, content: str, message: str
) -> None:
    if content == "of a Pi":
        measured = json.loads((comparison.run / "profile.json").read_text())
        content = json.dumps({"schema_version": 1, "device": "Raspberry Pi 5", "profiles": [measured]})
    (tmp_path / name).write_text(content)
    done = cli("profile", "mobilenet_v1_x0.25", "--resolution", 32, "--out", tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert (tmp_path / name).read_text() == content
