"""Running, resuming, judging again without running, and results that are damaged or of another recipe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from foray.errors import RunError
from foray.processes import Processes
from foray.records import RunRecord
from foray.records.reproduction import ExperimentInfo, Reproduction, Scale, Unavailable, UnavailableList
from foray.reproduce import execute
from foray.reproduce.all_claims import CLAIMS, claims_named
from foray.reproduce.claim import Arithmetic, TimeRatio
from foray.reproduce.differences import older_recipe
from foray.reproduce.execute import Study, StudyRequest
from foray.reproduce.reproduce import judge_all, read_findings, reproduce, rewrite
from foray.reproduce.results_folder import RunResult, read_results, read_unavailable
from foray.requests import Machine
from foray.runs import many
from tests.notes import Notes

from .conftest import MINI, NAMES, Finished

ROOT = Path(__file__).resolve().parents[2]


def by_claim(found: Reproduction) -> dict[str, str]:
    return {one.claim: one.verdict for one in found.results}


def test_mini_numbers_are_never_judged(finished: Finished) -> None:
    assert finished.found.mini
    assert [one.claim for one in finished.found.results] == [claim.id for claim in claims_named(NAMES)]
    for one in finished.found.results:
        if isinstance(CLAIMS[one.claim].judge, Arithmetic):
            assert one.verdict == "error in the study"
        else:
            assert one.verdict == "no result"
            assert one.sentence.startswith("Mini, not judged: ")
            timed = isinstance(CLAIMS[one.claim].judge, TimeRatio)
            assert timed or bool(one.evidence) == ("the code path ran (" in one.sentence)


def test_evidence_says_what_was_run(finished: Finished) -> None:
    by_role = {one.role: one for one in finished.found.runs}
    assert set(by_role) == {"deepweeds-mobilenet-frozen", "deepweeds-mobilenet-whole"}
    for one in by_role.values():
        assert (one.epochs, one.seeds, one.resolution) == (2, [0], 32)
        assert one.images == 2 * 40  # four of each of ten classes, twice
        assert one.steps == 2 * 5
        assert one.measured.n == 20
        assert one.minutes > 0
        assert "random weights in place of pretrained ones" in one.differs
        assert "scikit-learn's digits in place of DeepWeeds" in one.differs
        assert "32 px, not 224" in one.protocol_differs
        assert "batch_size: 8, not 32" in one.protocol_differs
        assert one.older_recipe == []


def test_what_is_done_is_not_done_again(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is to be trained")

    monkeypatch.setattr(many, "train_run", refuse)
    again = reproduce(MINI, finished.out, Machine(cache_dir=finished.out / "cache", workers=1))
    assert again == finished.found


def test_an_interrupted_reproduction_goes_on_with_the_same_command(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after training and before its result was kept: the run is found done, and is not trained again.

    Two seeds are asked for; the second follows.
    """

    def again() -> Reproduction:
        request = StudyRequest(("mobilenet.last34.overfits",), "mini", seeds=2)
        return reproduce(request, tmp_path, Machine(cache_dir=finished.out / "cache", workers=1))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(execute, "keep_run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            again()
    assert not list((tmp_path / "results").rglob("record.json"))
    trained = only(tmp_path / "runs", "deepweeds-mobilenet-last34") / "best.safetensors"
    before = trained.stat().st_mtime_ns
    assert by_claim(again()) == {"mobilenet.last34.overfits": "no result"}
    assert trained.stat().st_mtime_ns == before
    kept = [RunRecord.load(path).seed for path in (tmp_path / "results").rglob("record.json")]
    assert sorted(kept) == [0, 1]


def test_the_page_is_written_again_from_results_alone(finished: Finished, tmp_path: Path) -> None:
    again = rewrite(finished.results, tmp_path, NAMES)
    assert again == finished.found
    for name in ("reproduction.html", "reproduction.md", "reproduction.json", "reproduction-figure1.svg"):
        assert (tmp_path / name).read_bytes() == (finished.out / name).read_bytes()


def test_no_path_of_the_machine_is_kept(finished: Finished) -> None:
    for path in finished.results.rglob("*.json*"):
        assert str(finished.out) not in path.read_text(encoding="utf-8"), path


def test_without_names_the_rest_is_listed_too(finished: Finished, tmp_path: Path) -> None:
    found = rewrite(finished.results, tmp_path)
    assert len(found.results) > 30
    assert "foray reproduce table1.cifar100.b0" in (tmp_path / "reproduction.md").read_text(encoding="utf-8")


def copy_of(finished: Finished, target: Path) -> Path:
    shutil.copytree(finished.results, target)
    return target


def only(results: Path, role: str) -> Path:
    return next((results / "mini" / role).glob("*/record.json")).parent


def test_results_of_another_recipe_are_kept_and_named(finished: Finished, tmp_path: Path) -> None:
    results = copy_of(finished, tmp_path / "results")
    run = only(results, "deepweeds-mobilenet-whole")
    record = RunRecord.load(run / "record.json")
    recipe = record.recipe | {"optimizer": record.recipe["optimizer"] | {"learning_rate": 0.5}}
    record.model_copy(update={"recipe": recipe}).save(run / "record.json")
    (result,) = read_results(results, "mini")["deepweeds-mobilenet-whole"]
    assert isinstance(result, RunResult)
    assert older_recipe(result) == ["optimizer.learning_rate: 0.5, not 0.001"]
    rewrite(results, tmp_path / "page", NAMES)
    page = (tmp_path / "page" / "reproduction.md").read_text(encoding="utf-8")
    assert "older recipe: optimizer.learning_rate: 0.5, not 0.001" in page


def test_an_experiment_that_is_no_more_is_passed_over(finished: Finished, tmp_path: Path) -> None:
    results = copy_of(finished, tmp_path / "results")
    run = only(results, "deepweeds-mobilenet-whole")
    info = ExperimentInfo.load(run / "experiment.json")
    info.model_copy(update={"role": "deepweeds-vgg16"}).save(run / "experiment.json")
    found = rewrite(results, tmp_path / "page", NAMES)
    assert [one.role for one in found.runs] == ["deepweeds-mobilenet-frozen"]


def test_full_results_come_before_reduced_ones_and_both_are_listed(finished: Finished, tmp_path: Path) -> None:
    whole = only(finished.results, "deepweeds-mobilenet-whole")
    for scale, role in (
        ("reduced", "deepweeds-mobilenet-whole"),
        ("full", "deepweeds-mobilenet-whole"),
        ("full", "cifar10-mobilenet"),
    ):  # of which there is no full experiment
        copied = tmp_path / scale / role / whole.name
        shutil.copytree(whole, copied)
        info = ExperimentInfo.load(copied / "experiment.json")
        info.model_copy(update={"scale": scale, "role": role}).save(copied / "experiment.json")
    findings = read_findings(tmp_path, mini=False)
    assert list(findings.results) == list(findings.also) == ["deepweeds-mobilenet-whole"]
    runs = judge_all(findings, claims_named(["mobilenet.whole"])).runs
    assert [one.scale for one in runs] == ["full", "reduced"]
    assert all("images: scikit-learn's digits, not DeepWeeds" in one.older_recipe for one in runs)


@pytest.mark.parametrize("name", ["record.json", "history.jsonl", "predictions.npz", "experiment.json"])
def test_a_damaged_file_is_named(finished: Finished, tmp_path: Path, name: str) -> None:
    results = copy_of(finished, tmp_path / "results")
    path = only(results, "deepweeds-mobilenet-frozen") / name
    path.write_bytes(path.read_bytes()[:-40] if name != "history.jsonl" else b'{"epoch": 0')
    with pytest.raises(RunError, match=name):
        rewrite(results, tmp_path / "page", NAMES)


@pytest.mark.parametrize("has_digests", [True, False])
def test_predictions_cut_short_are_refused(finished: Finished, tmp_path: Path, has_digests: bool) -> None:
    results = copy_of(finished, tmp_path / "results")
    run = only(results, "deepweeds-mobilenet-frozen")
    with np.load(run / "predictions.npz") as whole:
        arrays = {name: whole[name][:3] for name in whole.files}
    np.savez(run / "predictions.npz", **arrays)
    if not has_digests:  # as earlier versions of foray left it
        info = ExperimentInfo.load(run / "experiment.json")
        info.model_copy(update={"files": {}}).save(run / "experiment.json")
    words = "its SHA-256 differs from the recorded one" if has_digests else "it does not match the 20 images"
    with pytest.raises(RunError, match=rf"predictions\.npz: {words}.*Delete its folder and run again"):
        rewrite(results, tmp_path / "page", NAMES)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="There are no results in"):
        rewrite(tmp_path, tmp_path / "page")


