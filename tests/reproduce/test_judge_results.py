"""Statements judged from real runs: pairs on the same images, times, curves, and how stand-ins are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from foray.errors import RunError
from foray.records import RunRecord
from foray.records.reproduction import ClaimResult, ExperimentInfo
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Claim, Gap, Judge, Order, TimeRatio
from foray.reproduce.evidence import current, evidence_of
from foray.reproduce.judge import Findings, judged
from foray.reproduce.results_folder import RunResult, read_results

from .conftest import Finished

FROZEN, WHOLE = "deepweeds-mobilenet-frozen", "deepweeds-mobilenet-whole"


@pytest.fixture(scope="module")
def findings(finished: Finished) -> Findings:
    """The mini runs as if they were to be judged: they are on digits, with another protocol than the study's."""
    found = {role: current(results) for role, results in read_results(finished.results, "mini").items()}
    return Findings(found, {}, mini=False)


def test_the_studys_figure_is_the_best_validation_top1_or_that_of_the_last_epoch_where_the_recipe_keeps_it() -> None:
    """Of the committed runs: not cross-fitted, since the study's own figure is not."""
    measures = set()
    for results in read_results(Path(__file__).resolve().parents[2] / "results", "standin").values():
        for result in results:
            if not isinstance(result, RunResult):
                continue
            found, val = evidence_of([result]), [row.val_top1 for row in result.history]
            is_best = result.record.recipe["checkpoint"] == "best"
            assert found.measured.value == pytest.approx(max(val) if is_best else val[-1], abs=1e-6)
            assert found.measure == ("best validation top-1" if is_best else "validation top-1 of the last epoch")
            measures.add(found.measure)
    assert len(measures) == 2


def judge(findings: Findings, how: Judge) -> ClaimResult:
    return judged(Claim("x", "comparison", "A statement.", "nowhere", "deepweeds", how), findings)


def test_an_order_under_another_protocol_is_told_and_not_judged(findings: Findings) -> None:
    found = judge(findings, Order(((FROZEN, WHOLE),)))
    assert found.verdict == "differs in protocol"
    assert "epochs: 2, not 20" in found.sentence
    assert found.sentence.startswith("On a stand-in (scikit-learn's digits in place of DeepWeeds): Here")
    (pair,) = found.pairs
    assert (pair.reference, pair.candidate, pair.n, pair.seeds, pair.split) == (WHOLE, FROZEN, 20, 1, "test")


def test_an_experiment_of_our_own_has_no_protocol_to_differ_from(findings: Findings) -> None:
    found = judge(findings, Order(((FROZEN, WHOLE),), ours=True))
    assert found.verdict in ("reproduced", "not reproduced")
    assert "with another protocol" not in found.sentence


def test_an_order_of_which_half_was_not_run_is_not_judged(findings: Findings) -> None:
    found = judge(findings, Order(((FROZEN, "deepweeds-b0"),)))
    assert found.verdict == "data not available here"
    assert [one.role for one in found.evidence] == [FROZEN]


def test_an_order_with_a_missing_step_is_told_and_not_decided(findings: Findings) -> None:
    """Unless a step to the contrary is shown, which no other step makes good."""
    found = judge(findings, Order(((FROZEN, WHOLE), (FROZEN, "deepweeds-b0")), ours=True))
    assert "1 of 2 steps are without results (deepweeds-b0)" in found.sentence
    contrary = any(pair.status == "not_worse" for pair in found.pairs)
    assert found.decided == contrary


def test_what_two_cores_can_run_is_said_to_be_theirs(findings: Findings) -> None:
    assert "--scale standin does" in judge(findings, Order(((FROZEN, "deepweeds-b0"),))).sentence
    assert "--scale full does" in judge(findings, Order(((FROZEN, "cifar100-b0"),))).sentence


def test_a_gap_is_that_of_the_paired_test(findings: Findings) -> None:
    found = judge(findings, Gap(FROZEN, WHOLE, "similar", 0.5))
    right = {one.role: one.test.value for one in found.evidence if one.test}
    assert found.pairs[0].loss == pytest.approx(right[FROZEN] - right[WHOLE])
    assert "margin 50 points" in found.sentence


@pytest.mark.parametrize(("low", "verdict"), [(0.0, "reproduced"), (1e9, "not reproduced")])
def test_a_ratio_of_times_is_that_of_the_records(findings: Findings, low: float, verdict: str) -> None:
    found = judge(findings, TimeRatio(FROZEN, WHOLE, low, of="run"))
    fast, slow = found.evidence
    assert found.verdict == verdict
    assert f"{slow.minutes / fast.minutes:.2f} times" in found.sentence


def test_the_curve_of_a_claim_is_read_from_its_run(findings: Findings) -> None:
    found = judged(CLAIMS["mobilenet.whole.keeps_rising"], findings)
    assert found.verdict == "differs in protocol"
    assert "val is" in found.sentence


@pytest.mark.parametrize("wrong", ["source", "counts"])
def test_results_of_unknown_images_are_named(finished: Finished, tmp_path: Path, wrong: str) -> None:
    folder = next(path.parent for path in sorted((finished.results / "mini").glob("*/*/record.json")))
    copied = tmp_path / "mini" / "role" / "run"
    shutil.copytree(folder, copied)
    if wrong == "source":
        info = ExperimentInfo.load(copied / "experiment.json")
        info.model_copy(update={"source": "../../x"}).save(copied / "experiment.json")
    else:
        record = RunRecord.load(copied / "record.json")
        dataset = record.dataset.model_copy(update={"counts": {"train": 3, "test": 1}})
        record.model_copy(update={"dataset": dataset}).save(copied / "record.json")
    with pytest.raises(RunError, match="names unknown images" if wrong == "source" else "counts no val images"):
        read_results(tmp_path, "mini")
