"""A run folder and a comparison of an earlier version (tests/fixtures) are read, scored, gone on with and reported."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from foray.records import Comparison, CostProfile, RunRecord
from tests.caches import new_cache
from tests.cli.conftest import run_cli

WRITTEN = Path(__file__).parent / "fixtures" / "written_by_86f8878"
RESULTS = ["record.json", "history.jsonl", "recipe.toml", "best.safetensors", "predictions/*.npz"]
Foray = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A copy of all of them that may be written to."""
    return shutil.copytree(WRITTEN, tmp_path / "older")


@pytest.fixture(scope="session")
def images_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which digits are decoded once for the tests below."""
    return new_cache(tmp_path_factory.mktemp("older-cache"))


@pytest.fixture
def foray(older: Path, images_cache: Path) -> Foray:
    """Runs `foray ARGUMENTS` beside the copies, which must succeed."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        done = run_cli(*arguments, cache=images_cache, cwd=older)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


def the_run(parent: Path) -> Path:
    [run] = parent.iterdir()
    return run


def contents(folder: Path) -> dict[str, bytes]:
    """Every file with results of the runs in `folder`, by path."""
    files = (file for pattern in RESULTS for file in folder.rglob(pattern))
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(files)}


def facts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every (path, value) of a JSON document."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from facts(part, f"{path}/{key}")
    else:
        yield path, value


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def history(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("kind", "pattern"), [(RunRecord, "record.json"), (CostProfile, "profile.json"), (Comparison, "comparison.json")]
)
def test_every_field_is_still_read(kind: type[RunRecord] | type[CostProfile] | type[Comparison], pattern: str) -> None:
    files = sorted(WRITTEN.rglob(pattern))
    assert len(files) >= 2
    for file in files:
        text = read_json(file)
        now = dict(facts(kind.load(file).model_dump(mode="json")))
        kept = {path: value for path, value in facts(text) if "peak_memory" not in path and "memory_is" not in path}
        assert len(kept) >= 15
        assert kept == {path: now.get(path) for path in kept}, file


@pytest.mark.parametrize(("folder", "sentence"), [("comparison", "Ship "), ("comparison_on_onnx", "No model keeps ")])
def test_a_comparison_is_reported(folder: str, sentence: str, older: Path, foray: Foray) -> None:
    """Memory by analysis for PyTorch, and what a process held for a runtime: `peak_memory_bytes` then."""
    with (older / folder / "table.csv").open(encoding="utf-8") as file:
        then = list(csv.DictReader(file))
    assert sentence in foray("report", folder).stdout
    html = (older / folder / "report.html").read_text(encoding="utf-8")
    assert sentence in html
    assert "the error rate of all tests together is 5 %" in html
    with (older / folder / "table.csv").open(encoding="utf-8") as file:
        now = list(csv.DictReader(file))
    for before, row in zip(then, now, strict=True):
        memory = before.pop("peak_memory_bytes")
        kind = "resident memory" if folder == "comparison_on_onnx" else "peak memory"  # called "peak memory" alike then
        before = {name: value.replace("peak memory", kind) for name, value in before.items()}
        assert before == {name: row[name] for name in before}
        assert memory == row[f"{kind.replace(' ', '_')}_bytes"]
    read = Comparison.load(older / folder / "comparison.json").candidates
    for candidate, before in zip(read, read_json(WRITTEN / folder / "comparison.json")["candidates"], strict=True):
        assert candidate.cost.cost("memory") == before["cost"]["peak_memory_bytes"]


@pytest.mark.parametrize("folder", ["train", "linear"])
def test_a_run_scores_what_its_record_says(folder: str, older: Path, foray: Foray) -> None:
    run = the_run(older / folder)
    scores = json.loads(foray("evaluate", run, "digits", "--json").stdout)
    then = read_json(run / "record.json")["metrics"]["test"]
    assert (scores["top1"]["value"], scores["n"]) == (then["top1"]["value"], then["n"])


def test_a_finished_run_is_done(older: Path, foray: Foray) -> None:
    before = contents(older / "train")
    assert len(before) == 6
    assert "is done already" in foray("train", "--resume", "train").stderr
    assert contents(older / "train") == before


def test_an_interrupted_run_goes_on(older: Path, foray: Foray) -> None:
    run = the_run(older / "interrupted")
    assert read_json(run / "checkpoint" / "state.json")["step"] == 15
    then = history(run)
    foray("train", "--resume", "interrupted")
    now = history(run)
    assert [line["epoch"] for line in now] == [1, 2, 3, 4, 5]
    assert [line | before for before, line in zip(then, now[:3], strict=True)] == now[:3]
    assert RunRecord.load(run / "record.json").status == "done"


def test_a_run_is_exported_and_certified(older: Path, foray: Foray) -> None:
    pytest.importorskip("onnxruntime")
    run = the_run(older / "train")
    foray("export", run, "--to", "onnx", "--data", "digits", "--out", "artifacts")
    certificate = read_json(older / "artifacts" / "onnx-fp32" / "artifact.json")["certificate"]
    assert certificate["failures"] == []
    assert certificate["reference_top1"]["value"] == read_json(run / "record.json")["metrics"]["test"]["top1"]["value"]


def test_a_comparison_of_before_was_tested_at_five_per_cent() -> None:
    for folder in ("comparison", "comparison_on_onnx"):
        decision = Comparison.load(WRITTEN / folder / "comparison.json").decision
        assert (decision.error, decision.settle_error) == (0.05, None)
        assert all(pair.labels is None and pair.labels_left == 0 for pair in decision.pairs)


def test_the_same_comparison_at_either_error_trains_nothing_and_picks_the_same(older: Path, foray: Foray) -> None:
    folder = older / "comparison"
    then = read_json(folder / "comparison.json")
    before = contents(folder / "runs")
    assert len(before) == 12
    command = then["command"].split()
    assert command[:2] == ["foray", "compare"]
    for alone, error in ((["--alone"], 0.05), ([], 0.025)):
        assert foray(*command[1:], *alone).stderr.count("is done already") == 2
        now = Comparison.load(folder / "comparison.json")
        assert (now.id, now.decision.pick) == (then["id"], then["decision"]["pick"]) == (now.id, "mobilenet_v1_x0.08")
        assert (now.decision.error, {pair.confidence for pair in now.decision.pairs}) == (error, {1 - error})
        assert {pair.confidence for pair in now.confirmation} == {0.95}
        said = (folder / "report.html").read_text(encoding="utf-8")
        assert f"the error rate of all tests together is {100 * error:g} %" in said
    assert contents(folder / "runs") == before
