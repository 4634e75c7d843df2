"""The interactive charts of learning curves: accuracy and loss side by side."""

from __future__ import annotations

from collections.abc import Sequence

from foray.report.curves import Curve, LearningCurves, Series
from foray.report.marks import file_stem, mark
from foray.report.view import Json, Panel, View, literal


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
    color = mark(position).token
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
        marker = {"symbol": mark(position).symbol, "size": 6, "color": color}
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
