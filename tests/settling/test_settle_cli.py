"""`foray settle` as a user runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from foray.records import Settlement, SettlePlan
from tests.warm_start import run_command

from .small_world import MODELS, NEW, World


def run(world: World, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "FORAY_CACHE": str(world.cache),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }
    return run_command(("settle", world.out, *arguments), environment, world.out.parent)


def test_from_images_to_a_verdict(world: World) -> None:
    asked = run(world, "--images", world.new, "--device", "cpu", "--workers", 1)
    assert asked.returncode == 0, asked.stderr
    plan = SettlePlan.load(world.out / "settle" / "plan.json")
    said = " ".join(asked.stdout.split())
    assert f"{NEW} new images." in said
    likelier = max(plan.pairs, key=lambda pair: pair.probability)
    assert (
        f"{likelier.candidate} against {likelier.reference}: {len(plan.asked)} of {NEW} images differ; labelling them "
        f"decides with probability about {likelier.probability:.2g}; about {likelier.expected_labels:.0f} labels are "
        "expected."
    ) in said
    assert said.count("labelling them decides") == 1
    assert f"foray settle {world.out} --labels labels.csv" in said
    path = world.labels_csv(world.out.parent / "labels.csv", plan.asked[:30])
    decided = run(world, "--labels", path)
    assert decided.returncode == 0, decided.stderr
    settlement = Settlement.load(world.out / "settle" / "settlement.json")
    assert " ".join(settlement.decision.sentence.split()) in " ".join(decided.stdout.split())
    assert f"Report: {world.out / 'report.html'}" in decided.stdout
    pairs = decided.stdout.partition("New images ")[2].partition("Report: ")[0]
    assert max(map(len, pairs.splitlines())) <= 80
    assert f"{MODELS[0]} against {MODELS[1]}: {len(plan.asked)} of {NEW} images differ, 30 are labelled" in " ".join(
        pairs.split()
    )
    again = run(world, "--labels", path, "--json")
    assert Settlement.model_validate_json(again.stdout).decision == settlement.decision


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Give --images DIR to find the new images that need a label, or --labels FILE"),
        (("--images", "a", "--labels", "b"), "Give --images DIR to find the new images that need a label"),
        (("--images", "absent"), "absent does not exist. Name a folder of images"),
        (("--labels", "absent.csv"), "No labels were asked for in"),
    ],
)
def test_bad_input_ends_with_one_message_and_status_2(one_seed: World, arguments: tuple[str, ...], said: str) -> None:
    done = run(one_seed, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("foray: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_settled_comparison_has_its_way_out(one_seed: World, tmp_path: Path) -> None:
    done = run_command(("settle", tmp_path, "--images", one_seed.new), dict(os.environ), tmp_path)
    assert done.returncode == 2
    assert "no finished comparison" in done.stderr
