"""The command that reads labels of a file says all that the plan was made with."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foray.records.quantities import parse_points
from foray.settling.flip_question import certify_command


def test_the_default_tolerance_is_not_spelled_out() -> None:
    command = ["foray", "certify", "a", "--run", "b", "--images", "c", "--labels", "d"]
    assert certify_command("a", "b", "c", "d", 0.01) == command


@given(digits=st.integers(min_value=1, max_value=999_999).filter(lambda digits: digits != 10_000))
def test_a_tolerance_is_read_as_the_very_number(digits: int) -> None:
    tolerance = parse_points(f"{digits / 10_000}pt")
    words = certify_command("a", "b", "c", "d", tolerance)
    assert parse_points(words[words.index("--tolerance") + 1]) == tolerance
