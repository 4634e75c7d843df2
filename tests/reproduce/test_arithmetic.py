"""The claims decided by arithmetic, against figures worked out by hand or printed in the papers."""

from __future__ import annotations

import pytest

from foray.costs import total_ratios
from foray.recipes import STUDY
from foray.reproduce import arithmetic, arithmetic_costs, arithmetic_related, arithmetic_scaling
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Arithmetic
from foray.scaling import scaled_cost
from foray.specs import PUBLISHED_COEFFICIENTS, get_spec

# Sandler et al. 2018, table 2: expansion, channels, layers, stride; 112 pixels at the start.
TABLE_2 = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def costs_by_hand() -> dict[str, list[int]]:
    """Multiply-accumulates of each block of MobileNetV2: separable part, expansion, and both standard convolutions."""
    costs: dict[str, list[int]] = {"separable": [], "expansion": [], "standard": [], "narrow": []}
    before, side = 32, 112
    for expansion, channels, layers, first_stride in TABLE_2:
        for layer in range(layers):
            wide, out = expansion * before, side // (first_stride if layer == 0 else 1)
            costs["separable"].append(out**2 * wide * (9 + channels))
            costs["expansion"].append(0 if expansion == 1 else side**2 * before * wide)
            costs["standard"].append(out**2 * wide * channels * 9)
            costs["narrow"].append(out**2 * before * channels * 9)
            before, side = channels, out
    return costs


def test_every_claim_decided_by_arithmetic_shows_its_lines() -> None:
    for claim in CLAIMS.values():
        if isinstance(claim.judge, Arithmetic):
            found = claim.judge.compute()
            assert found.lines, claim.id
            assert found.sentence.endswith("."), claim.id


def test_the_printed_constants_do_not_double_the_work() -> None:
    assert arithmetic_scaling.PRINTED_COEFFICIENTS.work == pytest.approx(1.2 * 1.21 * 1.21)
    assert PUBLISHED_COEFFICIENTS.work == pytest.approx(1.2 * 1.21 * 1.3225)
    found = arithmetic_scaling.compound_product()
    assert found.verdict == "error in the study"
    assert "misprint for 1.15: the printed constants give 1.76, the original ones 1.92" in found.sentence


def test_phi_is_zero_at_b0() -> None:
    assert PUBLISHED_COEFFICIENTS.at(0) == (1, 1, 1)
    found = arithmetic_scaling.phi_of_b0()
    assert found.verdict == "error in the study"
    assert "258 px" in found.lines[1]  # 224 * 1.15
    assert "depth 1.2, width 1.1 and 260 px" in found.lines[1]  # B2


def test_the_rule_of_compound_scaling() -> None:
    found = arithmetic_scaling.compound_rule()
    assert found.verdict == "reproduced"
    assert "depth 1.44, width 1.21, resolution 1.32" in found.lines[1]


def test_the_solver_keeps_both_bounds_of_the_studys_objective() -> None:
    found = arithmetic_scaling.objective()
    assert found.verdict == "reproduced"
    assert "772 M multiply-accumulates and 67.9 MB" in found.lines[1]  # twice 385,814,752 and 33,967,000
    assert "efficientnet@d1.1,w1.05,r240 with 746 M" in found.lines[1]


def test_one_dimension_alone_in_the_paper() -> None:
    found = arithmetic_scaling.one_dimension_in_the_paper()
    assert found.verdict == "reproduced"
    assert "gain 2.0 points" in found.sentence  # 81.1 - 79.1
    b0, larger = (scaled_cost(get_spec(f"efficientnet@d1,w1,r{side}"), 1000).macs for side in (224, 448))
    assert larger / b0 == pytest.approx(4, rel=0.01)
    assert f"{larger / 1e9:.2f} G computed" in found.lines[2]


def test_the_blocks_of_mobilenet_v2() -> None:
    found = arithmetic_costs.blocks()
    assert found.verdict == "reproduced"
    assert found.sentence.startswith("16 of 17")


def test_the_formula_of_separable_layers_is_exact() -> None:
    found = arithmetic_costs.separable_formula()
    assert found.verdict == "reproduced"
    assert f"{7 * 7 * 960 * (9 + 320):,}; counted in the network: {7 * 7 * 960 * (9 + 320):,}" in found.lines[0]
    pairs = arithmetic_costs.separable_layers()
    assert [pair.depthwise + pair.pointwise for pair in pairs] == costs_by_hand()["separable"]


def test_an_inverted_residual_layer_does_not_cost_eight_to_nine_times_less() -> None:
    costs = {name: sum(values) for name, values in costs_by_hand().items()}
    whole = costs["separable"] + costs["expansion"]
    separable, with_expansion = total_ratios(arithmetic_costs.separable_layers())
    assert separable == pytest.approx(costs["standard"] / costs["separable"])
    assert with_expansion == pytest.approx(costs["standard"] / whole)
    assert arithmetic_costs.narrow_ratio(arithmetic_costs.separable_layers()) == pytest.approx(costs["narrow"] / whole)
    found = arithmetic_costs.eight_to_nine()
    assert found.verdict == "not reproduced"
    assert "cost 3.96 times less" in found.sentence
    assert "7.66 times, and 10 of 17 layers lie outside" in found.sentence
    outputs = [channels for _, channels, layers, _ in TABLE_2 for _ in range(layers)]
    assert sum(not 8 <= 9 * c / (9 + c) < 9 for c in outputs) == 10
    assert "5.76 times (d_out = 16) to 8.75 times (d_out = 320)" in found.lines[1]


