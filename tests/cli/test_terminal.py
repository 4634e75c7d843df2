"""Whatever files, classes and data sets are called, the terminal gets text: names are shown and steer nothing."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from foray.cli.main import app
from foray.cli.progress import PlainProgress, RichProgress
from foray.cli.tables import print_rows, print_table
from foray.cli.terminal import PlainStream, command_lines, plain_streams, say
from tests.cli.conftest import Cli

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202e\r"  # window title, colour, clear screen, right to left, overwrite
SHOWN = r"\u001b]0;owned\u0007\u001b[31mred\u009b2J\u202e\u000d"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Two classes of five pictures, one name in everything: data set, class, pictures, one of them unreadable."""
    folder = tmp_path / f"squares{HOSTILE}"
    for label, level in {f"dark{HOSTILE}\n": 20, "light": 220}.items():
        (folder / label).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (24, 24), (level, 9 * i, 90)).save(folder / label / f"{i}{HOSTILE}.png")
    (folder / "light" / f"5{HOSTILE}.png").write_bytes(b"no picture")
    return folder


def words(text: str) -> str:
    """Without what a table folds names with."""
    return "".join(text.split())


def test_every_verb_shows_names_and_json_stays_exact(cli: Cli, squares: Path) -> None:
    label = f"dark{HOSTILE}".rstrip()  # white space around a class name is dropped
    trained = (
        "train", squares, "--model", "mobilenet_v1_x0.25", "--protocol", "scratch", "--epochs", 1, "--workers", 1,
        "--threads", 1, "--resolution", 32,
    )  # fmt: skip
    refused, done = cli(*trained), cli(*trained, "--skip-unreadable", "--out", f"runs{HOSTILE}")
    assert (refused.returncode, done.returncode) == (2, 0), done.stderr
    run = next((squares.parent / f"runs{HOSTILE}").glob("*/record.json")).parent
    commands = {
        "refused": refused,
        "trained": done,
        "inspected": cli("data", "inspect", squares),
        "scored": cli("evaluate", run, squares, "--threads", 1),
        "seen": cli("predict", run, squares / "light" / f"0{HOSTILE}.png"),
        "missing": cli("train", f"gone{HOSTILE}\nforay: all is well", "--model", "mobilenet_v2"),
        "inspected as JSON": cli("data", "inspect", squares, "--json"),
    }
    for what, finished in commands.items():
        assert not STEERING.search(finished.stdout), what
        assert not STEERING.search(finished.stderr), what
        shown = SHOWN.removesuffix(r"\u000d")  # JSON writes \r itself
        assert words(shown) in words(finished.stdout + finished.stderr), what
    assert commands["missing"].stderr.count("\n") == 1  # a name does not end a message
    audit = json.loads(commands["inspected as JSON"].stdout)
    assert label in audit["dataset"]["classes"]
    assert audit["unreadable"][0]["id"] == f"light/5{HOSTILE}.png"


def test_cells_and_values_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["class"], [[f"a{HOSTILE}"], ["b\nc"]])
    print_rows([(f"what{HOSTILE}", f"value{HOSTILE}\nvalue")])
    say(f"said{HOSTILE}\nsaid")
    text = capsys.readouterr().out
    assert not STEERING.search(text)
    assert "b\\u000ac" in text
    assert f"said{SHOWN}\\u000asaid\n" in text


def test_progress_shows_names_on_a_terminal_and_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    with RichProgress(Console(file=screen, force_terminal=True, width=160, color_system=None)) as progress:
        with progress.task(f"Reading {HOSTILE}\n", 3) as task:
            task.advance(3, note=f"at {HOSTILE}")
        progress.note(f"Kept {HOSTILE}\nforay: all is well")
        print(f"a warning of {HOSTILE}", file=sys.stderr)
    drawn = screen.getvalue()
    assert not {"\x07", "\x9b", "\u202e"} & set(drawn)
    assert "\x1b]0" not in drawn
    assert "\x1b[31m" not in drawn
    for start in ("Reading ", "Kept ", "a warning of "):
        assert f"{start}{SHOWN}" in drawn
    PlainProgress().note(f"Kept {HOSTILE}\nforay: all is well")
    assert capsys.readouterr().err == f"Kept {SHOWN}\\u000aforay: all is well\n"


def test_what_click_says_of_the_command_line_is_text() -> None:
    found = CliRunner().invoke(app, ["train", "photos", f"--seed={HOSTILE}"])
    assert found.exit_code == 2
    assert not STEERING.search(found.output)


def everything_written(terminal: int) -> str:
    """What a terminal of which nobody writes any more was given."""
    pieces = []
    with contextlib.suppress(OSError):  # Linux's way to say that this is the end
        while piece := os.read(terminal, 1 << 16):
            pieces.append(piece)
    os.close(terminal)
    return b"".join(pieces).decode()


def test_a_terminal_gets_drawn_tables_and_plain_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, end = pty.openpty()
    with monkeypatch.context() as patched, open(end, "w", encoding="utf-8") as screen:
        patched.setattr(sys, "stdout", screen)
        with plain_streams():
            print_table(["class"], [[f"a{HOSTILE}"]])
            print(f"printed {HOSTILE}")
    written = everything_written(terminal)
    assert "\x1b[1mclass" in written  # a bold heading, which is foray's own
    assert "\x1b]0" not in written
    assert "\x1b[31m" not in written
    assert f"printed {SHOWN}" in written


def test_streams_are_the_callers_again_afterwards() -> None:
    before = sys.stdout, sys.stderr
    with plain_streams():
        assert isinstance(sys.stdout, PlainStream)
        with plain_streams():
            assert not isinstance(sys.stdout.stream, PlainStream)
        assert isinstance(sys.stdout, PlainStream)
        assert sys.stdout.encoding == before[0].encoding
        assert not hasattr(sys.stdout, "buffer")
    assert (sys.stdout, sys.stderr) == before


@pytest.mark.parametrize(
    "name", ["a", "two words", "it's", "a --labels b", "x" * 70, "new\N{LATIN SMALL LETTER E WITH ACUTE}"]
)
def test_a_printed_command_is_the_command(name: str) -> None:
    words = ["foray", "certify", f"{name}/onnx-int8", "--run", name, "--images", name, "--labels", "labels.csv"]
    lines = command_lines(words)
    shell = "foray() { printf '%s\\n' foray \"$@\"; }\n" + "\n".join(lines)
    assert subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout.splitlines() == words
    assert all(len(line) <= 80 for line in lines if len(name) < 60)
    assert [line.endswith(" \\") for line in lines] == [True] * (len(lines) - 1) + [False]
