"""Orders and gaps judged from runs: seeds, scales, resolutions, test images, and what is said about them."""

from __future__ import annotations

import numpy as np
import pytest

from foray.errors import RunError
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Gap, Judge, Order
from foray.reproduce.evidence import evidence_of
from foray.reproduce.experiments import REDUCED
from foray.reproduce.pair_words import steps_in_words

from .made_results import Made, judge, rows, some_right

FROZEN, WHOLE = "deepweeds-mobilenet-frozen", "deepweeds-mobilenet-whole"
N = 1000


def test_a_step_in_favour_with_one_seed_is_shown_for_these_networks(made: Made) -> None:
    made.run("deepweeds-b0", some_right(900, N))
    made.run("deepweeds-b1", some_right(940, N))
    found = judge(made, Order((("deepweeds-b0", "deepweeds-b1"),)))
    assert found.verdict == "reproduced"
    told = "On DeepWeeds EfficientNet-B1 from scratch is 4 points above EfficientNet-B0 from scratch ("
    assert found.sentence.startswith(told)
    how = "240 against 224 px, 500 epochs"
    assert found.sentence.endswith(f", n = 1,000, one seed each; {how}): shown for these trainings.")
    assert found.brief == "1 of 1 steps shown"
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
        assert ": the contrary is shown for these trainings. " in found.sentence
        assert found.sentence.endswith("or unlucky: foray reproduce x --scale full --seeds 3 adds two per network.")
    else:
        assert found.verdict == "not reproduced"
        assert "3 seeds each" in found.sentence
        assert "the contrary is shown." in found.sentence


def test_a_head_on_a_frozen_backbone_is_a_training_of_one_seed_too(made: Made) -> None:
    made.run(FROZEN, some_right(800, N))
    made.run("deepweeds-mobilenet-frozen-sgd", some_right(700, N))
    found = judge(made, CLAIMS["mobilenet.frozen.sgd"].judge)
    assert found.verdict == "undecided"
    assert "is 10 points below MobileNetV2 with a frozen backbone (" in found.sentence
    assert found.brief.endswith("one seed each), the contrary in one training of each")


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
    as_order = judge(made, Order(((WHOLE, "deepweeds-b0-whole"),)), "ours")
    assert f"one seed each; 160 px, {REDUCED[WHOLE].resolved().epochs} epochs): shown" in as_order.sentence


def test_networks_without_a_common_scale_have_no_result(made: Made) -> None:
    made.run(WHOLE, some_right(990, N))
    made.run("deepweeds-b0-whole", some_right(900, N), scale="reduced")
    found = judge(made, Gap(WHOLE, "deepweeds-b0-whole", "better", 0.02), "ours")
    assert found.verdict == "no result"
    assert found.sentence.startswith(
        "Not comparable. full: deepweeds-b0-whole was not run; reduced: deepweeds-mobilenet-whole was not run. "
        "To run it: foray reproduce x --scale reduced|full "
    )


def test_at_one_scale_the_resolution_has_to_be_the_same(made: Made) -> None:
    made.run(WHOLE, some_right(900, N), scale="reduced")
    made.run("deepweeds-b0", some_right(900, N), scale="reduced")
    found = judge(made, Gap(WHOLE, "deepweeds-b0", "no better", 0.05))
    assert found.verdict == "no result"
    assert "reduced: deepweeds-mobilenet-whole at 160 px, deepweeds-b0 at 112 px." in found.sentence
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
    assert "n = 1,000, 3 seeds each; 74 against 92 px, 30 epochs): shown." in found.sentence
    assert found.sentence.startswith(
        "On CIFAR-10 a network scaled in all three dimensions is 10 points above a network"
    )
    assert all(one.differs == [] for one in found.evidence)  # the study has no such experiment
    assert found.evidence[0].data == "CIFAR-10 (850 train, 150 val and 1000 test images per class)"


def test_a_statement_under_another_protocol_is_told_and_not_judged(made: Made) -> None:
    made.run("deepweeds-b0", some_right(900, N), scale="reduced")
    made.run("deepweeds-b1", some_right(940, N), scale="reduced")
    how = Order((("deepweeds-b0", "deepweeds-b1"),))
    found = judge(made, how)
    assert found.verdict == "differs in protocol"
    assert found.sentence.startswith(
        "Here the claim holds, with another protocol (20 epochs, not 500; optimizer.learning_rate: 0.05, not 0.1; "
    )
    assert "; EfficientNet-B0 from scratch: 112 px, not 224; EfficientNet-B1 from scratch: 112 px, not 240). " in (
        found.sentence
    )
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
    assert (
        "Steps without a result: 1 of 2. Not run: deepweeds-b2. To run it: foray reproduce x --scale " in found.sentence
    )
    assert found.brief == "1 of 2 steps shown"
    assert len(found.pairs) == 1


