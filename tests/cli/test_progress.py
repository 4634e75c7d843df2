"""Progress on a terminal and in a log file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from foray.cli.progress import PlainProgress, RichProgress
from foray.progress import NamedProgress


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """60 steps of one second, a line every 20 s: after 20 and 40 steps, and one at the end."""
    clock = Clock()
    with PlainProgress(every_seconds=20.0, clock=clock).task("Decoding", 60) as task:
        for _ in range(60):
            clock.seconds += 1.0
            task.advance(note="9 images/s")
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert [line.split(",")[0] for line in lines[:2]] == ["Decoding: 20/60", "Decoding: 40/60"]
    assert "40 s left" in lines[0]
    assert "20 s left" in lines[1]
    assert len(lines) == 3
    assert lines[2].startswith("Decoding: ")
    assert all("9 images/s" in line for line in lines)
    assert captured.out == ""


def test_steps_of_an_earlier_start_take_no_part_in_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    """100 steps of one second, 80 of them made before: 10 s are left after 10 more, not 1."""
    clock = Clock()
    with PlainProgress(every_seconds=10.0, clock=clock).task("training", 100, done=80) as task:
        for _ in range(20):
            clock.seconds += 1.0
            task.advance()
    assert capsys.readouterr().err.splitlines()[0] == "training: 90/100, 10 s left"


def test_lines_say_which_of_several_models_they_are_about(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = NamedProgress(PlainProgress(every_seconds=1.0, clock=clock), "mobilenet_v2 seed 1")
    with progress.task("training", 2) as task:
        clock.seconds += 1.0
        task.advance()
    assert capsys.readouterr().err.splitlines()[0] == "mobilenet_v2 seed 1: training: 1/2, 1 s left"


def test_unknown_total_and_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a total no time left is made up; a task that fails is not reported as finished."""
    clock = Clock()
    progress = PlainProgress(every_seconds=1.0, clock=clock)
    with pytest.raises(ValueError, match="broken"), progress.task("Unpacking", None) as task:  # noqa: PT012
        clock.seconds += 1.0
        task.advance(5)
        raise ValueError("broken")
    assert capsys.readouterr().err == "Unpacking: 5\n"


def test_bars_leave_one_line_and_escape_nothing_of_the_users() -> None:
    screen = io.StringIO()
    with RichProgress(Console(file=screen, force_terminal=True, width=80, color_system=None)) as progress:
        with progress.task("Reading [red]photos[/red]", 3) as outer:
            with progress.task("inside", None) as inner:
                inner.advance(note="[bold]1[/bold]")
            outer.advance(3, note="fine")
        progress.note("kept [as] written")
    text = screen.getvalue()
    assert "Reading [red]photos[/red]: " in text
    assert "kept [as] written" in text
    assert "[bold]1[/bold]" in text
