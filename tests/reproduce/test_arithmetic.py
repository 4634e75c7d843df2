"""The analytical claims against figures worked out by hand or printed in the papers."""

from __future__ import annotations

import pytest

from foray.reproduce import arithmetic
from foray.specs import PUBLISHED_COEFFICIENTS, get_spec


def test_the_printed_constants_do_not_double_the_work() -> None:
    assert arithmetic.PRINTED_COEFFICIENTS.work == pytest.approx(1.2 * 1.21 * 1.21)
    assert PUBLISHED_COEFFICIENTS.work == pytest.approx(1.2 * 1.21 * 1.3225)
    found = arithmetic.compound_product()
    assert found.verdict == "error in the study"
    assert "give 1.76" in found.sentence
    assert "it is 1.92" in found.sentence


def test_phi_is_zero_at_b0() -> None:
    assert PUBLISHED_COEFFICIENTS.at(0) == (1, 1, 1)
    found = arithmetic.phi_of_b0()
    assert found.verdict == "error in the study"
    assert "258 px" in found.lines[1]  # 224 * 1.15
    b2 = get_spec("efficientnet_b2")
    assert (b2.depth_mult, b2.width_mult) == (1.2, 1.1)


def test_separable_layers_of_mobilenet_v2() -> None:
    """17 blocks; the narrowest gives 9 * 16 / 25, the widest 9 * 320 / 329."""
    found = arithmetic.separable_layers()
    assert "17 separable layers: 5.76 times (d_out = 16) to 8.75 times (d_out = 320)" in found.lines[1]
    outputs = [16] + [24] * 2 + [32] * 3 + [64] * 4 + [96] * 3 + [160] * 3 + [320]
    assert f"{sum(9 * c / (9 + c) >= 8 for c in outputs)} of 17" in found.lines[1]


def test_parameters_are_not_similar() -> None:
    found = arithmetic.similar_parameters()
    assert found.verdict == "not reproduced"
    assert "efficientnet_b0: 5,288,548 / 3,504,872 = 1.51" in found.lines
    assert "efficientnet_b2: 9,109,994 / 3,504,872 = 2.60" in found.lines


def test_mobilenet_v2_is_cheaper() -> None:
    found = arithmetic.cheaper_to_deploy()
    assert found.verdict == "reproduced"
    assert len(found.lines) == 4


def test_whose_numbers_they_are() -> None:
    found = arithmetic.misattribution()
    assert found.verdict == "error in the study"
    assert "NASNet-A" in found.sentence
