"""Learning curves: each seed, the mean over the seeds that reached an epoch, and their interactive charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from foray.records import EpochRow
from foray.report.comparison_folder import Entrant
from foray.report.drawing import Json, Panel, View, file_stem, literal, point_style

Series = tuple[tuple[int, float], ...]  # (epoch, value)


@dataclass(frozen=True)
class Curve:
    """One quantity over the epochs (numbered from 1): `seeds` one series a run, `mean` over those with a value."""

    seeds: tuple[Series, ...]
    mean: Series


@dataclass(frozen=True)
class LearningCurves:
    """The curves of one candidate's runs; its `position` in the comparison fixes its colour."""

    model: str
    position: int
    train_top1: Curve
    val_top1: Curve
    train_loss: Curve
    val_loss: Curve


def learning_curves(entrants: Sequence[Entrant]) -> list[LearningCurves]:
    """The curves of every candidate that has at least one finished run with epochs."""
    return [
        LearningCurves(
            model=entrant.name,
            position=position,
            train_top1=_curve(entrant, lambda row: row.train_top1),
            val_top1=_curve(entrant, lambda row: row.val_top1),
            train_loss=_curve(entrant, lambda row: row.train_loss),
            val_loss=_curve(entrant, lambda row: row.val_loss),
        )
        for position, entrant in enumerate(entrants)
        if any(run.history for run in entrant.runs)
    ]


def _curve(entrant: Entrant, value_of: Callable[[EpochRow], float | None]) -> Curve:
    seeds: list[Series] = []
    by_epoch: dict[int, list[float]] = {}
    for run in entrant.runs:
        measured = tuple((row.epoch, value) for row in run.history if (value := value_of(row)) is not None)
        seeds.append(measured)
        for epoch, value in measured:
            by_epoch.setdefault(epoch, []).append(value)
    mean = tuple((epoch, fmean(values)) for epoch, values in sorted(by_epoch.items()))
    return Curve(tuple(seeds), mean)


def curve_views(curves: Sequence[LearningCurves]) -> list[View]:
    """All candidates on val, then each candidate on train and val: accuracy in one plot, loss in the other."""
    views = []
    if len(curves) > 1:
        top1 = [trace for one in curves for trace in _curve_traces(one.val_top1, one.model, one.position, percent=True)]
        loss = [trace for one in curves for trace in _curve_traces(one.val_loss, one.model, one.position)]
        panels = [_curve_panel(top1, "Accuracy on val"), _curve_panel(loss, "Loss on val")]
        views.append(View("all, val", panels, file_stem("curves")))
    for one in curves:
        top1 = _curve_traces(one.val_top1, "val", 0, percent=True)
        top1 += _curve_traces(one.train_top1, "train", 1, percent=True, dash="dot")
        loss = _curve_traces(one.val_loss, "val", 0) + _curve_traces(one.train_loss, "train", 1, dash="dot")
        panels = [_curve_panel(top1, "Accuracy"), _curve_panel(loss, "Loss")]
        views.append(View(one.model, panels, file_stem("curves", one.model)))
    return views


def _curve_traces(curve: Curve, name: str, position: int, *, percent: bool = False, dash: str = "solid") -> list[Json]:
    scale = 100 if percent else 1
    color = point_style(position).token
    line = {"color": color, "dash": dash}
    traces: list[Json] = []
    if len(curve.seeds) > 1:
        for series in curve.seeds:
            thin: Json = {"mode": "lines", "opacity": 0.35, "showlegend": False, "hoverinfo": "skip"}
            traces.append({**thin, **_xy(series, scale), "line": {**line, "width": 1}})
    if curve.mean:
        mode = "lines+markers" if len(curve.mean) < 20 else "lines"
        hover = "%{y:.1f} %" if percent else "%{y:.3f}"
        label = literal(name)
        bold: Json = {"mode": mode, "name": label, "hovertemplate": f"{hover}<extra>{label}</extra>"}
        marker = {"symbol": point_style(position).symbol, "size": 6, "color": color}
        traces.append({**bold, **_xy(curve.mean, scale), "marker": marker, "line": {**line, "width": 2.5}})
    return [{"type": "scatter", "legendgroup": name, **trace} for trace in traces]


def _xy(series: Series, scale: float) -> Json:
    return {"x": [epoch for epoch, _ in series], "y": [scale * value for _, value in series]}


def _curve_panel(traces: list[Json], title: str) -> Panel:
    y_axis: Json = {"title": {"text": title}}
    if title.startswith("Accuracy"):
        y_axis["ticksuffix"] = " %"
    x_axis = {"title": {"text": "Epoch"}, "rangemode": "normal", "tickformat": "d"}
    return Panel(traces, {"height": 360, "hovermode": "x", "xaxis": x_axis, "yaxis": y_axis})
