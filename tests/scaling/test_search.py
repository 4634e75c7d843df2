"""The search itself, on a small data set: what is trained, resumed, decided, drawn."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foray.errors import ForayError, RunError
from foray.records import Estimate, PairedLoss, ScalingSearch
from foray.report import write_search_figure
from foray.report.search_figure import draw_search, place
from foray.requests import Machine
from foray.scaling.findings import verdict
from foray.scaling.search import SEARCH_FILE, search
from foray.scaling.search_plan import SearchPlan
from foray.specs import get_spec
from tests.asking import plan_search

PROXY = "mobilenet_v1@d0.5,w0.1,r32"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes that differ in colour."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name, colour in {"red": (190, 70, 70), "green": (80, 180, 80), "blue": (70, 80, 190)}.items():
        (folder / name).mkdir()
        for i in range(12):
            pixels = np.clip(np.array(colour) + random.normal(0, 30, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02}.png")
    return folder


@pytest.fixture(scope="module")
def plan(photos: Path) -> SearchPlan:
    return plan_search(photos, PROXY, epochs=1, seeds=2)


@pytest.fixture(scope="module")
def found(plan: SearchPlan, tmp_path_factory: pytest.TempPathFactory) -> tuple[ScalingSearch, Path]:
    out = tmp_path_factory.mktemp("search")
    return search(plan, out, Machine("cpu", workers=1)), out


def test_every_network_is_trained_with_every_seed(plan: SearchPlan, found: tuple[ScalingSearch, Path]) -> None:
    result, out = found
    assert [row.model for row in result.candidates] == [spec.name for spec in plan.specs()]
    assert len(list((out / "runs").iterdir())) == 2 * len(plan.specs())
    assert result.candidates[0].kind == "proxy"
    assert {row.kind for row in result.candidates[1:]} == {"one dimension", "several dimensions"}
    assert sum(row.published for row in result.candidates) == 1
    for row in result.candidates:
        assert row.val is not None
        assert row.val.low <= row.val.value <= row.val.high
        assert row.val.n == len(plan.dataset.indices("val"))
        assert get_spec(row.model).name == row.model
    assert result.dataset.counts["val"] == len(plan.dataset.indices("val"))


def test_val_chooses_and_test_judges(found: tuple[ScalingSearch, Path]) -> None:
    result, _ = found
    grid = [row for row in result.candidates if row.kind != "proxy"]
    assert result.candidate(result.best or "").val.value == max(row.val.value for row in grid)
    assert result.candidate(result.several or "").kind == "several dimensions"
    assert {loss.candidate for loss in result.one_dimension} == {r.model for r in grid if r.kind == "one dimension"}
    for loss in result.one_dimension:
        assert (loss.split, loss.reference, loss.seeds) == ("test", result.several, 2)
        assert loss.confidence == pytest.approx(1 - 0.05 / len(result.one_dimension))


def test_the_direction_is_chosen_on_epochs_that_each_half_of_val_chose_for_the_other(
    found: tuple[ScalingSearch, Path],
) -> None:
    result, out = found
    assert (result.selection_split, result.cautions) == ("val_crossfit", [])
    for row in result.candidates:
        kept = [np.load(out / "runs" / run / "predictions" / "val_crossfit.npz") for run in row.run_ids]
        right = [one["probabilities"].argmax(axis=1) == one["labels"] for one in kept]
        assert row.val.value == pytest.approx(np.mean(right))
    older = result.model_dump_json(exclude={"selection_split", "cautions"})
    assert ScalingSearch.model_validate_json(older).selection_split == "val"


def test_an_interrupted_search_goes_on_and_ends_the_same(plan: SearchPlan, found: tuple[ScalingSearch, Path]) -> None:
    result, out = found
    runs = sorted((out / "runs").iterdir())
    finished = {run.name: (run / "record.json").stat().st_mtime_ns for run in runs[1:]}
    (out / SEARCH_FILE).unlink()
    shutil.rmtree(runs[0])
    again = search(plan, out, Machine("cpu", workers=1))
    assert {run: (out / "runs" / run / "record.json").stat().st_mtime_ns for run in finished} == finished
    same = {"created", "total_seconds"}
    assert [row.model_dump(exclude={"seconds_per_epoch"}) for row in again.candidates] == [
        row.model_dump(exclude={"seconds_per_epoch"}) for row in result.candidates
    ]
    assert again.model_dump(exclude=same | {"candidates"}) == result.model_dump(exclude=same | {"candidates"})
    assert ScalingSearch.load(out / SEARCH_FILE) == again


def test_a_folder_holds_one_search(photos: Path, found: tuple[ScalingSearch, Path]) -> None:
    other = plan_search(photos, PROXY, epochs=2, seeds=2)
    with pytest.raises(RunError, match="other data, recipe or proxy"):
        search(other, found[1], Machine("cpu", workers=1))


def test_the_picture_places_networks_by_what_they_spend(found: tuple[ScalingSearch, Path], tmp_path: Path) -> None:
    result, _ = found
    assert place((1.0, 0.0, 0.0)) == (0.0, 0.0)
    assert place((0.0, 1.0, 0.0)) == (1.0, 0.0)
    assert place((1 / 3, 1 / 3, 1 / 3)) == pytest.approx((0.5, 3**0.5 / 6))
    for row in result.candidates:
        if row.shares:
            assert sum(row.shares) == pytest.approx(1)
            assert (max(row.shares) == 1) == (row.kind == "one dimension")
    triangle, ranking = draw_search(result).axes[:2]
    assert len(ranking.get_yticklabels()) == len(result.candidates)
    assert {text.get_text() for text in triangle.texts} >= {"all into depth", "all into width", "all into resolution"}
    with Image.open(write_search_figure(result, tmp_path)) as picture:
        assert picture.width > 1000
    assert "<svg" in (tmp_path / "scaling_search.svg").read_text()


def loss_of(value: float, lower: float, upper: float) -> PairedLoss:
    status = "worse" if lower > 0 else "unresolved"
    return PairedLoss(
        reference="a", candidate="b", split="test", n=100, seeds=2, loss=value, lower=lower, upper=upper,
        tolerance=0.0, status=status,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ([loss_of(0.03, 0.01, 0.05), loss_of(0.02, 0.001, 0.04)], "for every dimension.* up to 3 points"),
        ([loss_of(0.03, 0.01, 0.05), loss_of(0.0, -0.02, 0.02)], "worse for 1 of 2 here"),
        ([loss_of(0.01, -0.01, 0.03)], "do not show that scaling one dimension alone is worse"),
        ([], "No single dimension could be judged"),
    ],
)
def test_the_sentence_says_no_more_than_the_bounds(losses: list[PairedLoss], says: str) -> None:
    assert re.search(says, verdict(losses))


def test_one_seed_is_said_with_the_time_that_three_take() -> None:
    one = loss_of(0.03, 0.01, 0.05).model_copy(update={"seeds": 1})
    assert verdict([one], [100.0, 200.0]).endswith("three seeds (--seeds 3) take about 10 min more.")
    assert "One seed" not in verdict([loss_of(0.03, 0.01, 0.05)], [100.0, 200.0])


def test_what_cannot_be_searched_is_refused(photos: Path) -> None:
    with pytest.raises(ForayError, match="is not a scaled name"):
        plan_search(photos, "mobilenet_v1")
    with pytest.raises(ForayError, match="`steps`"):
        plan_search(photos, PROXY, steps=2)
    with pytest.raises(ForayError, match="`seeds`"):
        plan_search(photos, PROXY, seeds=0)


def test_estimates_are_over_images_and_seeds(found: tuple[ScalingSearch, Path]) -> None:
    estimate = found[0].candidates[0].val
    assert isinstance(estimate, Estimate)
    assert "2 seeds" in estimate.method
