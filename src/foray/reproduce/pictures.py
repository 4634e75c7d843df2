"""What accuracy costs: networks trained by one protocol, against the time of an epoch and against latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foray.records import Estimate
from foray.records.side_by_side import SideBySideTimes, Trains
from foray.report.drawing import drawing_style, new_figure, point_style, settle
from foray.reproduce.evidence import evidence_of
from foray.reproduce.findings import Findings
from foray.reproduce.results_folder import RunResult, TimesResult
from foray.reproduce.role_words import NETWORKS, words_of

_DATA = "deepweeds"
_GROUPS = (("mobilenet", "b0", "v2b0"), ("mobilenet", "b0"), ("mobilenet", "v2b0"))
_AXES = {
    "times-training": "Training, ms per step of {batch} images",
    "times-latency": "Latency, ms per image",
}
# By protocol: its title, and what an epoch of it trains (None: not timed).
_PROTOCOLS: Mapping[str, tuple[str, Trains | None]] = {
    "frozen": ("A head on the frozen backbone", "head"),
    "last34": ("The last 34 layers", None),
    "whole": ("The whole network", "whole"),
}


@dataclass(frozen=True)
class CostPoint:
    """One network of an equal protocol: accuracy on test against a time in milliseconds."""

    network: str
    accuracy: Estimate
    time_ms: float


@dataclass(frozen=True)
class CostPanel:
    """Two networks or more that were trained alike, and what their times are of."""

    title: str
    axis: str
    points: tuple[CostPoint, ...]


def panels(findings: Findings) -> list[CostPanel]:
    """Of every protocol with two networks that were trained at one resolution and timed at it."""
    found = []
    for role, axis in _AXES.items():
        for result in findings.results.get(role, ()):
            if isinstance(result, TimesResult):
                found += [panel for protocol in _PROTOCOLS if (panel := _panel(findings, protocol, result.times, axis))]
    return found


def cost_of_accuracy(findings: Findings) -> Figure | None:
    """The panels side by side; None where there is none."""
    drawn = [] if findings.mini else panels(findings)
    if not drawn:
        return None
    with drawing_style():
        figure, axes = new_figure(3.4 * len(drawn) if len(drawn) > 1 else 5.0, 3.1, len(drawn))
        for place, panel in zip(axes, drawn, strict=True):
            _draw(place, panel)
        settle(figure)
    return figure


def _draw(axes: Axes, panel: CostPanel) -> None:
    for point in panel.points:
        style = point_style(list(NETWORKS.values()).index(point.network))
        value, low, high = (100 * bound for bound in (point.accuracy.value, point.accuracy.low, point.accuracy.high))
        axes.errorbar(
            point.time_ms, value, yerr=[[value - low], [high - value]], color=style.colour, marker=style.marker,
            capsize=3, ls="", label=point.network,
        )  # fmt: skip
    axes.set_title(panel.title)
    axes.set_xlabel(panel.axis)
    axes.set_ylabel("Test accuracy, % (95 %)")
    axes.margins(x=0.15)
    axes.set_xlim(left=0)
    axes.legend(fontsize=7.5)


def _panel(findings: Findings, protocol: str, times: SideBySideTimes, axis: str) -> CostPanel | None:
    title, trains = _PROTOCOLS[protocol]
    runs = _runs(findings, protocol)
    of = None if times.timed == "inference" else trains
    if not runs or (times.timed == "training step" and of is None):
        return None
    points = [point for seeds in runs if (point := _point(seeds, times, of))]
    if len(points) < 2:
        return None
    resolution = runs[0][0].record.architecture.resolution
    return CostPanel(f"{title}, {resolution} px", axis.format(batch=times.batch_size), tuple(points))


def _point(seeds: Sequence[RunResult], times: SideBySideTimes, trains: Trains | None) -> CostPoint | None:
    architecture = seeds[0].record.architecture
    timed = times.network(architecture.requested or architecture.name, architecture.resolution, trains)
    accuracy = evidence_of(seeds).test
    if timed is None or accuracy is None:
        return None
    return CostPoint(words_of(seeds[0].info.role).network, accuracy, 1000 * median(timed.seconds))


def _runs(findings: Findings, protocol: str) -> list[Sequence[RunResult]]:
    """All seeds of each network of the largest group that may be compared."""
    for names in _GROUPS:
        if runs := findings.together([f"{_DATA}-{name}-{protocol}" for name in names]):
            return list(runs.values())
    return []
