"""Claims about times: the ratio of two networks that were timed in turns on one machine, with its interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from foray.records.quantities import format_ms
from foray.records.reproduction import ClaimResult, Verdict
from foray.records.side_by_side import SideBySideTimes, TimedNetwork
from foray.reproduce.claim import Claim, Timed, TimeRatio
from foray.reproduce.results_folder import TimesResult
from foray.statistics import paired_ratio

if TYPE_CHECKING:
    from foray.reproduce.findings import Findings

_RUNTIMES = {"onnx": "ONNX Runtime", "torch": "PyTorch"}


class Ratio(NamedTuple):
    """How many times as long, with its 95 % interval; without one (None) after a single round."""

    value: float
    low: float | None
    high: float | None

    @property
    def inverse(self) -> Ratio:
        """Of the other to the one."""
        return Ratio(1 / self.value, self.high and 1 / self.high, self.low and 1 / self.low)


def judged_times(claim: Claim, judge: TimeRatio, findings: Findings) -> ClaimResult:
    """The verdict on a ratio of times; "no result" where its networks were not timed, and for mini times."""
    [role] = judge.roles
    found = next((one for one in findings.results.get(role, ()) if isinstance(one, TimesResult)), None)
    if found is None:
        return _without(claim, " ".join(["Not timed.", *findings.reasons(role), _how(claim)]))
    if findings.mini:
        times = found.times
        return _without(claim, f"Mini, not judged: the code path ran ({len(times.networks)} networks in turns).")
    fast, slow = (_timed(found.times, network) for network in (judge.fast, judge.slow))
    if fast is None or slow is None:
        absent = [network.label for network, one in ((judge.slow, slow), (judge.fast, fast)) if one is None]
        return _without(claim, f"The kept times are without {' and '.join(absent)}. {_how(claim)}")
    ratio = ratio_of(judge, fast, slow)
    return ClaimResult(
        claim=claim.id,
        verdict=times_verdict(judge, ratio),
        brief=f"{_short(ratio.value)} times as long" + (f" ({bounds})" if (bounds := _bounds(ratio)) else ""),
        sentence=_sentence(judge, found.times, fast, slow, ratio),
        arithmetic=_lines(judge, found.times, fast, slow),
    )


def ratio_of(judge: TimeRatio, fast: TimedNetwork, slow: TimedNetwork) -> Ratio:
    """How many times as long `slow` takes, over its epochs where the claim is about runs."""
    of_fast, of_slow = _epochs(judge)
    factor = of_slow / of_fast
    if len(fast.seconds) == 1:
        return Ratio(factor * slow.seconds[0] / fast.seconds[0], None, None)
    return Ratio(*(factor * bound for bound in paired_ratio(slow.seconds, fast.seconds)))


def times_verdict(judge: TimeRatio, ratio: Ratio) -> Verdict:
    """Reproduced or not where the whole interval says so."""
    if ratio.low is None or ratio.high is None:
        return "undecided"
    highest = math.inf if judge.high is None else judge.high
    if judge.low <= ratio.low and ratio.high <= highest:
        return "reproduced"
    return "not reproduced" if ratio.high < judge.low or ratio.low > highest else "undecided"


def _timed(times: SideBySideTimes, network: Timed) -> TimedNetwork | None:
    trains = None if times.timed == "inference" else network.trains
    return times.network(network.model, network.resolution, trains)


def _epochs(judge: TimeRatio) -> tuple[int, int]:
    """Of the faster and the slower; (1, 1) where the claim is not about runs of different length."""
    return judge.epochs if judge.of == "run" and judge.epochs else (1, 1)


_AS_LONG = {"epoch": "per epoch", "run": "to train", "latency": "per image"}


def _sentence(judge: TimeRatio, times: SideBySideTimes, fast: TimedNetwork, slow: TimedNetwork, ratio: Ratio) -> str:
    """The one that takes longer here stands first."""
    of_fast, of_slow = (f" over {n} epochs" if judge.of == "run" else "" for n in _epochs(judge))
    longer, shorter = (f"{judge.slow.label}{of_slow}", slow), (f"{judge.fast.label}{of_fast}", fast)
    if ratio.value < 1:
        longer, shorter, ratio = shorter, longer, ratio.inverse
    bounds = _bounds(ratio)
    rounds = f"{bounds}, {times.rounds} rounds" if bounds else "1 round, so without an interval"
    per = "per image" if times.timed == "inference" else f"per step of {times.batch_size} images"
    threads = "1 thread" if times.threads == 1 else f"{times.threads} threads"
    said = (
        f"{longer[0]} takes {_short(ratio.value)} times as long {_AS_LONG[judge.of]} as {shorter[0]} ({rounds}). "
        f"Medians: {_ms(longer[1])} {per} against {_ms(shorter[1])}, in turns on one machine "
        f"({times.hardware.processor}, {threads})."
    )
    unsteady = dict.fromkeys([*times.steadiness.warnings, *slow.unsteady, *fast.unsteady])
    return f"{said} The times were not steady: {'; '.join(unsteady)}." if unsteady else said


def _bounds(ratio: Ratio) -> str:
    return "" if ratio.low is None or ratio.high is None else f"{_short(ratio.low)} to {_short(ratio.high)}"


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def _lines(judge: TimeRatio, times: SideBySideTimes, fast: TimedNetwork, slow: TimedNetwork) -> list[str]:
    lines = [
        f"{judge.slow.label}: {_spread(slow.seconds)}",
        f"{judge.fast.label}: {_spread(fast.seconds)}",
        "the ratio is the geometric mean of the ratios of single rounds, not that of the medians",
    ]
    if times.timed == "inference":
        runtime = _RUNTIMES.get(times.runtime, times.runtime)
        return [
            *lines,
            f"inference of one image on {runtime} in {times.precision}; the weights are random, because the time does "
            "not depend on them",
        ]
    lines.append(
        f"steps of foray's own training in {times.precision}, on random images in memory: reading images and "
        "validation are no part of them. Both networks see the same number of images per epoch, so the ratio of epochs "
        "is that of steps"
    )
    if "head" in (fast.trains, slow.trains):
        lines.append(
            "the head alone: the frozen backbone runs anew in every step, as in Keras; foray itself runs it once over "
            "each image and keeps its features"
        )
    return lines


def _spread(seconds: Sequence[float]) -> str:
    return (
        f"{format_ms(1e3 * statistics.median(seconds))}, the median of {len(seconds)} rounds "
        f"({format_ms(1e3 * min(seconds))} to {format_ms(1e3 * max(seconds))})"
    )


def _ms(network: TimedNetwork) -> str:
    return format_ms(1e3 * statistics.median(network.seconds))


def _how(claim: Claim) -> str:
    return f"foray reproduce {claim.id} --scale full times them in turns on this machine, in some minutes."


def _without(claim: Claim, said: str) -> ClaimResult:
    return ClaimResult(claim=claim.id, verdict="no result", sentence=said)
