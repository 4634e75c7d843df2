"""The Pareto front: its definition, for any points."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foray.decision import pareto_front

points = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    # Few distinct values, so that ties and duplicates are common.
    st.tuples(st.integers(0, 5).map(lambda k: k / 5), st.integers(1, 6).map(float)),
    max_size=12,
)


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and (one[0] > other[0] or one[1] < other[1])


@given(points)
def test_members_are_not_dominated_and_all_others_are_by_a_member(points) -> None:
    front = pareto_front(points)
    assert len(set(front)) == len(front)
    for name, point in points.items():
        dominated = any(dominates(points[member], point) for member in front)
        assert dominated != (name in front)


@given(points)
def test_front_rises_in_cost_and_in_accuracy(points) -> None:
    front = [points[name] for name in pareto_front(points)]
    assert front == sorted(front, key=lambda point: (point[1], point[0]))


def test_example_with_a_tie() -> None:
    found = pareto_front({"big": (0.9, 30.0), "twin": (0.9, 30.0), "slow": (0.9, 31.0), "small": (0.8, 10.0)})
    assert found == ["small", "big", "twin"]