def test_what_is_missing_of_an_order_is_told_once(made: Made) -> None:
    made.run(WHOLE, some_right(890, N))
    made.run("deepweeds-b0", some_right(900, N))
    made.run("deepweeds-b0-whole", some_right(900, N), scale="reduced")
    larger = (WHOLE, "deepweeds-b0", "deepweeds-b1", "deepweeds-b2")
    found = judge(made, Order((larger, (WHOLE, "deepweeds-b0-whole"))))
    assert (
        "Steps without a result: 3 of 4. Not run: deepweeds-b1, deepweeds-b2. Not comparable. full: deepweeds-b0-whole "
        "was not run; reduced: deepweeds-mobilenet-whole was not run. To run it: "
    ) in found.sentence


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


def test_intervals_are_two_sided_and_those_of_an_order_hold_together(made: Made) -> None:
    """40 of 1,000 answers differ, all to one side: Tango's 95 % interval, and the wider ones of two steps."""
    for role, right in (("b0", 900), ("b1", 940), ("b2", 980)):
        made.run(f"deepweeds-{role}", some_right(right, N))
    [alone] = judge(made, Order((("deepweeds-b0", "deepweeds-b1"),))).pairs
    found = judge(made, Order((("deepweeds-b0", "deepweeds-b1", "deepweeds-b2"),)))
    assert alone.confidence == pytest.approx(0.975)  # each bound: 95 % between them
    assert [pair.confidence for pair in found.pairs] == pytest.approx([0.9875, 0.9875])
    assert found.pairs[0].lower < alone.lower < alone.upper < found.pairs[0].upper
    assert "The 2 intervals hold together at 95 %." in found.sentence


def test_a_gain_that_is_shown_on_one_side_alone_is_not_similar(made: Made) -> None:
    """13 of 1,000 lost: one-sided 95 % bounds lie within 2 points, the two-sided interval does not."""
    made.run("deepweeds-b0", some_right(900, N))
    made.run("deepweeds-b1", some_right(887, N))
    found = judge(made, Gap("deepweeds-b0", "deepweeds-b1", "similar", 0.02))
    assert found.verdict == "undecided"
    assert 0.02 < found.pairs[0].upper < 0.025


def test_sentences_tell_data_sets_apart(made: Made) -> None:
    for data in ("cifar10", "cifar100"):
        for name, right in (("mobilenet", 850), ("b0", 900), ("v2b0", 950)):
            made.run(f"{data}-{name}", some_right(right, N), scale="reduced")
    how = CLAIMS["comparison.equal_protocol.cifar"].judge
    found = judge(made, how, "ours")
    assert found.verdict == "reproduced"
    for data in ("CIFAR-10", "CIFAR-100"):
        assert f"On {data} EfficientNet-B0 fine-tuned whole is 5 points above MobileNetV2 fine-tuned" in found.sentence
    assert "not 500" not in found.sentence  # its own protocol is no deviation
    assert steps_in_words(found.pairs).startswith("EfficientNet-B0 over MobileNetV2 on CIFAR-10 +5.00 (")


def test_a_step_between_networks_trained_in_different_ways_says_so(made: Made) -> None:
    made.run(WHOLE, some_right(890, N))
    made.run("deepweeds-b0", some_right(935, N))
    found = judge(made, Order(((WHOLE, "deepweeds-b0"),)))
    assert steps_in_words(found.pairs).startswith(
        "EfficientNet-B0 from scratch over MobileNetV2 fine-tuned whole +4.50 ("
    )


def test_no_difference_is_no_minus_zero(made: Made) -> None:
    for role in ("deepweeds-b0", "deepweeds-b1"):
        made.run(role, some_right(900, N))
    found = judge(made, Gap("deepweeds-b0", "deepweeds-b1", "similar", 0.02))
    assert found.brief.startswith("+0.00 points (")


def test_networks_run_by_older_recipes_alike_are_told_and_not_judged(made: Made) -> None:
    for role in (WHOLE, "deepweeds-b0-whole"):
        made.run(role, some_right(900, N), scale="reduced", changes={"epochs": 3})
    found = judge(made, Order(((WHOLE, "deepweeds-b0-whole"),)), "ours")
    assert found.verdict == "differs in protocol"
    assert "Made with another version of the recipe: " in found.sentence


