"""Statements and numbers judged from runs: seeds, scales, resolutions, folds, and what is said about them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from foray.errors import RunError
from foray.records import RunRecord
from foray.records.reproduction import ClaimResult, ExperimentInfo
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Accuracy, Claim, CurveShape, Gap, Judge, Order
from foray.reproduce.evidence import evidence_of
from foray.reproduce.experiments import FROZEN_FOLDS, FULL, REDUCED
from foray.reproduce.findings import Findings
from foray.reproduce.judge import judged
from foray.reproduce.results_folder import read_results

from .conftest import Finished
from .made_results import Made, rows, some_right

FROZEN, WHOLE, LAST34 = "deepweeds-mobilenet-frozen", "deepweeds-mobilenet-whole", "deepweeds-mobilenet-last34"
N = 1000


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def judge(found: Findings | Made, how: Judge, origin: Literal["study", "ours"] = "study") -> ClaimResult:
    claim = Claim("x", "comparison", "A statement.", "nowhere", "deepweeds", how, origin=origin)
    return judged(claim, found.findings() if isinstance(found, Made) else found)


def test_a_step_in_favour_with_one_seed_is_shown_for_these_networks(made: Made) -> None:
    made.run("deepweeds-b0", some_right(900, N))
    made.run("deepweeds-b1", some_right(940, N))
    found = judge(made, Order((("deepweeds-b0", "deepweeds-b1"),)))
    assert found.verdict == "reproduced"
    told = "EfficientNet-B1 from scratch is 4 points above EfficientNet-B0 from scratch on test ("
    assert found.sentence.startswith(told)
    assert found.sentence.endswith(", n = 1,000, one seed each): shown for these networks.")
    (pair,) = found.pairs
    assert (pair.reference, pair.candidate, pair.n, pair.seeds) == ("deepweeds-b1", "deepweeds-b0", N, 1)


@pytest.mark.parametrize("how", [
    Order((("deepweeds-b1", "deepweeds-b0"),)),
    Gap("deepweeds-b0", "deepweeds-b1", "no better", 0.02),
    Gap("deepweeds-b1", "deepweeds-b0", "similar", 0.02),
])  # fmt: skip
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_contrary_is_shown_by_several_seeds_alone(made: Made, how: Judge, seeds: int) -> None:
    for seed in range(seeds):
        made.run("deepweeds-b0", some_right(900, N), seed=seed)
        made.run("deepweeds-b1", some_right(960, N), seed=seed)
    found = judge(made, how)
    if seeds == 1:
        assert found.verdict == "undecided"
        assert "These two networks show the contrary" in found.sentence
        assert "cannot tell the architecture from the luck of training. Two more seeds of each would." in found.sentence
    else:
        assert found.verdict == "not reproduced"
        assert "3 seeds each" in found.sentence
        assert "the contrary is shown." in found.sentence


def test_a_head_on_a_frozen_backbone_is_a_training_of_one_seed_too(made: Made) -> None:
    made.run(FROZEN, some_right(800, N))
    made.run("deepweeds-mobilenet-frozen-sgd", some_right(700, N))
    found = judge(made, CLAIMS["mobilenet.frozen.sgd"].judge)
    assert found.verdict == "undecided"
    assert "is 10 points below MobileNetV2 with a frozen backbone on test" in found.sentence


def test_a_difference_within_the_noise_is_undecided(made: Made) -> None:
    made.run("deepweeds-b0", some_right(900, N))
    made.run("deepweeds-b1", some_right(902, N, first=2))
    found = judge(made, Order((("deepweeds-b0", "deepweeds-b1"),)))
    assert found.verdict == "undecided"
    assert found.sentence.endswith(": not decided.")


def test_networks_are_compared_at_the_first_scale_that_all_have(made: Made) -> None:
    """MobileNetV2 at 224 px is not compared with B0 at 160 px."""
    made.run(WHOLE, some_right(990, N))
    made.run(WHOLE, some_right(800, N), scale="reduced")
    made.run("deepweeds-b0-whole", some_right(900, N), scale="reduced")
    found = judge(made, Gap(WHOLE, "deepweeds-b0-whole", "better", 0.02), "ours")
    assert found.verdict == "reproduced"
    assert {(one.scale, one.resolution) for one in found.evidence} == {("reduced", 160)}
    assert found.pairs[0].loss == pytest.approx(-0.1)
    assert found.sentence.endswith(f"Run with {REDUCED[WHOLE].resolved().epochs} epochs, not 20; 160 px, not 224.")


def test_networks_without_a_common_scale_have_no_result(made: Made) -> None:
    made.run(WHOLE, some_right(990, N))
    made.run("deepweeds-b0-whole", some_right(900, N), scale="reduced")
    found = judge(made, Gap(WHOLE, "deepweeds-b0-whole", "better", 0.02), "ours")
    assert found.verdict == "no result"
    assert found.sentence.startswith(
        "Only networks at one scale and resolution are compared: deepweeds-mobilenet-whole (full, 224 px), "
        "deepweeds-b0-whole (reduced, 160 px). To run it: foray reproduce x --scale reduced|full "
    )


def test_at_one_scale_the_resolution_has_to_be_the_same(made: Made) -> None:
    made.run(WHOLE, some_right(900, N), scale="reduced")
    made.run("deepweeds-b0", some_right(900, N), scale="reduced")
    found = judge(made, Gap(WHOLE, "deepweeds-b0", "no better", 0.05))
    assert found.verdict == "no result"
    assert "deepweeds-mobilenet-whole (reduced, 160 px), deepweeds-b0 (reduced, 112 px)." in found.sentence
    assert "foray reproduce x --scale full --data-dir DIR" in found.sentence


def test_each_at_its_own_resolution_is_compared_as_the_study_does(made: Made) -> None:
    for b, right in (("b0", 900), ("b1", 940), ("b2", 980)):
        made.run(f"deepweeds-{b}", some_right(right, N))
    found = judge(made, Order((("deepweeds-b0", "deepweeds-b1", "deepweeds-b2"),)))
    assert found.verdict == "reproduced"
    assert [one.resolution for one in found.evidence] == [224, 240, 260]


def test_networks_whose_names_state_their_resolution_are_compared(made: Made) -> None:
    for way, right in (("resolution", 700), ("compound", 800)):
        for seed in range(3):
            made.run(f"scaling-{way}", some_right(right, N), scale="reduced", seed=seed)
    found = judge(made, Order((("scaling-resolution", "scaling-compound"),)))
    assert found.verdict == "reproduced"
    assert "n = 1,000, 3 seeds each): shown." in found.sentence
    assert all(one.differs == [] for one in found.evidence)  # the study has no such experiment
    assert found.evidence[0].data == "CIFAR-10 (850 train, 150 val and 1000 test images per class)"


def test_a_statement_under_another_protocol_is_told_and_not_judged(made: Made) -> None:
    made.run("deepweeds-b0", some_right(900, N), scale="reduced")
    made.run("deepweeds-b1", some_right(940, N), scale="reduced")
    how = Order((("deepweeds-b0", "deepweeds-b1"),))
    found = judge(made, how)
    assert found.verdict == "differs in protocol"
    assert found.sentence.startswith(
        "Here the claim holds, with another protocol (40 epochs, not 500; 112 px, not 224; "
    )
    assert "112 px, not 240" in found.sentence
    assert judge(made, Order((("deepweeds-b1", "deepweeds-b0"),))).sentence.startswith("Here the claim is not decided,")
    assert judge(made, how, "ours").verdict == "reproduced"


def test_the_contrary_under_another_protocol_does_not_hold_here(made: Made) -> None:
    for seed in range(3):
        made.run("deepweeds-b0", some_right(900, N), scale="reduced", seed=seed)
        made.run("deepweeds-b1", some_right(960, N), scale="reduced", seed=seed)
    found = judge(made, Order((("deepweeds-b1", "deepweeds-b0"),)))
    assert found.verdict == "differs in protocol"
    assert found.sentence.startswith("Here the claim does not hold, with another protocol (")


def test_an_order_with_a_missing_step_is_undecided(made: Made) -> None:
    made.run("deepweeds-b0", some_right(900, N))
    made.run("deepweeds-b1", some_right(940, N))
    found = judge(made, Order((("deepweeds-b0", "deepweeds-b1", "deepweeds-b2"),)))
    assert found.verdict == "undecided"
    assert found.sentence.endswith("Steps without a result: 1 of 2. Not run: deepweeds-b2.")
    assert len(found.pairs) == 1


def test_what_is_missing_of_an_order_is_told_once(made: Made) -> None:
    made.run(WHOLE, some_right(890, N))
    made.run("deepweeds-b0", some_right(900, N))
    made.run("deepweeds-b0-whole", some_right(900, N), scale="reduced")
    larger = (WHOLE, "deepweeds-b0", "deepweeds-b1", "deepweeds-b2")
    found = judge(made, Order((larger, (WHOLE, "deepweeds-b0-whole"))))
    assert found.sentence.endswith(
        "Steps without a result: 3 of 4. Not run: deepweeds-b1, deepweeds-b2. Only networks at one scale and resolution"
        " are compared: deepweeds-mobilenet-whole (full, 224 px), deepweeds-b0-whole (reduced, 160 px)."
    )


def test_a_contrary_step_is_enough_whatever_is_missing(made: Made) -> None:
    for seed in range(3):
        made.run("deepweeds-b0", some_right(940, N), seed=seed)
        made.run("deepweeds-b1", some_right(900, N), seed=seed)
    assert judge(made, Order((("deepweeds-b0", "deepweeds-b1", "deepweeds-b2"),))).verdict == "not reproduced"


def test_an_order_without_two_neighbours_has_no_result(made: Made) -> None:
    made.run("deepweeds-b0", some_right(900, N))
    found = judge(made, Order((("deepweeds-b0", "deepweeds-b1", "deepweeds-b2"),)))
    assert found.verdict == "no result"
    assert found.sentence.startswith(
        "Not run: deepweeds-b1, deepweeds-b2. To run it: foray reproduce x --scale reduced|"
    )
    assert [one.role for one in found.evidence] == ["deepweeds-b0"]


def test_a_number_is_exceeded_by_another_protocol(made: Made) -> None:
    made.run("cifar10-b0", some_right(962, N), scale="reduced", val=some_right(7_215, 7_500))
    found = judge(made, Accuracy("cifar10-b0", 0.912))
    assert found.verdict == "exceeded by another protocol"
    assert found.sentence.startswith(
        f"96.2 % (95.7 to 96.6, n = 7,500) against 91.2 %, with {REDUCED['cifar10-b0'].resolved().epochs} epochs, not "
        f"500; {REDUCED['cifar10-b0'].resolution} px, not 224; optimizer.name: adamw, not sgd; "
    )
    assert found.sentence.endswith(" more, named with the run.")
    assert len(found.evidence[0].differs) > 10  # all of them are in the row


def test_other_pixels_exceed_nothing(made: Made) -> None:
    made.run("rps-b0", some_right(990, N), scale="reduced")
    found = judge(made, Accuracy("rps-b0", 0.86))
    assert found.verdict == "differs in protocol"
    assert found.sentence == (
        "99.0 % (98.2 to 99.5, n = 1,000) here, 86 % in the study. What differs: Rock-Paper-Scissors at 28 px, "
        "enlarged in place of Rock-Paper-Scissors; 10 epochs, not 250."
    )


def test_the_number_of_a_claim_is_its_own_roles(made: Made) -> None:
    """What is shown beside it does not stand in for it."""
    made.run("cifar10-b0-scratch", some_right(912, N), scale="reduced")
    found = judge(made, Accuracy("cifar10-b0", 0.912, also=("cifar10-b0-scratch",)))
    assert found.verdict == "no result"


def test_epoch_70_of_a_longer_run_is_the_studys_and_of_a_shorter_one_its_last(made: Made) -> None:
    val = [0.5 + 0.005 * i for i in range(80)]
    found = evidence_of([made.run("deepweeds-b0", some_right(1, N), history=rows(val, val))], at_epoch=70)
    assert (found.measure, found.differs) == ("validation top-1 after epoch 70", [])
    assert found.measured.value == pytest.approx(val[69])
    changes: dict[str, object] = {"epochs": 40}
    shorter = made.run("deepweeds-b0", some_right(1, N), history=rows(val[:40], val[:40]), changes=changes)
    found = evidence_of([shorter], at_epoch=70)
    assert (found.measure, found.differs) == ("validation top-1 after epoch 40, the last", ["40 epochs, not 500"])
    assert found.measured.value == pytest.approx(val[39])


@pytest.mark.parametrize(
    ("name", "differs"), [("step", []), ("cosine", ["80 epochs, not 500", "schedule.name: cosine, not step"])]
)
def test_a_rate_that_is_stretched_over_the_epochs_makes_epoch_70_another(
    made: Made, name: str, differs: list[str]
) -> None:
    changes = {"epochs": 80, "schedule": {"name": name, "factor": 0.9, "every_epochs": 5, "warmup_epochs": 0.0}}
    run = made.run("deepweeds-b0", some_right(1, N), history=rows([0.5] * 80, [0.5] * 80), changes=changes)
    assert evidence_of([run], at_epoch=70).differs == differs


def test_folds_are_told_together(made: Made) -> None:
    """Means of 80, 81, 79, 78 and 82 %: 80 %, with a standard deviation of the square root of 2.5."""
    for role, right in zip((FROZEN, *FROZEN_FOLDS), (800, 810, 790, 780, 820), strict=True):
        made.run(role, some_right(right - 10, N), val=some_right(right, N))
    found = judge(made, CLAIMS["mobilenet.frozen"].judge)
    assert found.verdict == "reproduced"
    assert found.sentence.startswith("80.0 % (77.4 to 82.4, n = 1,000) against 79.95 %. Over 5 folds: 80.0 % on val ")
    assert "(standard deviation 1.58 points; 78.0 to 82.0 %), and 79.0 % (77.8 to 80.1, n = 5,000)" in found.sentence
    assert [one.fold for one in found.evidence] == [0, 1, 2, 3, 4]


def test_test_images_that_two_folds_share_are_not_pooled(made: Made) -> None:
    for fold, role in enumerate((FROZEN, FROZEN_FOLDS[0])):
        made.run(role, some_right(800, N))
        record = made.runs[-1].record
        dataset = record.dataset.model_copy(update={"fold": fold})
        object.__setattr__(made.runs[-1], "record", record.model_copy(update={"dataset": dataset}))
        with np.load(made.runs[-1].path / "predictions.npz") as arrays:
            same = dict(arrays) | {"test_ids": np.array([f"{i:05d}" for i in range(N)])}
        np.savez(made.runs[-1].path / "predictions.npz", **same)
    assert judge(made, CLAIMS["mobilenet.frozen"].judge).sentence.endswith("; 80.0 to 80.0 %).")


def test_the_contrary_of_a_curve_needs_several_seeds_too(made: Made) -> None:
    falling = rows([0.95] * 20, [0.9 - 0.01 * i for i in range(20)])
    made.run(WHOLE, some_right(900, N), history=falling)
    how = CurveShape(WHOLE, "keeps rising")
    found = judge(made, how)
    assert found.verdict == "undecided"
    assert found.sentence.endswith(
        "This training shows the contrary; one training may be unlucky. Two more seeds would tell."
    )
    made.run(WHOLE, some_right(900, N), history=falling, seed=1)
    assert judge(made, how).verdict == "not reproduced"


def test_a_curve_at_another_resolution_is_told_and_not_judged(made: Made) -> None:
    rising = rows([0.95] * 20, [0.7 + 0.01 * i for i in range(20)])
    made.run(WHOLE, some_right(900, N), history=rising, scale="reduced")
    found = judge(made, CurveShape(WHOLE, "keeps rising"))
    assert found.verdict == "differs in protocol"
    assert found.sentence.startswith(
        f"Here the claim holds, with another protocol ({REDUCED[WHOLE].resolved().epochs} epochs, not 20; 160 px, not "
        "224). From epoch 5 to 20 "
    )


def test_a_result_of_another_recipe_is_not_judged_but_may_exceed(made: Made) -> None:
    changed: dict[str, object] = {"bn_momentum": None}
    made.run(WHOLE, some_right(890, N), changes=changed)
    found = judge(made, Accuracy(WHOLE, 0.89))
    assert found.verdict == "differs in protocol"
    assert (
        "Made with another version of the recipe: deepweeds-mobilenet-whole (bn_momentum: none, not 0.1)."
        in found.sentence
    )
    assert "foray reproduce x --scale full runs it again" in found.sentence
    assert judge(made, Accuracy(WHOLE, 0.80)).verdict == "exceeded by another protocol"


def test_the_studys_figure_is_the_best_validation_top1_or_that_of_the_last_epoch(made: Made) -> None:
    measures = [evidence_of([made.run(role, some_right(900, N))]).measure for role in ("deepweeds-b0", WHOLE)]
    assert measures == ["best validation top-1", "validation top-1 of the last epoch"]


def test_every_full_experiment_is_the_studys_protocol(made: Made) -> None:
    for role, experiment in FULL.items():
        if experiment.recipe is not None:
            assert evidence_of([made.run(role, some_right(900, N))]).differs == []


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
