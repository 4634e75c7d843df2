"""Numbers and curves judged from runs: scales, recipes, folds, and what is said about them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from foray.errors import RunError
from foray.records import RunRecord
from foray.records.reproduction import ExperimentInfo
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Accuracy, CurveShape
from foray.reproduce.evidence import evidence_of
from foray.reproduce.experiments import FROZEN_FOLDS, FULL, REDUCED
from foray.reproduce.results_folder import read_results

from .conftest import Finished
from .made_results import Made, judge, rows, some_right

FROZEN, WHOLE = "deepweeds-mobilenet-frozen", "deepweeds-mobilenet-whole"
N = 1000


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
    assert (found.measure, found.differs) == ("validation top-1 after epoch 40, the last one", ["40 epochs, not 70"])
    assert found.measured.value == pytest.approx(val[39])


def test_the_epoch_that_was_reached_is_told(made: Made) -> None:
    val = [0.5 + 0.005 * i for i in range(40)]
    made.run("deepweeds-b0", some_right(1, N), history=rows(val, val), changes={"epochs": 40})
    found = judge(made, Accuracy("deepweeds-b0", 0.905, at_epoch=70))
    assert "), validation top-1 after epoch 40, the last one, here, 90.5 % in the study." in found.sentence
    assert "What differs: 40 epochs, not 70." in found.sentence


def test_a_figure_of_a_set_whose_test_images_stood_for_val_is_compared_on_test(made: Made) -> None:
    made.run("rps-b0", some_right(860, N), val=some_right(1_000, N))
    found = judge(made, CLAIMS["table1.rps.b0"].judge)
    assert found.verdict == "reproduced"
    assert found.sentence.startswith("86.0 % on test (")


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
    assert found.sentence.startswith(
        "80.0 % (77.4 to 82.4, n = 1,000) against 79.95 %. Over 5 folds, one seed each: 80.0 % on val "
    )
    assert "(standard deviation 1.58 points; 78.0 to 82.0 %), and 79.0 % (77.8 to 80.1, n = 5,000)" in found.sentence
    assert [one.fold for one in found.evidence] == [0, 1, 2, 3, 4]


def test_each_machine_and_command_of_several_seeds_is_told_once(made: Made) -> None:
    runs = [made.run(FROZEN, some_right(800, N), seed=seed) for seed in range(3)]
    other = runs[2].record.hardware.model_copy(update={"processor": "another processor"})
    runs[2] = dataclasses.replace(
        runs[2],
        record=runs[2].record.model_copy(update={"hardware": other, "train_precision": "bfloat16"}),
        info=runs[2].info.model_copy(update={"command": "foray reproduce --seeds 3"}),
    )
    found = evidence_of(runs)
    first = runs[0].record
    assert found.hardware == f"{first.hardware.label()}, {first.train_precision}; {other.label()}, bfloat16"
    assert found.command.splitlines() == ["foray reproduce", "foray reproduce --seeds 3"]


def test_folds_are_compared_by_as_many_seeds_each(made: Made) -> None:
    """More seeds of one fold change its own figure, and not what is said over the folds."""
    for role, right in zip((FROZEN, *FROZEN_FOLDS), (800, 810, 790, 780, 820), strict=True):
        made.run(role, some_right(right, N))
    over = judge(made, CLAIMS["mobilenet.frozen"].judge).sentence.partition("Over ")[2]
    made.run(FROZEN, some_right(600, N), seed=1)
    found = judge(made, CLAIMS["mobilenet.frozen"].judge).sentence
    assert found.startswith("70.0 %")
    assert found.partition("Over ")[2] == over != ""


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
        "This training shows the contrary. A single training may be lucky or unlucky: foray reproduce x --scale full "
        "--seeds 3 adds two per network."
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
