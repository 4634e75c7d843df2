"""A set of runs: what fails takes its group out, what is done is used again, and only arguments say where it works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import foray.training
from foray.errors import OutOfMemoryError
from foray.records import RunFolder, RunRecord
from foray.requests import ImageSource, Machine, TrainingRequest
from foray.runs import many, train
from foray.runs.many import PlannedRun, train_runs
from foray.runs.outcomes import outcomes_of
from foray.runs.run_id import run_id, run_id_in_comparison
from foray.training import RunPlan, TrainingFailedError
from tests.asking import plan_comparison, plan_run, plan_search
from tests.notes import Notes
from tests.small_training import MODEL, coloured_squares, small_recipe

OTHER = "mobilenet_v2_x0.25"
EFFICIENTNET = "efficientnet@d0.3,w0.2,r32"


def class_folders(folder: Path) -> Path:
    """The squares as files."""
    for sample in coloured_squares(per_class=10).samples:
        path = folder / f"{sample.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sample.image.pixels).save(path)
    return folder


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


def test_a_run_of_an_earlier_version_stays_and_is_trained_again_which_is_said_once(tmp_path: Path) -> None:
    plan = plan_comparison(class_folders(tmp_path / "data"), (EFFICIENTNET, MODEL), "scratch", epochs=1)
    runs = [run for model in plan.models for run in plan.runs_of(model)[:1]]
    assert [run.folder == run.earlier for run in runs] == [False, True]  # MobileNets have one rule for any classes
    train_runs([replace(runs[0], folder=runs[0].earlier)], tmp_path, Machine("cpu"))  # as an earlier version named it
    kept = RunFolder(tmp_path / runs[0].earlier).record
    before = kept.read_bytes()
    notes = Notes()
    train_runs(runs, tmp_path, Machine("cpu"), progress=notes)
    [said] = [note for note in notes.said if "earlier" in note]
    assert said == (
        f"{runs[0].earlier} is of an earlier version of foray, which drew a larger classifier. "
        f"It is kept but not used; {EFFICIENTNET} is trained again with seed 0."
    )
    assert kept.read_bytes() == before
    again = Notes()
    train_runs(runs, tmp_path, Machine("cpu"), progress=again)
    assert not any("earlier" in note for note in again.said)


def test_a_search_knows_the_runs_of_an_earlier_version(tmp_path: Path) -> None:
    runs = plan_search(class_folders(tmp_path / "data"), EFFICIENTNET, epochs=1, seeds=1).runs()
    assert all(run.folder != run.earlier for run in runs)
    assert len({run.earlier for run in runs}) == len(runs)


def test_training_by_itself_names_the_run_of_an_earlier_version_and_how_it_goes_on(tmp_path: Path) -> None:
    source, how = ImageSource(class_folders(tmp_path / "data")), TrainingRequest("scratch", epochs=1)
    dataset = source.open()
    earlier = run_id(replace(foray.training.plan_run(EFFICIENTNET, dataset, how), large_classifier=True), dataset)
    (tmp_path / "runs" / earlier).mkdir(parents=True)
    notes = Notes()
    for _ in range(2):  # the second call finds the finished run
        train(source, EFFICIENTNET, how, Machine("cpu"), out=tmp_path / "runs", progress=notes)
    [said] = [note for note in notes.said if "earlier" in note]
    assert said.endswith(f"To go on with that one: foray train --resume {tmp_path / 'runs' / earlier}")


def test_runs_are_found_by_the_names_they_always_had() -> None:
    run = planned(MODEL, 3)
    key, data = run.plan.key, run.dataset.fingerprint
    assert run_id(run.plan, run.dataset) == f"{MODEL}-scratch-squares-seed3-{key[:4]}{data[:4]}"
    assert run_id_in_comparison(run.plan, run.dataset).startswith(f"{MODEL}-scratch-seed3-")
    assert len(run_id_in_comparison(run.plan, run.dataset)) == len(f"{MODEL}-scratch-seed3-") + 8
