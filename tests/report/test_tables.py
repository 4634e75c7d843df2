"""table.csv and table.md: every number of the comparison, with its unit; what was not measured stays empty."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from foray.records import Comparison
from foray.report.candidate_table import candidate_table, csv_table, markdown_table
from foray.report.provenance import exclusion_facts

from .conftest import edit_json


def load(folder: Path) -> Comparison:
    return Comparison.load(folder / "comparison.json")


def test_csv_gives_back_the_numbers_of_the_comparison(comparison_folder: Path) -> None:
    comparison = load(comparison_folder)
    rows = list(csv.DictReader(io.StringIO(csv_table(comparison))))
    assert [row["model"] for row in rows] == [candidate.model for candidate in comparison.candidates]
    for row, candidate in zip(rows, comparison.candidates, strict=True):
        assert int(row["params"]) == candidate.cost.params
        assert int(row["macs"]) == candidate.cost.macs
        if candidate.test:
            assert float(row["test_top1"]) == candidate.test.value
            assert float(row["test_top1_low"]) == candidate.test.low
            assert float(row["selection_top1_high"]) == candidate.selection.high
            assert int(row["selection_n"]) == 4020
            assert float(row["latency_p95_ms"]) == candidate.cost.latency_p95_ms


def test_not_measured_is_empty_in_csv_and_a_dash_in_markdown(comparison_folder: Path) -> None:
    comparison = load(comparison_folder)
    failed = list(csv.DictReader(io.StringIO(csv_table(comparison))))[-1]
    assert failed["model"] == "mobilenet_v1"
    for column in ("test_top1", "test_top1_sd", "latency_p50_ms", "throughput_images_per_second", "epoch_seconds"):
        assert failed[column] == ""
    (row,) = [line for line in markdown_table(comparison).splitlines() if line.startswith("| mobilenet_v1")]
    assert row.count("| – ") == 7  # two accuracies, sd, F1, latency, throughput, training time


def test_measured_zero_is_a_zero(comparison_folder: Path) -> None:
    edit_json(comparison_folder / "comparison.json", lambda it: it["candidates"][0].update(test_sd=0.0))
    table = candidate_table(load(comparison_folder))
    column = [column.label for column in table.columns].index("SD")
    assert table.rows[0][column].sort == 0.0
    assert table.rows[0][column].text.startswith("0")


def test_rows_rank_by_selection_accuracy_with_the_excluded_last(comparison_folder: Path) -> None:
    table = candidate_table(load(comparison_folder))
    names = [row[0].text for row in table.rows]
    assert names[:3] == ["efficientnet_v2_b0", "efficientnet_b0", "mobilenet_v2"]
    assert set(names[3:]) == {"efficientnet_b4", "mobilenet_v1"}
    kinds = {row[0].text: row[1].kind for row in table.rows}
    assert kinds == {
        "efficientnet_v2_b0": "pick", "efficientnet_b0": "front", "mobilenet_v2": "front",
        "efficientnet_b4": "out", "mobilenet_v1": "failed",
    }  # fmt: skip


def test_status_names_the_broken_bound_with_both_numbers(comparison_folder: Path) -> None:
    table = candidate_table(load(comparison_folder))
    (status,) = [row[1] for row in table.rows if row[0].text == "efficientnet_b4"]
    assert "latency" in status.text
    assert "94" in status.hint
    assert "30" in status.hint


def test_unknown_cost_under_a_bound_is_said_to_be_unknown(comparison_folder: Path) -> None:
    bound = {"bound": "memory", "limit": 2.0**25, "actual": None}
    edit_json(comparison_folder / "comparison.json", lambda it: it["candidates"][3].update(broken_bounds=[bound]))
    table = candidate_table(load(comparison_folder))
    (status,) = [row[1] for row in table.rows if row[0].text == "efficientnet_b4"]
    assert "not known" in status.hint


def test_a_model_whose_latency_was_not_steady_is_neither_out_nor_behind(comparison_folder: Path) -> None:
    def withhold(content) -> None:
        content["decision"].update(outcome="not_known", pick=None, pareto=[])
        for candidate in content["candidates"]:
            candidate["broken_bounds"] = []
            candidate["cost"]["unsteady"] = ["others used 63 %"]

    edit_json(comparison_folder / "comparison.json", withhold)
    comparison = load(comparison_folder)
    table = candidate_table(comparison)
    statuses = {row[0].text: row[1] for row in table.rows}
    assert {status.kind for status in statuses.values()} == {"best", "unknown", "failed"}
    assert statuses["efficientnet_b4"].text == "not known: latency"
    assert statuses["efficientnet_b4"].hint == "latency was not steady: others used 63 %"
    (latency,) = [row[8] for row in table.rows if row[0].text == "efficientnet_b4"]
    assert table.columns[8].label == "Latency"
    assert latency.detail.endswith(", not steady")
    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(csv_table(comparison)))}
    assert rows["efficientnet_b4"]["latency_unsteady"] == "others used 63 %"
    assert ("efficientnet_b4", "Latency was not steady: others used 63 %. It may be over its bound. It was not "
            "trained.") in exclusion_facts(comparison)  # fmt: skip


def test_markdown_is_a_table_whatever_the_names(comparison_folder: Path) -> None:
    def rename(content) -> None:
        content["candidates"][4]["failure"] = "lost | in\n<b>bold</b> text"
        content["decision"]["sentence"] = "Ship <it> | now"

    edit_json(comparison_folder / "comparison.json", rename)
    text = markdown_table(load(comparison_folder))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 5
    assert len({line.replace(r"\|", "").count("|") for line in rows}) == 1
    assert "<" not in text.replace("&lt;", "")
    assert text.startswith("**Ship &lt;it> ")


def test_columns_state_sample_sizes_and_seeds(comparison_folder: Path) -> None:
    hints = {column.label: column.hint for column in candidate_table(load(comparison_folder)).columns}
    assert "n = 4,020" in hints["Selection accuracy"]
    assert "n = 720" in hints["Test accuracy"]
    assert "selects nothing" in hints["Test accuracy"]
    assert "3 seeds" in hints["SD"]
    assert "2 threads" in hints["Latency"]