def test_parameters_differ_but_not_as_those_of_resnet_50() -> None:
    found = arithmetic_costs.similar_parameters()
    assert found.verdict == "reproduced"
    assert "1.5 to 2.6 times" in found.sentence
    assert "efficientnet_b0: 5,288,548 / 3,504,872 = 1.51" in found.lines
    assert "efficientnet_b1: 7,794,184 / 3,504,872 = 2.22" in found.lines
    assert "efficientnet_b2: 9,109,994 / 3,504,872 = 2.60" in found.lines
    assert "4.8 times or more, as ResNet-50 (25,557,032)" in found.lines[-1]  # Tan & Le's table 2 has 4.9 for 26 M
    assert "7.3 times as many as mobilenet_v2" in found.lines[-1]


def test_mobilenet_v2_is_cheaper() -> None:
    found = arithmetic_costs.cheaper_to_deploy()
    assert found.verdict == "reproduced"
    assert [line.partition(" px")[0] for line in found.lines] == [
        "mobilenet_v2 at 224", "efficientnet_b0 at 224", "efficientnet_b1 at 240", "efficientnet_b2 at 260",
    ]  # fmt: skip


def test_whose_numbers_they_are() -> None:
    found = arithmetic.misattribution()
    assert found.verdict == "error in the study"
    assert "NASNet-A" in found.sentence
    assert "88.1 % on CIFAR-100" in found.sentence


def test_one_cifar_is_close_to_the_paper_and_the_other_far() -> None:
    close, far = arithmetic.cifar100_is_close(), arithmetic.cifar10_is_far()
    assert (close.verdict, far.verdict) == ("reproduced", "reproduced")
    assert "1.2 points below" in close.sentence  # 88.1 - 86.9
    assert "6.9 points below the paper, with 4.6 times as many errors" in far.sentence  # 98.1 - 91.2, 8.8 / 1.9


def test_the_verdicts_on_cifar_follow_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    nearer = arithmetic.TRANSFERS["cifar10"]._replace(b0=0.93)
    monkeypatch.setitem(arithmetic.TRANSFERS, "cifar10", nearer)
    assert arithmetic.cifar10_is_far().verdict == "not reproduced"
    assert arithmetic.sgd_as_the_reason().verdict == "not reproduced"


def test_sgd_is_not_the_reason_for_cifar10() -> None:
    found = arithmetic.sgd_as_the_reason()
    assert found.verdict == "error in the study"
    assert "Nesterov momentum 0.9" in found.lines[0]
    assert "1.2 points below the paper on CIFAR-100, 6.9 points on CIFAR-10" in found.lines[2]


def test_mobilenet_v2_gains_by_fine_tuning() -> None:
    found = arithmetic.little_tuning()
    assert found.verdict == "error in the study"
    assert "9.05 points" in found.sentence


def test_the_two_networks_were_trained_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    found = arithmetic.same_training()
    assert found.verdict == "error in the study"
    assert found.lines[:3] == (
        "protocol: EfficientNet scratch, MobileNetV2 finetune",
        "epochs: EfficientNet 500, MobileNetV2 20",
        "optimizer.name: EfficientNet sgd, MobileNetV2 rmsprop",
    )
    alike = {**STUDY, "study_mobilenet_whole": STUDY["study_deepweeds_scratch"]}
    monkeypatch.setattr(arithmetic, "STUDY", alike)
    assert arithmetic.same_training().verdict == "reproduced"


def test_the_quoted_accuracy_of_mobilenet_v2() -> None:
    assert arithmetic.quoted_mobilenet().verdict == "reproduced"


def test_efficientnet_v2_is_smaller_where_the_paper_compares_it() -> None:
    found = arithmetic_related.efficientnet_v2_is_smaller()
    assert found.verdict == "reproduced"
    assert "18 % fewer parameters and 35 % fewer" in found.sentence  # the paper: 17 % and 37 %, of rounded numbers
    assert "V2-B0 has 1.35 times B0's parameters and 1.86 times" in found.sentence


def test_mobilenet_v3_takes_a_fifth_less_time_on_every_phone() -> None:
    found = arithmetic_related.mobilenet_v3_is_faster()
    assert found.verdict == "reproduced"
    assert "20 %, 20 % and 21 % less time" in found.sentence  # the paper's abstract: 20 %
    assert "75.2 % instead of 72.0 %" in found.sentence  # the same: 3.2 % more accurate


def test_ghostnet_needs_half_the_work_and_more_parameters() -> None:
    found = arithmetic_related.ghostnet_is_cheaper()
    assert found.verdict == "reproduced"
    assert "0.47 of MobileNetV2's" in found.sentence  # 141 M / 300 M in the paper's table 7
    assert "1.48 times MobileNetV2's parameters" in found.sentence  # 5.2 M / 3.5 M


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "ghostnet", "efficientnet_v2_b0", "efficientnet_b7"])
def test_what_is_counted_is_what_the_papers_print(name: str) -> None:
    published = get_spec(name).published
    assert published is not None
    found = arithmetic_costs.counted(name)
    assert found.params == published.params
    assert found.macs == pytest.approx(published.macs, rel=0.02)
