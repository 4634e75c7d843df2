"""A set of runs: what fails takes its group out, what is done is used again, and only arguments say where it works."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.errors import OutOfMemoryError
from foray.records import RunFolder, RunRecord
from foray.requests import Machine
from foray.runs import many
from foray.runs.many import PlannedRun, train_runs
from foray.runs.outcomes import outcomes_of
from foray.runs.run_id import run_id, run_id_in_comparison
from foray.training import RunPlan, TrainingFailedError
from tests.asking import plan_run
from tests.small_training import MODEL, coloured_squares, small_recipe

OTHER = "mobilenet_v2_x0.25"


def planned(model: str, seed: int) -> PlannedRun:
    squares = coloured_squares(per_class=5)
    plan = plan_run(model, squares, small_recipe(epochs=1), seed=seed)
    return PlannedRun(model, plan, squares, f"runs/{run_id(plan, squares)}")


def test_what_fails_takes_its_group_out_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[str, int]] = []

    def train_run(plan: RunPlan, *arguments: object, **options: object) -> RunRecord:
        trained.append((plan.spec.name, plan.seed))
        if plan.spec.name == MODEL:
            raise OutOfMemoryError("too large") if plan.seed else TrainingFailedError("the loss is nan")
        return original(plan, *arguments, **options)

    original = many.train_run
    monkeypatch.setattr(many, "train_run", train_run)
    runs = [planned(model, seed) for model in (MODEL, OTHER) for seed in (0, 1)]
    finished: list[str] = []
    found = train_runs(runs, tmp_path, Machine("cpu"), finished=lambda run, record: finished.append(record.run_id))
    assert trained == [(MODEL, 0), (OTHER, 0), (OTHER, 1)]
    assert found.failures == {MODEL: "the loss is nan"}
    assert finished == [Path(run.folder).name for run in runs[2:]]
    outcomes = outcomes_of(found, tmp_path)
    assert list(outcomes) == [OTHER]
    assert outcomes[OTHER].folders == tuple(RunFolder(tmp_path / run.folder) for run in runs[2:])
    assert [record.seed for record in outcomes[OTHER].records] == [0, 1]
    trained.clear()
    runs[0] = planned(MODEL, 1)  # memory that does not suffice is a reason as well
    assert train_runs(runs[:1], tmp_path, Machine("cpu")).failures == {MODEL: "too large"}


def test_a_set_of_runs_goes_on_where_it_was_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [planned(MODEL, seed) for seed in (0, 1)]
    first = train_runs(runs[:1], tmp_path / "here", Machine("cpu"))
    (tmp_path / "here").rename(tmp_path / "there")
    monkeypatch.chdir(tmp_path)
    again = train_runs(runs, Path("there"), Machine("cpu"))
    assert again.done[MODEL][0][1] == first.done[MODEL][0][1]
    assert len(again.done[MODEL]) == 2


def test_runs_are_found_by_the_names_they_always_had() -> None:
    run = planned(MODEL, 3)
    key, data = run.plan.key, run.dataset.fingerprint
    assert run_id(run.plan, run.dataset) == f"{MODEL}-scratch-squares-seed3-{key[:4]}{data[:4]}"
    assert run_id_in_comparison(run.plan, run.dataset).startswith(f"{MODEL}-scratch-seed3-")
    assert len(run_id_in_comparison(run.plan, run.dataset)) == len(f"{MODEL}-scratch-seed3-") + 8