@pytest.mark.parametrize("shared", [0, 30])
def test_networks_scored_on_different_copies_of_the_images_are_not_compared(made: Made, shared: int) -> None:
    made.run("deepweeds-b0", some_right(900, N))
    made.run("deepweeds-b1", some_right(940, N))
    path = made.runs[-1].path / "predictions.npz"
    with np.load(path) as arrays:
        ids = arrays["test_ids"].copy()
        ids[shared:] = [f"another copy/{i}" for i in range(N - shared)]
        other = dict(arrays) | {"test_ids": ids}
    np.savez(path, **other)
    found = judge(made, Order((("deepweeds-b0", "deepweeds-b1"),)))
    assert found.verdict == "no result"
    assert found.sentence.startswith(
        "Not comparable. full: deepweeds-b0, deepweeds-b1 were scored on different test images, or copies of them: "
        "run all from one folder."
    )


def test_seeds_scored_on_different_images_are_named_with_the_way_out(made: Made) -> None:
    made.run("deepweeds-b0", some_right(900, N))
    made.run("deepweeds-b0", some_right(900, N), seed=1, fold=3)
    with pytest.raises(RunError, match=r"different test images: .*deepweeds-b0-0-0, .*Delete the folders of one data"):
        evidence_of(made.runs)


def test_a_run_by_an_older_recipe_is_not_compared_with_one_by_the_present(made: Made) -> None:
    made.run(WHOLE, some_right(800, N), scale="reduced", changes={"epochs": 3})
    made.run("deepweeds-b0-whole", some_right(900, N), scale="reduced")
    found = judge(made, Order(((WHOLE, "deepweeds-b0-whole"),)), "ours")
    assert found.verdict == "no result"
    assert "reduced: deepweeds-mobilenet-whole was run with an older recipe." in found.sentence
    assert found.sentence.count("foray reproduce x") == 1


def test_present_runs_are_compared_before_older_ones_at_the_first_scale(made: Made) -> None:
    for role in (WHOLE, "deepweeds-b0-whole"):
        made.run(role, some_right(800, N), changes={"epochs": 3})
        made.run(role, some_right(900, N), scale="reduced")
    found = judge(made, Order(((WHOLE, "deepweeds-b0-whole"),)), "ours")
    assert {one.scale for one in found.evidence} == {"reduced"}


@pytest.mark.parametrize(
    ("role", "val", "is_told"),
    [
        (WHOLE, [0.8, 0.82] * 10, True),
        (WHOLE, [0.6 + 0.015 * i for i in range(20)], False),  # rises, and does not jump
        ("deepweeds-b0", [0.8, 0.82] * 10, False),  # the best epoch is kept
    ],
)
def test_a_last_epoch_that_is_partly_luck_is_told(made: Made, role: str, val: list[float], is_told: bool) -> None:
    """Of 82, 80, 82, 80, 82 % around a line without slope: a variance of 4.8 / 3."""
    made.run(role, some_right(900, N), history=rows([0.9] * 20, val))
    made.run(FROZEN, some_right(800, N))
    found = judge(made, Gap(FROZEN, role, "better", 0.02))
    told = "moves by 1.26 points from epoch to epoch (standard deviation around a line, last 5 epochs)"
    assert (told in found.sentence) is is_told


@pytest.mark.parametrize(
    ("of_frozen", "of_whole", "told"),
    [
        (["float32"], ["float32"], ""),
        (["bfloat16"] * 2, ["bfloat16"] * 2, ""),
        (["float32"], ["bfloat16"], "with a frozen backbone in float32; MobileNetV2 fine-tuned whole in bfloat16."),
        (
            ["float32"] * 2,
            ["float32", "bfloat16"],
            "with a frozen backbone in float32; MobileNetV2 fine-tuned whole in bfloat16 and float32.",
        ),
        (["float32"], ["float32", "bfloat16"], ""),  # the second seed is not compared
    ],
)
@pytest.mark.parametrize("how", [Gap(FROZEN, WHOLE, "better", 0.02), Order(((FROZEN, WHOLE),))])
def test_mixed_precisions_are_told(
    made: Made, how: Judge, of_frozen: list[str], of_whole: list[str], told: str
) -> None:
    for role, precisions, right in ((FROZEN, of_frozen, 800), (WHOLE, of_whole, 900)):
        for seed, precision in enumerate(precisions):
            made.run(role, some_right(right, N), seed=seed, precision=precision)
    found = judge(made, how)
    assert found.verdict in ("reproduced", "undecided")  # a caution, not a verdict
    assert ("Not trained in one precision" in found.sentence) is bool(told)
    assert told in found.sentence
