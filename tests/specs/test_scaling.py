"""The channel rule against its definition and published networks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foray.specs import ScalingRule, get_spec, round_channels, round_repeats, scale


@given(channels=st.floats(0.1, 5000), divisor=st.sampled_from([1, 4, 8, 16, 32]))
def test_rounded_channels_are_near_multiples_never_below_90_per_cent(channels: float, divisor: int) -> None:
    rounded = round_channels(channels, divisor)
    assert rounded % divisor == 0
    assert rounded >= max(divisor, 0.9 * channels)
    assert rounded <= max(divisor, channels + divisor)
    if rounded > max(divisor, channels + divisor / 2):  # a step above the nearest multiple: that one was too small
        assert rounded - divisor < 0.9 * channels


@given(multiple=st.integers(1, 500), divisor=st.sampled_from([4, 8, 16]))
def test_multiples_stay(multiple: int, divisor: int) -> None:
    assert round_channels(multiple * divisor, divisor) == multiple * divisor


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(11.2, 16), (18.0, 24), (12.0, 16), (35.2, 32), (123.2, 120), (211.2, 208), (448.0, 448), (4.0, 8)],
)
def test_worked_examples(channels: float, expected: int) -> None:
    assert round_channels(channels) == expected


@pytest.mark.parametrize(("channels", "divisor"), [(0, 8), (-3, 8), (16, 0)])
def test_nonsense_is_refused(channels: float, divisor: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        round_channels(channels, divisor)


def test_repeats_round_up() -> None:
    assert [round_repeats(n, 1.1) for n in (1, 2, 3, 4)] == [2, 3, 4, 5]
    assert [round_repeats(n, 3.1) for n in (1, 2, 3, 4)] == [4, 7, 10, 13]


def test_efficientnet_b7_has_the_released_widths_and_depths() -> None:
    """Channels and repeats of `efficientnet-b7` in the authors' release."""
    b7 = get_spec("efficientnet_b7")
    assert b7.stem.out_channels == 64
    assert [row.out_channels for row in b7.stages] == [32, 48, 80, 160, 224, 384, 640]
    assert [row.num_layers for row in b7.stages] == [4, 7, 7, 10, 10, 13, 4]
    assert b7.head is not None
    assert b7.head.out_channels == 2560


def test_mobilenet_v2_head_grows_but_never_shrinks() -> None:
    assert get_spec("mobilenet_v2_x0.35").num_features == 1280
    assert get_spec("mobilenet_v2_x1.4").num_features == 1792


def test_scaling_by_one_changes_the_name_only_and_leaves_the_base() -> None:
    base = get_spec("mobilenet_v2")
    copy = scale(base, "copy", ScalingRule())
    assert (copy.stages, copy.stem, copy.head) == (base.stages, base.stem, base.head)
    assert (copy.name, copy.published) == ("copy", None)
    assert base.name == "mobilenet_v2"
