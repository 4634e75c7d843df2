"""What is drawn: the front, the curves' means, the confusions, the pairs."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from foray.records import Comparison
from foray.report.comparison_folder import read_folder
from foray.report.confusion import confusion_view, confusions
from foray.report.drawing import COLOURS, DARK_COLOURS, file_stem, point_style
from foray.report.learning_curves import curve_views, learning_curves
from foray.report.paired_comparisons import paired_comparisons, paired_view
from foray.report.tradeoff import tradeoffs
from foray.report.tradeoff_chart import label_box, place_labels, tradeoff_view

from .conftest import edit_json
from .example import CLASSES, EPOCHS, HOSTILE


def test_preferred_cost_comes_first_and_every_measured_cost_is_there(comparison_folder: Path) -> None:
    edit_json(comparison_folder / "comparison.json", lambda it: it["decision"].update(prefer="params"))
    costs = [view.axis.key for view in tradeoffs(Comparison.load(comparison_folder / "comparison.json"))]
    assert costs == ["params", "latency", "macs", "memory", "file"]


def test_dominated_model_is_not_on_the_front(comparison_folder: Path) -> None:
    def slow(content) -> None:
        content["candidates"][1]["cost"]["latency_p50_ms"] = 20.0  # less accurate and slower than efficientnet_v2_b0

    edit_json(comparison_folder / "comparison.json", slow)
    views = {view.axis.key: view for view in tradeoffs(Comparison.load(comparison_folder / "comparison.json"))}
    assert [point.model for point in views["latency"].front] == ["mobilenet_v2", "efficientnet_v2_b0"]
    assert [point.model for point in views["macs"].front] == ["mobilenet_v2", "efficientnet_b0", "efficientnet_v2_b0"]


def test_trained_model_over_the_budget_is_drawn_but_never_on_the_front(comparison_folder: Path) -> None:
    def exclude(content) -> None:
        content["candidates"][0]["broken_bounds"] = [{"bound": "params", "limit": 5e6, "actual": 5.9e6}]
        content["budget"]["max_params"] = 5_000_000

    edit_json(comparison_folder / "comparison.json", exclude)
    views = {view.axis.key: view for view in tradeoffs(Comparison.load(comparison_folder / "comparison.json"))}
    assert "efficientnet_v2_b0" in [point.model for point in views["params"].points]
    assert "efficientnet_v2_b0" not in [point.model for point in views["params"].front]
    assert views["params"].limit == pytest.approx(5.0)  # million
    assert views["params"].missing == ("efficientnet_b4", "mobilenet_v1")
    low, high = views["params"].x_range
    assert low <= 5.0 <= high


def test_axes_hold_every_interval(comparison_folder: Path) -> None:
    for view in tradeoffs(Comparison.load(comparison_folder / "comparison.json")):
        (left, right), (bottom, top) = view.x_range, view.y_range
        for point in view.points:
            assert bottom < point.y.low < point.y.high < top
            assert left < point.x < (point.x_high or point.x) + 1e-9 < right


def test_mean_curve_is_the_mean_over_the_seeds_that_reached_the_epoch(comparison_folder: Path) -> None:
    short = comparison_folder / "runs" / "mobilenet_v2-linear-seed2" / "history.jsonl"
    short.write_text("\n".join(short.read_text(encoding="utf-8").splitlines()[:4]) + "\n", encoding="utf-8")
    folder = read_folder(comparison_folder)
    (curves,) = [one for one in learning_curves(folder.entrants) if one.model == "mobilenet_v2"]
    rows = {run.record.seed: run.history for run in folder.entrants[2].runs}
    assert len(curves.val_top1.mean) == EPOCHS
    third = sum(rows[seed][2].val_top1 for seed in (0, 1, 2)) / 3
    last = sum(rows[seed][9].val_top1 for seed in (0, 1)) / 2
    assert curves.val_top1.mean[2] == (3, pytest.approx(third))
    assert curves.val_top1.mean[9] == (10, pytest.approx(last))
    assert [len(series) for series in curves.val_top1.seeds] == [10, 10, 4]


def test_epochs_without_a_value_are_gaps_not_zeros(comparison_folder: Path) -> None:
    path = comparison_folder / "runs" / "mobilenet_v2-linear-seed0" / "history.jsonl"
    path.write_text(re.sub(r'"val_top1":[\d.]+', '"val_top1":null', path.read_text(encoding="utf-8")), encoding="utf-8")
    folder = read_folder(comparison_folder)
    (curves,) = [one for one in learning_curves(folder.entrants) if one.model == "mobilenet_v2"]
    assert curves.val_top1.seeds[0] == ()
    assert len(curves.val_top1.mean) == EPOCHS
    assert min(value for _, value in curves.val_top1.mean) > 0.2


def test_confusion_sums_seeds_and_rows_are_shares(comparison_folder: Path) -> None:
    folder = read_folder(comparison_folder)
    first = confusions(folder.entrants, CLASSES)[0]
    assert (first.model, first.n, first.seeds) == ("efficientnet_v2_b0", 720, 3)
    assert sum(map(sum, first.counts)) == 720 * 3
    for i in range(len(CLASSES)):
        assert sum(first.share(i, j) for j in range(len(CLASSES))) == pytest.approx(1.0)
    runs = [run.record.metrics["test"].per_class[0] for run in folder.entrants[0].runs]
    assert first.rows[0].recall.value == pytest.approx(sum(one.recall.value for one in runs) / 3)
    assert first.rows[0].recall.value == pytest.approx(first.share(0, 0))  # every seed saw the same images
    off_diagonal = [count if j != 0 else -1 for j, count in enumerate(first.counts[0])]
    assert first.rows[0].confused_with == CLASSES[off_diagonal.index(max(off_diagonal))]
    worst = first.worst_rows(4)
    assert [row.recall.value for row in worst] == sorted(row.recall.value for row in first.rows)[:4]


def test_pairs_put_the_confirmation_beside_the_decision(comparison_folder: Path) -> None:
    both, only = paired_comparisons(Comparison.load(comparison_folder / "comparison.json"))
    assert both.label == "efficientnet_b0 vs efficientnet_v2_b0"
    assert [(side, loss.split) for side, loss in both.sides] == [("selection", "out_of_fold"), ("test", "test")]
    assert [side for side, _ in only.sides] == ["selection"]


def views_of(folder: Path) -> list[Any]:
    content = read_folder(folder)
    found = [tradeoff_view(one) for one in tradeoffs(content.comparison)]
    found += curve_views(learning_curves(content.entrants))
    found += [confusion_view(one) for one in confusions(content.entrants, CLASSES)]
    return [*found, paired_view(paired_comparisons(content.comparison), 0.01)]


def test_every_chart_is_valid_plotly_with_colours_of_the_palette(comparison_folder: Path) -> None:
    palette = {f"c{i}" for i in range(len(COLOURS))} | {"muted", "bad", "heat0", "heat1", "heat2"}
    tokens: set[str] = set()

    def painted(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: painted(item) for key, item in value.items()}
        if isinstance(value, list):
            return [painted(item) for item in value]
        if isinstance(value, str) and value.startswith("@"):
            tokens.add(value[1:])
            return "#123456"
        return value

    for view in views_of(comparison_folder):
        for panel in view.panels:
            content = painted(dataclasses.asdict(panel))
            assert go.Figure(data=content["traces"], layout=content["layout"]).data
    assert tokens <= palette


def test_text_of_users_is_no_markup_in_a_chart(comparison_folder: Path) -> None:
    def strings(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for item in value.values() for text in strings(item)]
        if isinstance(value, list | tuple):
            return [text for item in value for text in strings(item)]
        return [value] if isinstance(value, str) else []

    found = [
        text for view in views_of(comparison_folder) for text in strings([dataclasses.asdict(p) for p in view.panels])
    ]
    assert not any("<script" in text for text in found)
    assert any("&lt;script&gt;" in text for text in found)
    assert HOSTILE in CLASSES


def test_marks_differ_for_the_first_56_candidates() -> None:
    assert len({(point_style(position).token, point_style(position).symbol) for position in range(56)}) == 56
    assert len(COLOURS) == len(DARK_COLOURS) == len(set(COLOURS)) == len(set(DARK_COLOURS))


def test_figure_names_are_plain_file_names() -> None:
    assert file_stem("confusion", "timm:vit/tiny ü") == "confusion_timm_vit_tiny_ü"


def test_labels_of_close_points_stand_apart_and_inside(comparison_folder: Path) -> None:
    """Eight models at the measured accuracies of small networks: every corner is crowded, none holds two labels."""
    crowd = {
        "mobilenet_v1_x0.25": (0.784, 1.9), "mobilenet_v1_x0.5": (0.833, 3.1), "mobilenet_v1": (0.857, 6.0),
        "mobilenet_v2_x0.5": (0.835, 4.2), "mobilenet_v2": (0.845, 6.4), "efficientnet_b0": (0.895, 11.9),
        "efficientnet_v2_b0": (0.899, 14.2), "efficientnet_b3": (0.906, 41.0),
    }  # fmt: skip

    def fill(content) -> None:
        template = content["candidates"][0]
        content["candidates"] = [
            {
                **template,
                "model": model,
                "cost": {**template["cost"], "latency_p50_ms": latency, "latency_p95_ms": latency * 1.15},
                "selection": {**template["selection"], "value": top1, "low": top1 - 0.009, "high": top1 + 0.009},
            }
            for model, (top1, latency) in crowd.items()
        ]

    edit_json(comparison_folder / "comparison.json", fill)
    view = tradeoffs(Comparison.load(comparison_folder / "comparison.json"))[0]
    assert view.is_log
    assert view.log_ticks == [2.0, 5.0, 10.0, 20.0, 50.0]
    places = place_labels(view)
    boxes = [label_box(point, places[point.model], view) for point in view.points]
    assert all(box.is_inside for box in boxes)
    assert not any(one.meets(other) for i, one in enumerate(boxes) for other in boxes[:i])
