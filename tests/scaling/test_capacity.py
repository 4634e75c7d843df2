"""Capacity against what was published about networks of one family."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from foray.scaling import capacity, realised_multipliers
from foray.scaling.capacity import soft_minimum
from foray.specs import PUBLISHED_COEFFICIENTS, Coefficients, base_spec, get_spec

# Top-1 in per cent by width, then resolution: tensorflow/models, research/slim/nets/mobilenet/README.md
MOBILENET_V2 = {
    1.4: {224: 75.0},
    1.3: {224: 74.4},
    1.0: {224: 71.8, 192: 70.7, 160: 68.8, 128: 65.3, 96: 60.3},
    0.75: {224: 69.8, 192: 68.7, 160: 66.4, 128: 63.2, 96: 58.8},
    0.5: {224: 65.4, 192: 63.9, 160: 61.0, 128: 57.7, 96: 51.2},
    0.35: {224: 60.3, 192: 58.2, 160: 55.7, 128: 50.8, 96: 45.5},
}
# research/slim/nets/mobilenet_v1.md
MOBILENET_V1 = {
    1.0: {224: 70.9, 192: 70.0, 160: 68.0, 128: 65.2},
    0.75: {224: 68.4, 192: 67.2, 160: 65.3, 128: 62.1},
    0.5: {224: 63.3, 192: 61.7, 160: 59.1, 128: 56.3},
    0.25: {224: 49.8, 192: 47.7, 160: 45.5, 128: 41.5},
}


def capacity_of(name: str) -> float:
    spec = get_spec(name)
    return capacity(spec, base_spec(spec.family), PUBLISHED_COEFFICIENTS)


@pytest.mark.parametrize(
    ("family", "top1", "least"), [("mobilenet_v2", MOBILENET_V2, 0.94), ("mobilenet_v1", MOBILENET_V1, 0.99)]
)
def test_it_ranks_the_released_mobilenets_as_imagenet_does(
    family: str, top1: dict[float, dict[int, float]], least: float
) -> None:
    pairs = [
        (capacity_of(f"{family}@w{width},r{resolution}"), accuracy)
        for width, by_resolution in top1.items()
        for resolution, accuracy in by_resolution.items()
    ]
    assert spearmanr(*zip(*pairs, strict=True)).statistic > least


def test_it_ranks_b0_to_b7_in_order() -> None:
    values = [capacity_of(f"tf_efficientnet_b{i}") for i in range(8)]
    assert values == sorted(values)
    assert values[0] == 0.0


def test_one_dimension_alone_is_worth_less_than_all_three_at_equal_work() -> None:
    """arXiv:1905.11946, Table 7: at 1.8 G MACs 79.0, 78.9 and 79.1 % against 81.1 %."""
    depth, width, resolution = (capacity_of(f"efficientnet@{name}") for name in ("d4", "w2", "r448"))
    compound = capacity_of("efficientnet@d1.4,w1.2,r291")
    assert max(depth, width, resolution) - min(depth, width, resolution) < 0.1
    assert 0.5 < max(depth, width, resolution) < compound - 1
    assert max(depth, width, resolution) < math.log(1.5) / 0.5  # where one dimension alone saturates


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=3), st.floats(0, 5))
def test_the_soft_minimum_lies_between_least_and_mean(phis: list[float], more: float) -> None:
    value = soft_minimum(phis)
    assert min(phis) - 1e-9 <= value <= sum(phis) / len(phis) + 1e-9
    assert soft_minimum([phi + more for phi in phis]) == pytest.approx(value + more, abs=1e-6)
    assert soft_minimum([phis[0] + more, *phis[1:]]) >= value - 1e-9


def test_multipliers_are_those_of_the_network_as_built() -> None:
    """B1's depth of 1.1 becomes 23 layers for 16, since every stage rounds up."""
    b1, b0 = get_spec("efficientnet_b1"), get_spec("efficientnet_b0")
    assert realised_multipliers(b1, b0) == (23 / 16, 1.0, 240 / 224)


def test_dimensions_that_are_not_scaled_do_not_count() -> None:
    only_width = Coefficients(1.0, 1.1, 1.0)
    wider = get_spec("efficientnet@w2")
    phi = math.log(realised_multipliers(wider, base_spec("efficientnet")).width) / math.log(1.1)
    assert capacity(wider, base_spec("efficientnet"), only_width) == pytest.approx(phi)
