"""Folders that hold no comparison, or a damaged one, are refused in one clear sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.errors import RunError
from foray.report import write_report
from foray.report.comparison_folder import read_folder
from foray.report.provenance import run_rows

from .conftest import edit_json
from .example import EPOCHS, SEEDS


def test_reads_candidates_with_their_runs_and_epochs(comparison_folder: Path) -> None:
    folder = read_folder(comparison_folder)
    runs = {entrant.name: len(entrant.runs) for entrant in folder.entrants}
    assert runs == {
        "efficientnet_v2_b0": 3, "efficientnet_b0": 3, "mobilenet_v2": 3, "efficientnet_b4": 0, "mobilenet_v1": 0,
    }  # fmt: skip
    first = folder.entrants[0]
    assert [run.record.seed for run in first.runs] == list(SEEDS)
    assert all([row.epoch for row in run.history] == list(range(1, EPOCHS + 1)) for run in first.runs)


def test_every_precision_of_a_models_runs_is_told(comparison_folder: Path) -> None:
    record = comparison_folder / "runs" / "mobilenet_v2-linear-seed1" / "record.json"
    edit_json(record, lambda it: it.update(train_precision="bfloat16"))
    rows = {row[0]: row for row in run_rows(read_folder(comparison_folder).entrants)}
    assert rows["mobilenet_v2"][4:6] == ("float32, bfloat16", "openvino float32")
    assert rows["efficientnet_b0"][4] == "float32"


def test_folder_without_a_comparison_names_the_way_out(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(RunError, match=r"no finished comparison in .*comparison\.json.*`out`"):
            write_report(folder)
        assert not (folder / "report.html").exists()


def test_half_a_comparison_file_is_damaged(comparison_folder: Path) -> None:
    path = comparison_folder / "comparison.json"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(RunError, match=r"comparison\.json is damaged"):
        write_report(comparison_folder)


def test_missing_run_record_is_named(comparison_folder: Path) -> None:
    (comparison_folder / "runs" / "mobilenet_v2-linear-seed1" / "record.json").unlink()
    with pytest.raises(RunError, match=r"mobilenet_v2-linear-seed1/record\.json"):
        write_report(comparison_folder)


def test_damaged_line_of_a_history_is_named(comparison_folder: Path) -> None:
    path = comparison_folder / "runs" / "mobilenet_v2-linear-seed1" / "history.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:4], lines[4][:20], *lines[5:]]), encoding="utf-8")
    with pytest.raises(RunError, match=r"history\.jsonl is damaged in line 5"):
        write_report(comparison_folder)


def test_run_with_another_number_of_classes_is_refused(comparison_folder: Path) -> None:
    edit_json(comparison_folder / "comparison.json", lambda it: it["dataset"]["classes"].append("one more"))
    with pytest.raises(RunError, match="13 classes"):
        write_report(comparison_folder)


def test_no_file_outside_the_folder_is_read(comparison_folder: Path) -> None:
    (comparison_folder.parent / "secret.jpg").write_bytes(b"secret")
    for outside in ("../secret.jpg", str(comparison_folder.parent / "secret.jpg")):
        edit_json(
            comparison_folder / "comparison.json",
            lambda it, path=outside: it["candidates"][0]["mistakes"][0].update(picture=path),
        )
        with pytest.raises(RunError, match="outside its folder"):
            write_report(comparison_folder)


def test_unfinished_runs_are_left_out(comparison_folder: Path) -> None:
    record = comparison_folder / "runs" / "mobilenet_v2-linear-seed2" / "record.json"
    edit_json(record, lambda it: it.update(status="failed", failure="stopped"))
    (mobilenet,) = [one for one in read_folder(comparison_folder).entrants if one.name == "mobilenet_v2"]
    assert [run.record.seed for run in mobilenet.runs] == [0, 1]
