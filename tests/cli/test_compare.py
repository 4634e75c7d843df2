"""`foray compare` from end to end on a folder of painted images, and what can be wrong with what it is given."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from foray.decision import awaits_labels
from foray.records import Comparison, RunRecord, folder_lock

from .conftest import PER_CLASS, TINY, Cli, Finished, command, environment


def test_verdict_table_and_report(comparison: Finished, images: Path) -> None:
    record = Comparison.load(comparison.out / "comparison.json")
    lines = comparison.done.stdout.splitlines()
    assert " ".join(record.decision.sentence.split()) in " ".join(comparison.done.stdout.split())
    for candidate in record.candidates:
        assert any(line.startswith(candidate.model) for line in lines)
    pick = next(one for one in record.candidates if one.model == record.decision.pick)
    run = comparison.out / "runs" / pick.run_ids[0]
    assert awaits_labels(record.decision)
    assert lines[-5:] == [
        f"Report: {comparison.out / 'report.html'}",
        "Labels of new images on which the models differ may settle it:",
        f"  foray settle {comparison.out} --images DIR",
        f"Run of {pick.model}: {run}",
        f"  foray export {shlex.join([str(run), '--data', str(images)])}",
    ]
    assert "labels of new images on which the models differ may settle it (foray settle)" in (
        comparison.out / "report.html"
    ).read_text(encoding="utf-8")
    assert record.decision.pick in {candidate.model for candidate in record.candidates}
    assert record.command.startswith("foray compare ")


def test_one_seed_is_said_with_the_time_that_three_take(comparison: Finished) -> None:
    record = Comparison.load(comparison.out / "comparison.json")
    seconds = 2 * sum(candidate.train_seconds or 0 for candidate in record.candidates)
    assert record.seeds == [0]
    assert seconds > 0
    time = "less than a minute" if seconds < 60 else "about "
    assert (
        f"One seed: this holds for these trained networks, and another training may give another result; three "
        f"seeds (--seeds 3) take {time}" in record.decision.sentence
    )


def test_where_val_chose_the_epochs_the_verdict_rests_on_cross_fitted_predictions(comparison: Finished) -> None:
    record = Comparison.load(comparison.out / "comparison.json")
    assert record.decision.selection_split == "val_crossfit"
    assert {pair.split for pair in record.decision.pairs} <= {"val_crossfit"}
    assert not any("optimistic" in caution for caution in record.cautions)
    for candidate in record.candidates:
        (run,) = candidate.run_ids
        found = RunRecord.load(comparison.out / "runs" / run / "record.json").metrics["val_crossfit"]
        assert (candidate.selection.value, candidate.selection.n) == (found.top1.value, found.n)
    assert "val %: cross-fitted" in comparison.done.stdout
    report = (comparison.out / "report.html").read_text(encoding="utf-8")
    assert "val, cross-fitted" in report
    assert "each half of val is scored at the epoch that the other half chose" in report


def test_every_image_is_in_one_split(comparison: Finished) -> None:
    counts = Comparison.load(comparison.out / "comparison.json").dataset.counts
    assert sum(counts.values()) == 3 * PER_CLASS
    assert all(counts[split] > 0 for split in ("train", "val", "test"))


def test_output_to_a_file_has_no_control_codes_and_80_columns(comparison: Finished) -> None:
    assert "\x1b" not in comparison.done.stdout + comparison.done.stderr
    assert "\r" not in comparison.done.stdout + comparison.done.stderr
    table, _, paths = comparison.done.stdout.partition("Report: ")
    assert max(map(len, table.splitlines())) <= 80
    assert len(paths.splitlines()) == 5


def test_same_command_again_trains_nothing(comparison: Finished, images: Path, cli: Cli) -> None:
    before = {path: path.stat().st_mtime_ns for path in comparison.out.glob("runs/*/best.safetensors")}
    assert before
    again = cli("compare", images, *TINY, "--out", comparison.out)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in comparison.out.glob("runs/*/best.safetensors")} == before


def test_predictions_cut_short_give_no_verdict(comparison: Finished, images: Path, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(comparison.out, tmp_path / "out")
    before = (tmp_path / "out" / "comparison.json").read_bytes()
    for path in (tmp_path / "out").glob("runs/*/predictions/test.npz"):
        with np.load(path) as whole:
            arrays = {name: whole[name][:5] for name in whole.files}
        np.savez(path, **arrays)
    done = cli("compare", images, *TINY, "--out", "out")
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
    assert "test.npz is damaged" in " ".join(done.stderr.split())
    assert "run the command that started it again" in " ".join(done.stderr.split())
    assert (tmp_path / "out" / "comparison.json").read_bytes() == before


def test_budget_nobody_meets_and_its_report_again(images: Path, cli: Cli, tmp_path: Path) -> None:
    done = cli("compare", images, *TINY, "--max-params", "1k", "--out", "none")
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("out:") == 2
    record = Comparison.load(tmp_path / "none" / "comparison.json")
    assert record.decision.outcome == "nobody_in_budget"
    assert record.decision.pick is None
    assert not list((tmp_path / "none").glob("runs/*/best.safetensors")), "a model over the budget was trained"

    report = tmp_path / "none" / "report.html"
    before = report.read_bytes()
    report.unlink()
    again = cli("report", "none")
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout
    assert report.read_bytes() == before


def test_dry_run_shows_the_plan_and_writes_nothing(images: Path, cli: Cli, tmp_path: Path) -> None:
    done = cli("compare", images, *TINY, "--seeds", "2", "--out", "planned", "--dry-run")
    assert done.returncode == 0, done.stderr
    for word in ("3 classes", "mobilenet_v1_x0.25", "mobilenet_v2_x0.25", "2 epochs", "seeds 0, 1", "disk", "time"):
        assert word in done.stdout
    assert not (tmp_path / "planned").exists()


def test_dry_run_names_what_it_would_download_and_downloads_nothing(cli: Cli, tmp_path: Path) -> None:
    options = ("--models", "mobilenet_v2", "--weights", "hub", "--cache-dir", "c", "--dry-run")
    done = cli("compare", "cifar10", *options, HF_HOME=str(tmp_path / "hub"))
    assert done.returncode == 0, done.stderr
    said = "".join(done.stdout.split())
    assert "cifar-10-binary.tar.gz" in said
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" in said
    assert "timm/mobilenetv2_100.ra_in1k" in said
    assert not (tmp_path / "c").exists()


def test_another_comparison_is_not_overwritten(comparison: Finished, cli: Cli) -> None:
    before = (comparison.out / "comparison.json").read_bytes()
    done = cli("compare", "digits", *TINY, "--out", comparison.out)
    assert done.returncode == 2
    assert "--out" in done.stderr
    assert (comparison.out / "comparison.json").read_bytes() == before


def test_two_runs_in_one_folder(images: Path, cli: Cli, tmp_path: Path) -> None:
    with folder_lock(tmp_path / "busy"):
        done = cli("compare", images, *TINY, "--out", "busy")
    assert done.returncode == 2
    assert "Another comparison is using busy" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_model_names_the_nearest(images: Path, cli: Cli) -> None:
    done = cli("compare", images, "--models", "mobilenetv2,efficientnet_b0", "--protocol", "scratch")
    assert done.returncode == 2
    assert "'mobilenetv2'" in done.stderr
    assert "mobilenet_v2" in done.stderr
    assert "Traceback" not in done.stderr


def test_linear_needs_weights(images: Path, cli: Cli) -> None:
    done = cli("compare", images, "--models", "mobilenet_v2", "--protocol", "linear")
    assert done.returncode == 2
    assert "--weights" in done.stderr


@pytest.mark.parametrize("make", [lambda folder: folder.mkdir(), lambda folder: None], ids=["empty", "missing"])
def test_data_that_is_not_there(make: object, cli: Cli, tmp_path: Path) -> None:
    make(tmp_path / "photos")
    done = cli("compare", "photos", *TINY)
    assert done.returncode == 2
    assert "photos" in done.stderr
    assert "Traceback" not in done.stderr


def rows(history: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]


def test_ctrl_c_and_the_same_command_goes_on(images: Path, cli_cache: Path, tmp_path: Path) -> None:
    """Interrupted in the middle of training, the run keeps its epochs, and the second start trains only the others."""
    epochs = 25
    arguments = ("compare", images, "--protocol", "scratch", "--models", "mobilenet_v1_x0.25", "--epochs", epochs,
        "--wait", 0)  # fmt: skip
    out = tmp_path / "out"
    env = environment(cli_cache)
    process = subprocess.Popen(
        command(*arguments, "--out", out),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not any(path.read_text(encoding="utf-8").count("\n") >= 3 for path in out.glob("runs/*/history.jsonl")):
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"ended before the third epoch: {process.communicate()}")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to the process and its children
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "run the same command again" in stderr
    assert "Traceback" not in stderr
    assert stdout == ""

    (history,) = out.glob("runs/*/history.jsonl")
    before = rows(history)
    assert 3 <= len(before) < epochs

    done = subprocess.run(command(*arguments, "--out", out), env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    after = rows(history)
    assert [row["epoch"] for row in after] == [before[0]["epoch"] + i for i in range(epochs)]
    # The epoch that was being saved may be trained again, to the same numbers; those before it are not.
    assert after[: len(before) - 1] == before[:-1]
    assert after[len(before) - 1]["train_loss"] == before[-1]["train_loss"]
    assert RunRecord.load(history.parent / "record.json").status == "done"