@pytest.mark.parametrize("scale", ["full", "reduced"])
def test_what_cannot_be_run_is_noted_with_its_official_place(tmp_path: Path, scale: Scale) -> None:
    """And nothing is run in its place."""
    names = ("mobilenet.imagenet", "mobilenet.whole.keeps_rising")
    found = reproduce(StudyRequest(names, scale, offline=True), tmp_path)
    verdicts = by_claim(found)
    assert {verdicts["mobilenet.imagenet"], verdicts["mobilenet.whole.keeps_rising"]} == {"no result"}
    assert "ILSVRC2012_img_val.tar" in found.results[0].sentence
    assert found.runs == []
    noted = json.loads((tmp_path / "results" / scale / "unavailable.json").read_text())["roles"]
    assert set(noted) == {"imagenet-mobilenet", "deepweeds-mobilenet-whole"}
    assert "github.com/AlexOlsen/DeepWeeds" in noted["deepweeds-mobilenet-whole"]["reason"]
    assert [path.name for path in (tmp_path / "results").iterdir()] == [scale]


def test_the_docs_page_is_that_of_the_committed_results(tmp_path: Path) -> None:
    results = ROOT / "results"
    if not list(results.glob("*/*/*/experiment.json")):
        pytest.skip("no results are committed")
    rewrite(results, tmp_path)
    assert (tmp_path / "reproduction.md").read_text() == (ROOT / "results" / "reproduction.md").read_text()


