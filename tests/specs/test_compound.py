"""Compound scaling against the paper and the release, and the names of scaled networks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foray.errors import ForayError, UnknownNameError
from foray.specs import (
    PUBLISHED_COEFFICIENTS,
    Coefficients,
    ScaledName,
    get_spec,
    listed_twin,
    parse_scaled_name,
    scalable_families,
    split_names,
)

# efficientnet_params in the authors' efficientnet_builder.py: width, depth, resolution.
RELEASED = {
    "b0": (1.0, 1.0, 224),
    "b1": (1.0, 1.1, 240),
    "b2": (1.1, 1.2, 260),
    "b3": (1.2, 1.4, 300),
    "b4": (1.4, 1.8, 380),
    "b5": (1.6, 2.2, 456),
    "b6": (1.8, 2.6, 528),
    "b7": (2.0, 3.1, 600),
}
# Channels of the seven stages and their repeats, as the released checkpoints have them.
B1_REPEATS, B2_REPEATS = (2, 3, 3, 4, 4, 5, 2), (2, 3, 3, 4, 4, 5, 2)
B3_CHANNELS, B3_REPEATS = (24, 32, 48, 96, 136, 232, 384), (2, 3, 3, 5, 5, 6, 2)


@pytest.mark.parametrize("name", RELEASED)
def test_the_released_networks_come_out_of_their_coefficients(name: str) -> None:
    width, depth, resolution = RELEASED[name]
    scaled = get_spec(f"tf_efficientnet@d{depth:g},w{width:g},r{resolution}")
    released = get_spec(f"tf_efficientnet_{name}")
    assert (scaled.stem, scaled.stages, scaled.head) == (released.stem, released.stages, released.head)
    assert scaled.resolution == released.resolution
    assert listed_twin(scaled) == released.name


def test_b3_has_the_checkpoints_channels_and_repeats() -> None:
    b3 = get_spec("efficientnet@d1.4,w1.2,r300")
    assert tuple(row.out_channels for row in b3.stages) == B3_CHANNELS
    assert tuple(row.num_layers for row in b3.stages) == B3_REPEATS
    assert tuple(row.num_layers for row in get_spec("efficientnet@d1.1,w1,r240").stages) == B1_REPEATS
    assert tuple(row.num_layers for row in get_spec("efficientnet@d1.2,w1.1,r260").stages) == B2_REPEATS


def test_the_papers_coefficients_about_double_the_work_and_the_studys_do_not() -> None:
    assert PUBLISHED_COEFFICIENTS.work == pytest.approx(1.92, abs=0.005)
    assert Coefficients(1.2, 1.1, 1.1).work == pytest.approx(1.76, abs=0.005)  # as the study prints them


def test_gamma_alone_does_not_give_the_published_resolutions() -> None:
    assert 224 * PUBLISHED_COEFFICIENTS.at(1).resolution == pytest.approx(257.6)  # B2 has 260
    assert 224 * PUBLISHED_COEFFICIENTS.at(2).resolution == pytest.approx(296.24)  # B3 has 300


@given(st.floats(1.01, 2), st.floats(1.01, 2), st.floats(1.01, 2), st.floats(-3, 8))
def test_phi_comes_back_from_the_multipliers(alpha: float, beta: float, gamma: float, phi: float) -> None:
    coefficients = Coefficients(alpha, beta, gamma)
    assert coefficients.phi_of(coefficients.at(phi)) == pytest.approx((phi, phi, phi), abs=1e-6)
    depth, width, resolution = coefficients.at(phi)
    assert coefficients.work**phi == pytest.approx(depth * width**2 * resolution**2)


@pytest.mark.parametrize("values", [(0.9, 1.1, 1.1), (1.2, 1.1, 0.0), (1.0, 1.0, 1.0)])
def test_coefficients_never_shrink_a_dimension(values: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Coefficients(*values)


@given(
    st.sampled_from(["efficientnet", "tf_mobilenet_v2"]),
    st.integers(500, 200_000),
    st.integers(500, 100_000),
    st.integers(32, 4096),
)
def test_names_say_what_they_were_made_of(family: str, depth: int, width: int, resolution: int) -> None:
    name = ScaledName(family, depth / 10_000, width / 10_000, resolution)
    assert parse_scaled_name(str(name)) == name


@pytest.mark.parametrize("family", scalable_families())
@pytest.mark.parametrize("prefix", ["", "tf_"])
def test_every_family_scales_in_both_variants(family: str, prefix: str) -> None:
    base = get_spec(f"{prefix}{family}@d1")
    wider, deeper = get_spec(f"{prefix}{family}@w2"), get_spec(f"{prefix}{family}@d2")
    assert base.name == f"{prefix}{family}@d1,w1,r{base.resolution}"
    assert listed_twin(base) is not None
    assert wider.stages[-1].out_channels == 2 * base.stages[-1].out_channels
    assert sum(row.num_layers for row in deeper.stages) > 1.5 * sum(row.num_layers for row in base.stages)
    assert base.padding == deeper.padding == ("same" if prefix else "symmetric")
    assert wider.preprocessing == base.preprocessing


def test_parts_come_in_any_order_and_may_be_left_out() -> None:
    assert get_spec("efficientnet@r240, w1.10,d1.2").name == "efficientnet@d1.2,w1.1,r240"
    assert get_spec("mobilenet_v2@w0.5").name == "mobilenet_v2@d1,w0.5,r224"
    assert get_spec(get_spec("mobilenet_v2@w0.5").name) == get_spec("mobilenet_v2@w0.5")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnet@", "'' is not d, w or r"),
        ("efficientnet@d1.2,w", "'w' is not d, w or r"),
        ("efficientnet@d1,2", "'2' is not d, w or r"),
        ("efficientnet@d-1", "'d-1' is not d, w or r"),
        ("efficientnet@d1.23456", "at most four decimals"),
        ("efficientnet@d1,d2", "says d twice"),
        ("efficientnet@w0", "between 0.05 and 10"),
        ("efficientnet@r99999", "between 8 and 4096"),
        ("efficientnet@r100.5", "whole number of pixels"),
        ("efficientnet@r31", "stride of 32 px"),
    ],
)
def test_malformed_names_are_told_what_is_wrong(name: str, message: str) -> None:
    with pytest.raises(ForayError, match=message):
        get_spec(name)


@pytest.mark.parametrize("name", ["efficientnt@d1", "resnet18@d2", "tf_ghostnet@w2", "@d1"])
def test_families_that_do_not_scale_are_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(UnknownNameError, match="mobilenet_v2"):
        get_spec(name)


def test_lists_of_models_keep_scaled_names_whole() -> None:
    text = "mobilenet_v2, efficientnet@d1.2,w1.1,r240,resnet18,tf_efficientnet@w2,"
    assert split_names(text) == ["mobilenet_v2", "efficientnet@d1.2,w1.1,r240", "resnet18", "tf_efficientnet@w2"]


def test_only_equal_tables_are_twins() -> None:
    assert listed_twin(get_spec("mobilenet_v2@w0.5,r160")) == "mobilenet_v2_x0.5"
    assert listed_twin(get_spec("mobilenet_v2@w0.6,r160")) is None
    assert listed_twin(get_spec("efficientnet@d2.2,w1.6,r456")) is None  # torchvision's B5 has another epsilon
    assert listed_twin(get_spec("mobilenet_v2")) is None
