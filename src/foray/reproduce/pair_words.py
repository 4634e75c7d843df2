"""Differences between two networks on the same test images, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from foray.records import PairedLoss
from foray.records.quantities import format_points
from foray.reproduce.role_words import in_words, words_of


def difference_in_words(pair: PairedLoss, first: Literal["reference", "candidate"], more: str = "") -> str:
    """`On DeepWeeds A is 4.22 points above B (2.85 to 5.61, n = 3,507, one seed each; more)`, A the `first`.

    Accuracy on test, with the interval of the difference.
    """
    above, low, high = pair.loss, pair.lower, pair.upper
    one, other = pair.reference, pair.candidate
    if first == "candidate":
        above, low, high, one, other = -above, -high, -low, other, one
    where = "above"
    if above < 0:
        above, low, high, where = -above, -high, -low, "below"
    behind = f"; {more}" if more else ""
    return (
        f"On {words_of(one).data} {in_words(one)} is {format_points(above)} {where} {in_words(other)} "
        f"({_points(low)} to {_points(high)}, n = {pair.n:,}, {seeds_words(pair.seeds)}{behind})"
    )


def gain_in_words(pair: PairedLoss) -> str:
    """`+11.29 points (10.18 to 12.43, n = 3,507, one seed each)`: what the candidate gains."""
    bounds = f"{_points(-pair.upper)} to {_points(-pair.lower)}"
    return f"{_points(-pair.loss, '+')} points ({bounds}, n = {pair.n:,}, {seeds_words(pair.seeds)})"


def steps_in_words(pairs: Sequence[PairedLoss]) -> str:
    """What the reference of each pair gains over the candidate: `from scratch +1.20 (0.40 to 2.00) points on test`.

    Steps are told apart by what is not the same in all of them: protocol, networks, images.
    """
    words = [(words_of(pair.reference), words_of(pair.candidate)) for pair in pairs]
    same_networks = len({(one.network, other.network) for one, other in words}) == 1
    several_data = len({one.data for one, _ in words}) > 1
    told = []
    for pair, (one, other) in zip(pairs, words, strict=True):
        if one.way != other.way:
            what = f"{in_words(pair.reference)} over {in_words(pair.candidate)}"
        else:
            what = one.way if same_networks else f"{one.network} over {other.network}"
        where = f" on {one.data}" if several_data else ""
        gain = f"{_points(pair.loss, '+')} ({_points(pair.lower)} to {_points(pair.upper)})"
        told.append(f"{what}{where} {gain}".lstrip())
    counts = f"n = {_range([pair.n for pair in pairs])}, {_seeds([pair.seeds for pair in pairs])}"
    return f"{', '.join(told)} points on test ({counts})"


def seeds_words(seeds: int) -> str:
    """How many of each network."""
    return "one seed each" if seeds == 1 else f"{seeds} seeds each"


def _points(share: float, sign: str = "") -> str:
    """A share in points with two decimals, and without a minus before zero."""
    return f"{round(100 * share, 2) + 0.0:{sign}.2f}"


def _seeds(counts: Sequence[int]) -> str:
    return seeds_words(counts[0]) if len(set(counts)) == 1 else f"{_range(counts)} seeds each"


def _range(numbers: Sequence[int]) -> str:
    return f"{numbers[0]:,}" if len(set(numbers)) == 1 else f"{min(numbers):,} to {max(numbers):,}"
