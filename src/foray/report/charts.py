"""The interactive charts of what was decided: trade-offs, paired comparisons, confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from foray.records import Estimate, PairedLoss
from foray.records.quantities import format_confidence, format_percent, format_points
from foray.report.confusion import Confusion
from foray.report.labels import Placement, label_of, place_labels
from foray.report.marks import file_stem, mark
from foray.report.pairs import VERDICTS, Pair
from foray.report.standing import format_split
from foray.report.tables import format_interval
from foray.report.tradeoff import Point, Tradeoff
from foray.report.view import Json, Panel, View, literal

MAX_LABELLED_CELLS = 15  # classes up to which every cell of a confusion matrix carries its count


def tradeoff_view(tradeoff: Tradeoff) -> View:
    """Selection accuracy against one cost, with intervals, the Pareto front and the bound."""
    traces = [_front_trace(tradeoff)] if len(tradeoff.front) > 1 else []
    places = place_labels(tradeoff)
    traces += [_point_trace(point, places[point.model], tradeoff) for point in tradeoff.points]
    if tradeoff.shown_limit is not None:
        traces.append(_limit_trace(tradeoff, tradeoff.shown_limit))
    low, high = tradeoff.x_range
    x_axis: Json = {"title": {"text": tradeoff.axis.title}, "range": [low, high]}
    if tradeoff.is_log:
        title = f"{tradeoff.axis.title}, logarithmic"
        ticks = {"tickvals": tradeoff.log_ticks, "ticktext": [f"{tick:g}" for tick in tradeoff.log_ticks]}
        x_axis = {"title": {"text": title}, "type": "log", "range": [log10(low), log10(high)], **ticks}
    y_axis = {
        "title": {"text": "Selection accuracy"},
        "ticksuffix": " %",
        "range": [100 * end for end in tradeoff.y_range],
    }
    layout = {"height": 440, "showlegend": False, "hovermode": "closest", "xaxis": x_axis, "yaxis": y_axis}
    notes = []
    if tradeoff.missing:
        notes.append(f"Not drawn, for want of a measured accuracy or cost: {', '.join(tradeoff.missing)}.")
    if tradeoff.limit is not None and tradeoff.shown_limit is None:
        bound = tradeoff.axis.write(tradeoff.limit * tradeoff.axis.unit_size)
        notes.append(f"The bound of {bound} lies far to the right.")
    name = file_stem("accuracy_vs", tradeoff.axis.key)
    return View(tradeoff.axis.heading, [Panel([*traces], layout)], name, " ".join(notes))


def pairs_view(pairs: Sequence[Pair], tolerance: float) -> View:
    """A forest plot of the paired losses, in points, with the tolerance."""
    styles: dict[str, Json] = {
        "selection": {"name": "selection, decided", "offset": -0.13, "symbol": "circle", "color": "@c0"},
        "test": {"name": "test, confirms only", "offset": 0.13, "symbol": "diamond-open", "color": "@c1"},
    }
    traces = []
    for side, style in styles.items():
        rows = [(row, loss) for row, pair in enumerate(pairs) for kind, loss in pair.sides if kind == side]
        if rows:
            traces.append(_loss_trace(rows, style))
    traces.append(_tolerance_trace(tolerance, len(pairs)))
    ticks = [f"{literal(pair.candidate)}<br>vs {literal(pair.reference)}" for pair in pairs]
    layout = {
        "height": 150 + 78 * len(pairs),
        "hovermode": "closest",
        "xaxis": {"title": {"text": "Accuracy the candidate loses (points)"}, "zeroline": True},
        "yaxis": {"tickvals": list(range(len(pairs))), "ticktext": ticks, "range": [len(pairs) - 0.5, -0.5]},
    }
    return View("all", [Panel(traces, layout)], file_stem("paired"))


def confusion_view(confusion: Confusion) -> View:
    """Shares of each true class by predicted class; counts in the cells (few classes) and on hover."""
    names = _short_names(confusion.classes)
    k = len(names)
    shares = [[confusion.share(i, j) for j in range(k)] for i in range(k)]
    hover = [[_cell_text(confusion, i, j) for j in range(k)] for i in range(k)]
    trace: Json = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": shares,
        "zmin": 0,
        "zmax": 1,
        "hovertext": hover,
        "hoverinfo": "text",
        "colorscale": [[0, "@heat0"], [0.25, "@heat1"], [1, "@heat2"]],
        "colorbar": {"title": {"text": "share"}, "tickformat": ".0%", "thickness": 10, "outlinewidth": 0},
        "xgap": 1 if k <= 40 else 0,
        "ygap": 1 if k <= 40 else 0,
    }
    if k <= MAX_LABELLED_CELLS:
        trace |= {"text": [[str(count or "") for count in row] for row in confusion.counts], "texttemplate": "%{text}"}
    axis = {"type": "category", "showgrid": False, "nticks": 50, "tickmode": "linear" if k <= 50 else "auto"}
    layout = {
        "height": min(max(340, 36 * k + 170), 860),
        "showlegend": False,
        "xaxis": {**axis, "title": {"text": "Predicted"}, "tickangle": -45},
        "yaxis": {**axis, "title": {"text": "True"}, "autorange": "reversed"},
    }
    panel = Panel([trace], layout, width=min(max(460, 44 * k + 300), 1100))
    return View(confusion.model, [panel], file_stem("confusion", confusion.model))


def _front_trace(tradeoff: Tradeoff) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front",
        "x": [point.x for point in tradeoff.front],
        "y": [100 * point.y.value for point in tradeoff.front],
        "line": {"shape": "hv", "color": "@muted", "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _point_trace(point: Point, place: Placement, tradeoff: Tradeoff) -> Json:
    style = mark(point.position)
    inside = point.standing.is_in
    color = style.token if inside else "@muted"
    label = literal(label_of(point))
    trace: Json = {
        "type": "scatter",
        "mode": "markers+text",
        "name": label,
        "x": [point.x],
        "y": [100 * point.y.value],
        "error_y": _whiskers([point.y], color),
        "marker": {
            "color": color,
            "size": 12,
            "symbol": style.symbol if point.standing.is_in else f"{style.symbol}-open",
        },
        "text": [f"<b>{label}</b>" if point.standing.kind == "pick" else label],
        "textposition": f"{place.vertical} {place.horizontal}",
        "textfont": {"color": color},
        "cliponaxis": False,
        "hovertext": [_point_text(point, tradeoff)],
        "hoverinfo": "text",
    }
    if point.x_high is not None:
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [point.x_high - point.x],
            "arrayminus": [0],
            "color": color,
            "thickness": 1,
            "width": 4,
        }
    return trace


def _whiskers(estimates: Sequence[Estimate], color: str) -> Json:
    return {
        "type": "data",
        "symmetric": False,
        "array": [100 * (one.high - one.value) for one in estimates],
        "arrayminus": [100 * (one.value - one.low) for one in estimates],
        "color": color,
        "thickness": 1.5,
        "width": 5,
    }


def _limit_trace(tradeoff: Tradeoff, limit: float) -> Json:
    low, high = (100 * end for end in tradeoff.y_range)
    bound = tradeoff.axis.write(limit * tradeoff.axis.unit_size)
    return {
        "type": "scatter",
        "mode": "lines+text",
        "showlegend": False,
        "x": [limit, limit],
        "y": [low, high],
        "line": {"color": "@bad", "width": 1.5, "dash": "dash"},
        "text": [f"bound {bound} ", ""],
        "textposition": "top left",
        "textfont": {"color": "@bad"},
        "hoverinfo": "skip",
    }


def _point_text(point: Point, tradeoff: Tradeoff) -> str:
    axis = tradeoff.axis
    p95 = f", p95 {axis.write(point.x_high * axis.unit_size)}" if point.x_high is not None else ""
    return (
        f"<b>{literal(point.model)}</b> ({literal(point.standing.label)})<br>"
        f"{format_percent(point.y.value)} [{format_interval(point.y)}], n = {point.y.n:,}<br>"
        f"{axis.label}: {axis.write(point.x * axis.unit_size)}{p95}"
    )


def _loss_trace(rows: Sequence[tuple[int, PairedLoss]], style: Json) -> Json:
    losses, color = [loss for _, loss in rows], style["color"]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": style["name"],
        "x": [100 * loss.loss for loss in losses],
        "y": [row + style["offset"] for row, _ in rows],
        "marker": {
            "color": style["color"],
            "symbol": style["symbol"],
            "size": 11,
            "line": {"width": 2, "color": style["color"]},
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (loss.upper - loss.loss) for loss in losses],
            "arrayminus": [100 * (loss.loss - loss.lower) for loss in losses],
            "color": color,
            "thickness": 2,
            "width": 6,
        },
        "hovertext": [_loss_text(loss) for loss in losses],
        "hoverinfo": "text",
    }


def _loss_text(loss: PairedLoss) -> str:
    return (
        f"<b>{literal(loss.candidate)} vs {literal(loss.reference)}</b>, {format_split(loss.split)}<br>"
        f"loses {format_points(loss.loss)} [{format_points(loss.lower)}, {format_points(loss.upper)}], "
        f"one-sided {format_confidence(loss.confidence)} bounds<br>"
        f"{VERDICTS[loss.status]}; n = {loss.n:,} images, {loss.seeds} seeds"
    )


def _tolerance_trace(tolerance: float, rows: int) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"tolerance {format_points(tolerance)}",
        "x": [100 * tolerance, 100 * tolerance],
        "y": [-0.5, rows - 0.5],
        "line": {"color": "@bad", "width": 1.5, "dash": "dash"},
        "hoverinfo": "skip",
    }


def _cell_text(confusion: Confusion, i: int, j: int) -> str:
    total, share = sum(confusion.counts[i]), confusion.share(i, j)
    of = "no images" if share is None else f"{confusion.counts[i][j]:,} of {total:,} ({format_percent(share)})"
    return f"true {literal(confusion.classes[i])}<br>predicted {literal(confusion.classes[j])}<br>{of}"


def _short_names(classes: Sequence[str], length: int = 20) -> list[str]:
    """Class names short enough for an axis, escaped, still unique."""
    shown: dict[str, None] = {}
    for number, name in enumerate(classes):
        short = name if len(name) <= length else f"{name[: length - 1]}…"
        shown[literal(short if literal(short) not in shown else f"{short} #{number}")] = None
    return list(shown)
