"""Numbers for words of the study that have none: "close", "very similar", "much", each with its reason."""

from __future__ import annotations

from foray.recipes import Choice
from foray.records.quantities import format_points

CLOSE = 0.05  # share of images; more is "considerably better", or "far"
CLOSE_CHOICE = Choice(
    f"{format_points(CLOSE)} at most", "the study itself calls 89 % and 93.5 % close, 4.5 points apart"
)
CONSIDERABLE_CHOICE = Choice(f"more than {format_points(CLOSE)}", "what is not close in the study's words")
SAME = 0.02  # share of images; less is "no better", or "very similar"
SAME_CHOICE = Choice(format_points(SAME), "the study states no number for what is the same")
MUCH = 1.5  # times as long
MUCH_CHOICE = Choice(f"at least {MUCH:g} times as long", "the study states no number")
UNSTEADY = 0.01  # share of images; standard deviation of val over the last epochs above which a page says so