def test_several_processes_leave_to_one_what_they_do_not_run(tmp_path: Path) -> None:
    """Heads on cached features and timings; why these had no result is still known afterwards."""
    failed = Unavailable(kind="failed", reason="Out of memory.")
    kept = UnavailableList(roles={"deepweeds-mobilenet-frozen": failed, "times-latency": failed})
    kept.save(tmp_path / "results" / "full" / "unavailable.json")
    progress = Notes()
    two = Machine(cache_dir=tmp_path / "cache", processes=Processes(rank=0, count=2))
    Study(StudyRequest(scale="full"), tmp_path, two, "", progress).run_all(kept.roles)
    assert read_unavailable(tmp_path / "results", "full") == kept
    assert progress.said == [
        "In one process only: deepweeds-mobilenet-frozen, times-latency. Run the same command without torchrun as well."
    ]


def test_reasons_of_both_scales_are_kept(tmp_path: Path) -> None:
    for scale, reason in (("full", "Give `data_dir`."), ("reduced", "Out of memory.")):
        roles = {"cifar100-b0": Unavailable(kind="failed", reason=reason)}
        UnavailableList(roles=roles).save(tmp_path / scale / "unavailable.json")
    found = read_findings(tmp_path, mini=False)
    assert found.reasons("cifar100-b0") == ["Give --data-dir.", "Out of memory."]
    [claim] = claims_named(["table1.cifar100.b0"])
    judged = judge_all(found, [claim])
    assert judged.results[0].sentence.startswith("Not run: cifar100-b0. Give --data-dir. Out of memory. To run it: ")
    assert sorted(judged.missing) == ["full/cifar100-b0", "reduced/cifar100-b0"]


def test_a_failed_seed_is_told_beside_the_others(finished: Finished, tmp_path: Path) -> None:
    results = copy_of(finished, tmp_path / "results")
    failed = Unavailable(kind="failed", reason="Out of memory.")
    UnavailableList(roles={"deepweeds-mobilenet-whole": failed}).save(results / "mini" / "unavailable.json")
    assert read_findings(results, mini=True).missing == {"mini/deepweeds-mobilenet-whole": failed}
