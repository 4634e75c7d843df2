"""The grid of the search: what it spends, and what rounding makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foray.errors import ForayError
from foray.scaling import Family, realised_multipliers, scaled_cost
from foray.scaling.directions import Neighbourhood, directions
from foray.specs import PUBLISHED_COEFFICIENTS, get_spec

FAMILY = Family("efficientnet", PUBLISHED_COEFFICIENTS, 10)
PROXY = get_spec("efficientnet@d0.5,w0.5,r96")


@given(st.integers(3, 8))
def test_every_direction_doubles_the_work(steps: int) -> None:
    grid = directions(steps)
    assert len(grid) == (steps + 1) * (steps + 2) // 2 + 1
    for direction in grid:
        assert sum(direction.shares) == pytest.approx(1)
        assert direction.coefficients.work == pytest.approx(2)


def test_the_corners_scale_one_dimension_and_the_last_is_tan_and_les() -> None:
    grid = directions(3)
    corners = [direction for direction in grid if max(direction.shares) == 1]
    assert {direction.coefficients.at(1) for direction in corners} == {(2, 1, 1), (1, 2**0.5, 1), (1, 1, 2**0.5)}
    assert [direction.published for direction in grid] == [False] * 10 + [True]
    alpha, beta, gamma = grid[-1].coefficients.at(1)
    assert (alpha, beta, gamma) == pytest.approx((1.21, 1.11, 1.16), abs=0.006)


def test_networks_are_about_twice_the_work_and_near_their_direction() -> None:
    neighbourhood = Neighbourhood(FAMILY, PROXY)
    macs = scaled_cost(PROXY, 10).macs
    for direction in directions(3):
        spec = neighbourhood.nearest(direction)
        assert 1.6 < scaled_cost(spec, 10).macs / macs < 2.5
        built = realised_multipliers(spec, PROXY)
        for share, multiplier in zip(direction.shares, built, strict=True):
            assert share > 0 or multiplier == 1.0
        if max(direction.shares) == 1:
            wanted = max(direction.coefficients.at(1))
            assert max(built) == pytest.approx(wanted, rel=0.16)  # repeats are whole: 2.3 times as deep, not 2


def test_too_coarse_a_grid_and_a_proxy_without_neighbours_are_refused() -> None:
    with pytest.raises(ForayError, match="`steps` must be at least 3"):
        directions(2)
    tiny = get_spec("mobilenet_v1@d0.05,w0.05,r32")
    neighbourhood = Neighbourhood(Family("mobilenet_v1", PUBLISHED_COEFFICIENTS, 10), tiny)
    deeper = directions(3)[0]
    with pytest.raises(ForayError, match="Choose another `proxy`"):
        neighbourhood.nearest(deeper)
