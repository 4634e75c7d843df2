"""`foray.settle` from end to end: small networks, a comparison that is open, labels that were hidden."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import foray
from foray.data import SPLITS, Split
from foray.errors import DataError, ForayError, RunError
from foray.records import Comparison, RunFolder, SettledPair, Settlement, SettlePlan
from foray.report import write_report
from foray.runs.seen_images import read_seen_images, write_seen_images
from foray.settling.compared import open_compared
from foray.settling.conclude import conclude
from foray.settling.labels_file import Answers, read_labels, template
from foray.settling.plan import differing, question_of, read_plan, repeats
from foray.statistics import paired_loss

from .small_world import COLOURS, MODELS, NEW, TOLERANCE, World

CLASSES = sorted(COLOURS)


def ask(world: World, images: Path | None = None) -> SettlePlan:
    plan = foray.settle(world.out, images=images or world.new, cache_dir=world.cache, device="cpu", workers=1)
    assert isinstance(plan, SettlePlan)
    return plan


def read(
    world: World, plan: SettlePlan, number: int | None = None, changes: dict[str, str] | None = None
) -> Settlement:
    """With the first `number` labels."""
    path = world.labels_csv(world.out.parent / "labels.csv", plan.asked[:number], changes)
    settlement = foray.settle(world.out, labels=path)
    assert isinstance(settlement, Settlement)
    return settlement


def concluded(
    world: World, plan: SettlePlan, number: int | None = None, changes: dict[str, str] | None = None
) -> Settlement:
    """The same without a report, and nothing is stored."""
    path = world.labels_csv(world.out.parent / "labels.csv", plan.asked[:number], changes)
    return concluded_by(world, path)


def concluded_by(world: World, path: Path) -> Settlement:
    plan, images, labels = read_plan(world.out / "settle")
    answers = read_labels(path, question_of(plan, images))
    return conclude(open_compared(world.out), plan, images, labels, answers)


def given(world: World) -> dict[str, np.ndarray]:
    """By model the labels of all new images, (seeds, N); under "truth" the hidden ones."""
    _, images, labels = read_plan(world.out / "settle")
    return {**labels, "truth": np.array([CLASSES.index(world.truth[id_]) for id_ in images])}


def as_said_by(world: World, model: str) -> dict[str, str]:
    """Labels by which a model is always right."""
    _, images, labels = read_plan(world.out / "settle")
    return {id_: CLASSES[label] for id_, label in zip(images, labels[model][0], strict=True)}


def test_the_verdict_is_that_of_labelling_every_image(world: World) -> None:
    plan = ask(world)
    settlement = concluded(world, plan)
    labels = given(world)
    assert plan.images == NEW
    assert len(settlement.pairs) == len(plan.pairs) > 0
    for pair in settlement.pairs:
        ours, theirs = labels[pair.reference], labels[pair.candidate]
        assert pair.labelled == pair.disagreements == int((ours != theirs).sum())
        everything = paired_loss(ours == labels["truth"], theirs == labels["truth"], TOLERANCE, confidence=0.98)
        assert pair.status == everything.status
        assert (pair.losses, pair.gains) == (
            int(((ours == labels["truth"]) & (theirs != labels["truth"])).sum()),
            int(((ours != labels["truth"]) & (theirs == labels["truth"])).sum()),
        )
        for shown in settlement.decision.pairs:
            if (shown.reference, shown.candidate, shown.split) == (pair.reference, pair.candidate, "settle"):
                assert (shown.loss, shown.upper) == pytest.approx((everything.loss, everything.upper), abs=1e-12)


def test_what_is_asked_for_is_where_labels_differ_in_an_order_that_stays(world: World) -> None:
    plan = ask(world)
    _, images, labels = read_plan(world.out / "settle")
    differ = differing(*(labels[model] for model in MODELS))
    assert sorted(plan.asked) == sorted(id_ for id_, one in zip(images, differ, strict=True) if one)
    assert plan.asked != sorted(plan.asked)
    assert all(0 <= pair.probability <= 1 and pair.expected_labels <= pair.disagreements for pair in plan.pairs)
    before = {path.name: path.read_bytes() for path in (world.out / "settle").iterdir()}
    assert ask(world) == plan
    assert {path.name: path.read_bytes() for path in (world.out / "settle").iterdir()} == before
    assert set(before) == {"plan.json", "predictions.npz", "label.html", "labels.csv"}


def test_the_networks_say_what_foray_predict_says(world: World) -> None:
    """But for near ties: the features of random weights are nearly constant, so that their standardisation makes
    rounding, which on some processors depends on the batch, large."""
    ask(world)
    _, images, labels = read_plan(world.out / "settle")
    comparison = Comparison.load(world.out / "comparison.json")
    for one in comparison.candidates:
        shown = foray.predict(
            world.out / "runs" / one.run_ids[0], [world.new / id_ for id_ in images[:40]], device="cpu"
        )
        clear = [i for i, answer in enumerate(shown) if answer.top[0][1] - answer.top[1][1] > 0.1]
        assert len(clear) > 20
        assert [CLASSES[labels[one.model][0][i]] for i in clear] == [shown[i].label for i in clear]


def test_labelling_stops_early_and_a_verdict_stays(world: World) -> None:
    """Labels by which the cheaper model is always right; then some by which it is always wrong."""
    plan = ask(world)
    cheap, best = MODELS
    good, bad = as_said_by(world, cheap), as_said_by(world, best)
    compared, (_, images, labels) = open_compared(world.out), read_plan(world.out / "settle")

    def pair_after(number: int, said: dict[str, str]) -> SettledPair:
        answers = Answers({id_: CLASSES.index(said[id_]) for id_ in plan.asked[:number]})
        pairs = conclude(compared, plan, images, labels, answers).pairs
        return next(pair for pair in pairs if pair.candidate == cheap)

    every = len(plan.asked)
    decided = next(k for k in range(every) if pair_after(k, good).status == "not_worse")
    assert 0 < decided < every / 2
    assert pair_after(every, good).decided_after == every
    later = good | {id_: bad[id_] for id_ in plan.asked[decided:]}
    pair = pair_after(decided + 30, later)
    assert (pair.status, pair.decided_after, pair.labelled) == ("not_worse", decided, decided + 30)
    assert pair_after(every, later).status == "worse"  # the test of all of them counts
    settlement = concluded(world, plan, decided + 30, later)
    assert (settlement.decision.pick, settlement.decision.outcome) == (cheap, "cheaper_not_worse")


def test_only_the_longest_complete_prefix_counts(world: World) -> None:
    plan = ask(world)
    path = world.labels_csv(world.out.parent / "labels.csv", [*plan.asked[:7], *plan.asked[20:]])
    settlement = concluded_by(world, path)
    assert {pair.labelled for pair in settlement.pairs} == {7}
    unused = len(plan.asked) - 20
    assert f"{unused} labels do not count: an image before in the stored order has none" in settlement.notes
    assert not any("not count" in note for note in concluded(world, plan).notes)


def test_images_that_cannot_be_told_count_against_either_verdict(world: World) -> None:
    plan = ask(world)
    settlement = concluded(world, plan, None, dict.fromkeys(plan.asked, "cannot tell"))
    for pair in settlement.pairs:
        assert (pair.skipped, pair.losses, pair.gains, pair.status) == (pair.disagreements, 0, 0, "unresolved")
    assert settlement.decision.outcome == "unresolved"


def test_the_report_says_what_labels_decided_and_keeps_it(world: World) -> None:
    before = (world.out / "comparison.json").read_bytes()
    plan = ask(world)
    assert "Labels of new images</h2>" not in (world.out / "report.html").read_text(encoding="utf-8")
    settlement = read(world, plan, None, as_said_by(world, MODELS[0]))
    page = (world.out / "report.html").read_text(encoding="utf-8")
    assert "Labels of new images</h2>" in page
    assert "balanced recall" in page
    assert f"{len(plan.asked):,} of {NEW}" in page
    table = (world.out / "table.md").read_text(encoding="utf-8")
    assert "Ship tf\\_mobilenet" in table or "Ship tf_mobilenet" in table
    assert settlement.decision.outcome == "cheaper_not_worse"
    assert "cheaper than tf_mobilenet_v1_x0.5" in page
    assert (world.out / "comparison.json").read_bytes() == before
    write_report(world.out)
    assert (world.out / "report.html").read_text(encoding="utf-8") == page


def test_asked_again_once_all_is_decided_the_verdict_is_the_answer(world: World) -> None:
    settlement = read(world, ask(world))
    again = foray.settle(world.out, images=world.new, cache_dir=world.cache, device="cpu", workers=1)
    assert again == settlement


def test_labels_for_an_earlier_decision_are_said_before_any_image_is_looked_at(world: World, tmp_path: Path) -> None:
    read(world, ask(world), 3)
    comparison = Comparison.load(world.out / "comparison.json")
    decision = comparison.decision.model_copy(update={"tolerance": 0.05})
    comparison.model_copy(update={"decision": decision}).save(world.out / "comparison.json")
    with pytest.raises(RunError, match="has decided anew since foray settle asked for labels"):
        ask(world, tmp_path / "nowhere")


def test_a_settlement_of_an_earlier_decision_is_not_shown(world: World) -> None:
    read(world, ask(world))
    comparison = Comparison.load(world.out / "comparison.json")
    decision = comparison.decision.model_copy(update={"tolerance": 0.05})
    comparison.model_copy(update={"decision": decision}).save(world.out / "comparison.json")
    write_report(world.out)
    assert "Labels of new images</h2>" not in (world.out / "report.html").read_text(encoding="utf-8")
    with pytest.raises(RunError, match="has decided anew since foray settle asked for labels"):
        foray.settle(world.out, labels=world.out / "settle" / "labels.csv")


def test_several_seeds_are_decided_when_all_images_have_a_label(two_seeds: World, tmp_path: Path) -> None:
    world = dataclasses.replace(two_seeds, out=Path(shutil.copytree(two_seeds.out, tmp_path / "out")))
    plan = ask(world)
    assert not plan.early
    _, images, labels = read_plan(world.out / "settle")
    together = np.concatenate([labels[model] for model in MODELS])
    wanted = {id_ for id_, column in zip(images, together.T, strict=True) if len(set(column)) > 1}
    assert set(plan.asked) == wanted
    settlement = concluded(world, plan, len(plan.asked) - 1)
    assert {pair.status for pair in settlement.pairs} == {"unresolved"}
    settlement, known = concluded(world, plan), given(world)
    for pair in settlement.pairs:
        correct = known[pair.reference] == known["truth"], known[pair.candidate] == known["truth"]
        assert pair.status == paired_loss(*correct, TOLERANCE, confidence=0.975).status


# No label needed, or too late to ask


def test_no_disagreement_is_an_answer(world: World, tmp_path: Path) -> None:
    """Of the new images those on which both say the same."""
    ask(world)
    _, images, labels = read_plan(world.out / "settle")
    shutil.rmtree(world.out / "settle")
    same = ~differing(*(labels[model] for model in MODELS))
    for id_ in itertools.compress(images, same):
        (tmp_path / "same" / id_).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(world.new / id_, tmp_path / "same" / id_)
    settlement = foray.settle(world.out, images=tmp_path / "same", cache_dir=world.cache, device="cpu")
    assert isinstance(settlement, Settlement)
    assert settlement.asked == 0
    assert {(pair.disagreements, pair.status) for pair in settlement.pairs} == {(0, "not_worse")}
    assert settlement.decision.pick == MODELS[0]
    assert not (world.out / "settle" / "label.html").exists()
    assert "Labels of new images</h2>" in (world.out / "report.html").read_text(encoding="utf-8")
    with pytest.raises(RunError, match=r"gave a verdict on .* already, without any label: Ship tf_mobilenet"):
        ask(world)
    few = sorted((tmp_path / "same").rglob("*.png"))[3:]
    for path in few:
        path.unlink()
    shutil.rmtree(world.out / "settle")
    too_few = foray.settle(world.out, images=tmp_path / "same", cache_dir=world.cache, device="cpu")
    assert {pair.status for pair in too_few.pairs} == {"unresolved"}
    ask(world)  # neither label nor verdict: more images may take their place
    assert not (world.out / "settle" / "settlement.json").exists()
    assert "Labels of new images</h2>" not in (world.out / "report.html").read_text(encoding="utf-8")


def nearly_the_same(world: World, folder: Path, differing_images: int) -> Path:
    """The new images on which both models say the same, and a few others."""
    ask(world)
    _, images, labels = read_plan(world.out / "settle")
    shutil.rmtree(world.out / "settle")
    differ = differing(*(labels[model] for model in MODELS))
    kept = [*itertools.compress(images, ~differ), *list(itertools.compress(images, differ))[:differing_images]]
    for id_ in kept:
        (folder / id_).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(world.new / id_, folder / id_)
    return folder


def test_a_verdict_that_needs_no_label_comes_at_once(world: World, tmp_path: Path) -> None:
    """One image differs: whatever its label is, the loss is below the tolerance."""
    folder = nearly_the_same(world, tmp_path / "nearly", 1)
    settlement = foray.settle(world.out, images=folder, cache_dir=world.cache, device="cpu")
    assert isinstance(settlement, Settlement)
    assert (settlement.asked, settlement.labels) == (1, {})
    assert {(pair.disagreements, pair.status, pair.decided_after) for pair in settlement.pairs} == {(1, "not_worse", 0)}
    assert settlement.decision.pick == MODELS[0]
    assert Settlement.load(world.out / "settle" / "settlement.json") == settlement
    assert "not worse, without a label" in (world.out / "report.html").read_text(encoding="utf-8")
    again = foray.settle(world.out, images=folder, cache_dir=world.cache, device="cpu")
    assert isinstance(again, Settlement)
    assert again.pairs == settlement.pairs
    with pytest.raises(RunError, match=r"Other images gave a verdict on .* already, without any label") as refused:
        ask(world)
    assert "no label differs" not in str(refused.value)


def test_asking_again_keeps_labels_that_were_read(world: World, tmp_path: Path) -> None:
    folder = nearly_the_same(world, tmp_path / "nearly", 1)
    foray.settle(world.out, images=folder, cache_dir=world.cache, device="cpu")
    plan = SettlePlan.load(world.out / "settle" / "plan.json")
    settlement = read(world, plan)
    assert len(settlement.labels) == 1
    assert foray.settle(world.out, images=folder, cache_dir=world.cache, device="cpu") == settlement
    assert Settlement.load(world.out / "settle" / "settlement.json") == settlement


def test_a_comparison_that_is_settled_has_nothing_to_ask(world: World) -> None:
    comparison = Comparison.load(world.out / "comparison.json")
    decision = comparison.decision.model_copy(update={"tolerance": 1.0})
    comparison.model_copy(update={"decision": decision}).save(world.out / "comparison.json")
    with pytest.raises(RunError, match=r"is settled already: .* another tolerance or budget"):
        ask(world)


def test_a_latency_that_was_not_steady_is_no_matter_for_labels(world: World) -> None:
    comparison = Comparison.load(world.out / "comparison.json")
    decision = comparison.decision.model_copy(update={"outcome": "not_known"})
    comparison.model_copy(update={"decision": decision}).save(world.out / "comparison.json")
    with pytest.raises(RunError, match="a latency that was not steady, which labels cannot tell"):
        ask(world)


def other_images(world: World, folder: Path) -> Path:
    """All but a few of the new images."""
    shutil.copytree(world.new / "morning", folder / "morning")
    return folder


def test_other_images_replace_the_first_only_while_there_is_no_label(world: World, tmp_path: Path) -> None:
    first = ask(world)
    plan = ask(world, other_images(world, tmp_path / "others"))
    assert plan.images < first.images
    assert (world.out / "settle" / "labels.csv").read_bytes() == template(question_of(plan)).encode()
    read(world, plan, 3)
    with pytest.raises(RunError, match=r"3 labels of other images were read already\. Choosing images once labels"):
        ask(world)
    stored = SettlePlan.load(world.out / "settle" / "plan.json")
    assert stored == plan.model_copy(update={"labels_read": 3})
    assert ask(world, tmp_path / "others") == stored


def test_sets_of_images_that_are_tried_share_one_error(world: World, tmp_path: Path) -> None:
    """How many of the images differ tells of the loss before any label. A set asked for again counts once."""
    first = ask(world)
    assert (first.error, first.sets, first.earlier) == (0.025, 1, [])
    second = ask(world, other_images(world, tmp_path / "others"))
    assert (second.error, second.sets, second.earlier) == (0.0125, 2, [first.fingerprint])
    assert ask(world, tmp_path / "others") == second
    again = ask(world)
    assert (again.fingerprint, again.error, again.earlier) == (first.fingerprint, 0.0125, [second.fingerprint])
    before = {(pair.reference, pair.candidate): pair for pair in first.pairs}
    for pair in again.pairs:
        was = before[pair.reference, pair.candidate]
        assert (pair.error, pair.worse_error) == (was.error / 2, was.worse_error / 2)
        assert pair.probability <= was.probability
    html = (world.out / "settle" / "label.html").read_text(encoding="utf-8")
    start = html.index('id="page">') + len('id="page">')
    on_page = json.loads(html[start : html.index("</script>", start)])["pairs"]
    assert [pair["notWorse"]["prefixError"] for pair in on_page] == pytest.approx(
        [pair.error / 5 for pair in again.pairs]
    )
    settlement = read(world, again)
    decision = settlement.decision
    assert (decision.settle_error, decision.settle_sets, decision.error_by_labels) == (0.0125, 2, 0.025)
    said = "2 sets of new images were tried, so each is tested at 1.25 %."
    assert decision.sentence.endswith(
        f"at most 5 %: 2.5 % by the comparison and 2.5 % by the labels of new images. {said}"
    )
    report = (world.out / "report.html").read_text(encoding="utf-8")
    assert report.count(said) == 2
    assert "the error rate is 2.5 % on these images and 2.5 % by labels of new images, 5 % together" in report
    labels = given(world)
    for pair in settlement.pairs:
        correct = (labels[model] == labels["truth"] for model in (pair.reference, pair.candidate))
        assert pair.status == paired_loss(*correct, TOLERANCE, confidence=0.99).status  # four fifths of 1.25 %


def test_a_plan_of_an_earlier_version_is_read(world: World) -> None:
    """It counts no earlier sets, has one error for both verdicts, and a digest of each file that was asked for."""
    plan = ask(world)
    path = world.out / "settle" / "plan.json"
    stored = json.loads(path.read_text())
    del stored["earlier"], stored["digest"]
    for pair in stored["pairs"]:
        del pair["worse_error"]
    path.write_text(json.dumps(stored | {"contents": ["0" * 64] * len(plan.asked)}))
    older = SettlePlan.load(path)
    assert (older.sets, older.asked, older.pairs[0].worse_error) == (1, plan.asked, None)
    assert ask(world) == older
    assert len(concluded(world, older).pairs) == len(plan.pairs)


def test_nor_where_the_template_has_been_filled_in(world: World, tmp_path: Path) -> None:
    plan = ask(world)
    world.labels_csv(world.out / "settle" / "labels.csv", plan.asked[:1])
    with pytest.raises(RunError, match=r"labels\.csv holds labels of the images that were asked for"):
        ask(world, other_images(world, tmp_path / "others"))
    kept = (world.out / "settle" / "labels.csv").read_bytes()
    assert ask(world) == plan
    assert (world.out / "settle" / "labels.csv").read_bytes() == kept


def test_an_interrupted_command_is_finished_by_the_same_one(world: World) -> None:
    plan = ask(world)
    for name in ("label.html", "labels.csv"):
        (world.out / "settle" / name).unlink()
    assert ask(world) == plan
    assert (world.out / "settle" / "label.html").exists()
    (world.out / "settle" / "plan.json").unlink()
    assert ask(world).asked == plan.asked


# Images that do not count


def test_unreadable_and_used_images_and_bursts_are_left_out(world: World, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(world.new, tmp_path / "new"))
    (folder / "cut.png").write_bytes((folder / "morning" / "001.png").read_bytes()[:200])
    shutil.copy(world.data / "green" / "003.png", folder / "used.png")
    used = {split: image_of(world, split) for split in SPLITS}
    for split, image in used.items():
        brighter(image, folder / f"like one of {split}.png")
    brighter(folder / "evening" / "000.png", folder / "evening" / "000 again.png")
    (folder / "readme.txt").write_text("hello")
    plan = ask(world, folder)
    assert plan.left_out.model_dump() == {"unreadable": 1, "near_copies": 4, "bursts": 1}
    assert plan.images == NEW
    assert plan.known == {"used.png": CLASSES.index("green")}
    _, images, _ = read_plan(world.out / "settle")
    assert "evening/000 again.png" in images  # the first by name stays
    assert "evening/000.png" not in images
    assert any("cut.png" in note for note in plan.notes)
    assert any("readme.txt" in note for note in plan.notes)
    path = world.labels_csv(tmp_path / "labels.csv", ["used.png"], {"used.png": "blue"})
    with pytest.raises(DataError, match=r"line 2: 'used\.png' is 'blue' here, but the comparison has .* as 'green'"):
        foray.settle(world.out, labels=path)


def test_runs_of_an_earlier_version_know_only_exact_copies_of_test_images(world: World, tmp_path: Path) -> None:
    for run in run_folders(world):
        forget_how_test_images_look(run)
    folder = Path(shutil.copytree(world.new, tmp_path / "new"))
    shutil.copy(image_of(world, "test"), folder / "a test image.png")
    brighter(image_of(world, "test"), folder / "like a test image.png")
    brighter(image_of(world, "val"), folder / "like a val image.png")
    plan = ask(world, folder)
    assert plan.left_out.near_copies == 2
    assert "a run is of an earlier version: near-duplicates of its test images could not be looked for" in plan.notes


def run_folders(world: World) -> list[RunFolder]:
    return [RunFolder(path) for path in sorted((world.out / "runs").iterdir()) if path.is_dir()]


def forget_how_test_images_look(run: RunFolder) -> None:
    record = run.load()
    seen = read_seen_images(run, record)
    assert seen is not None
    write_seen_images(run.images, dataclasses.replace(seen, fingerprints=seen.fitted_fingerprints))
    digest = hashlib.sha256(run.images.read_bytes()).hexdigest()
    record.model_copy(update={"files": {**record.files, run.images.name: digest}}).save(run.record)


def image_of(world: World, split: Split) -> Path:
    """The first image that the runs have in `split`."""
    run = run_folders(world)[0]
    seen = read_seen_images(run, run.load())
    assert seen is not None
    images = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in sorted(world.data.rglob("*.png"))}
    return next(images[content] for content, of in seen.split_of.items() if of == split)


def brighter(image: Path, copy: Path) -> None:
    with Image.open(image) as picture:
        picture.point(lambda value: value + 6).save(copy)


def test_class_folders_are_no_labels_and_that_is_said(world: World, tmp_path: Path) -> None:
    for id_, name in world.truth.items():
        (tmp_path / "sorted" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(world.new / id_, tmp_path / "sorted" / name / id_.replace("/", " "))
    plan = ask(world, tmp_path / "sorted")
    assert plan.images == NEW
    assert any("folders are named after classes" in note for note in plan.notes)


def test_small_images_are_said_to_be_small(world: World, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    for i, path in enumerate(sorted(world.new.rglob("*.png"))[:20]):
        with Image.open(path) as image:
            image.crop((0, 0, 16, 12)).save(tmp_path / "small" / f"{i}.png")
    found = foray.settle(world.out, images=tmp_path / "small", cache_dir=world.cache, device="cpu")
    assert any("shorter side 12 pixels, the median, where the networks see 32" in note for note in found.notes)


def test_an_archive_gives_the_same_images(world: World, tmp_path: Path) -> None:
    plan = ask(world)
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", world.new)
    assert ask(world, Path(archive)).asked == plan.asked


def test_images_that_are_all_alike_are_said_to_be(world: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    (tmp_path / "grey").mkdir()
    for i in range(30):
        pixels = np.clip(rng.normal(128, 25, (64, 40, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "grey" / f"{i}.png")
    found = foray.settle(world.out, images=tmp_path / "grey", cache_dir=world.cache, device="cpu")
    assert found.images == 30
    labels = np.concatenate(list(read_plan(world.out / "settle")[2].values()))
    assert not any("the images are small" in note for note in found.notes)
    said = any("of the labels that the networks give are" in note for note in found.notes)
    assert said == (np.bincount(labels.ravel()).max() / labels.size >= 0.95)


def compare_again(world: World, alone: bool) -> Comparison:
    return foray.compare(
        world.data, MODELS, "linear", weights=world.weights, tolerance=TOLERANCE, prefer="macs", seeds=1,
        out=world.out, cache_dir=world.cache, wait_seconds=0, workers=1, device="cpu", alone=alone,
    )  # fmt: skip


def test_a_comparison_that_labels_settled_keeps_its_error(world: World) -> None:
    """5 % by `alone` would hide the settlement, and the chance to be wrong by both would be 7.5 %."""
    plan = ask(world)
    assert compare_again(world, alone=True).decision.error == 0.05  # no label was read
    assert compare_again(world, alone=False).decision.error == 0.025
    settlement = read(world, plan, 5)
    before = (world.out / "report.html").read_bytes()
    with pytest.raises(RunError, match=r"at an error of 2.5 % and .* settled .* anew at 5 %. Compare without `alone`"):
        compare_again(world, alone=True)
    assert (world.out / "report.html").read_bytes() == before
    assert compare_again(world, alone=False).decision.error == 0.025
    assert Settlement.load(world.out / "settle" / "settlement.json") == settlement


@pytest.mark.parametrize("kind", ["absent", "empty", "a file", "only used images"])
def test_no_new_image(world: World, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "given"
    if kind == "a file":
        path.write_text("hello")
    elif kind == "only used images":
        shutil.copytree(world.data, path)
    elif kind == "empty":
        path.mkdir()
    match = {
        "absent": "does not exist", "empty": "holds no image", "a file": "is not a folder",
        "only used images": r"No image of .* remains. Left out: 120 that were used already",
    }[kind]  # fmt: skip
    with pytest.raises(DataError, match=match):
        ask(world, path)


# Damage


def test_labels_before_images(world: World) -> None:
    with pytest.raises(RunError, match=r"No labels were asked for in .*: ask for them first \(`images`\)"):
        foray.settle(world.out, labels=world.out / "labels.csv")


def test_a_folder_without_a_comparison(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no finished comparison"):
        foray.settle(tmp_path, images=tmp_path)
    with pytest.raises(ForayError, match="Give one of"):
        foray.settle(tmp_path)


@pytest.mark.parametrize("name", ["plan.json", "predictions.npz"])
def test_damaged_files_are_named_with_the_way_out(world: World, name: str) -> None:
    ask(world)
    path = world.out / "settle" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=rf"{name}.*ask again \(`images`\)"):
        foray.settle(world.out, labels=world.out / "settle" / "labels.csv")
    with pytest.raises(RunError, match=rf"{name}.*ask again \(`images`\)"):
        ask(world)


def test_labels_that_were_read_are_not_left_out_later(world: World, tmp_path: Path) -> None:
    plan = ask(world)
    settlement = read(world, plan, 9)
    for fewer in (world.out / "settle" / "labels.csv", world.labels_csv(tmp_path / "few.csv", plan.asked[:8])):
        with pytest.raises(DataError, match=r"has [08] labels, but 9 were read before, among others of .*\.png"):
            foray.settle(world.out, labels=fewer)
    assert Settlement.load(world.out / "settle" / "settlement.json") == settlement
    said = next(name for name in CLASSES if name != world.truth[plan.asked[0]])
    assert read(world, plan, 9, {plan.asked[0]: said}).labels[plan.asked[0]] == CLASSES.index(said)


def test_a_lost_settlement_does_not_free_the_images(world: World, tmp_path: Path) -> None:
    plan = ask(world)
    settlement = read(world, plan, 9)
    (world.out / "settle" / "settlement.json").unlink()
    with pytest.raises(RunError, match="9 labels of other images were read already"):
        ask(world, other_images(world, tmp_path / "others"))
    with pytest.raises(DataError, match="has 5 labels, but 9 were read before"):
        read(world, plan, 5)
    assert read(world, plan, 9).pairs == settlement.pairs


def test_a_plan_that_is_gone_though_labels_were_read_is_named(world: World) -> None:
    read(world, ask(world), 2)
    (world.out / "settle" / "plan.json").unlink()
    with pytest.raises(RunError, match=r"plan\.json is missing, to which .*settlement\.json belongs"):
        ask(world)


def test_a_damaged_settlement_is_named(world: World) -> None:
    read(world, ask(world), 2)
    path = world.out / "settle" / "settlement.json"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RunError, match=r"settlement\.json is damaged.*let foray settle read the same labels again"):
        write_report(world.out)


# The page


def test_the_page_asks_for_what_the_plan_says(world: World) -> None:
    plan = ask(world)
    html = (world.out / "settle" / "label.html").read_text(encoding="utf-8")
    start = html.index('id="page">') + len('id="page">')
    page = json.loads(html[start : html.index("</script>", start)])
    assert [image["cell"] for image in page["images"]] == plan.asked
    assert [one["cell"] for one in page["classes"]] == ["'=red", "blue", "green"]
    assert {pair["disagreements"] for pair in page["pairs"]} == {len(plan.asked)}
    assert len(page["showings"]) == len(plan.asked) + len(plan.repeats)
    rows = list(csv.reader((world.out / "settle" / "labels.csv").read_text(encoding="utf-8").splitlines()))
    assert rows == [["image", "label"], *([id_, ""] for id_ in plan.asked)]


@pytest.mark.parametrize("images", [0, 1, 2, 5, 19, 20, 21, 50, 100, 1000])
def test_repeats_come_after_the_first_time_and_apart(images: int) -> None:
    found = repeats(images)
    assert len(found) == min(20, images)
    assert len({index for _, index in found}) == len(found)
    showings = list(range(images))
    for position, index in found:
        assert index in showings[:position]
        showings.insert(position, index)
    if images > 150:
        assert max(position for position, _ in found) < 150
        assert all(position - showings.index(index) >= 10 for position, index in found)
