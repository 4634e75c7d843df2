"""Costs by formula are those of the executed graph, for every family, multiplier and resolution."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from foray.costs import count_macs, count_params, peak_inference_memory
from foray.models import build_model
from foray.scaling import scaled_cost
from foray.specs import get_spec, scalable_families

FAMILIES = [prefix + family for family in scalable_families() for prefix in ("", "tf_")]


@settings(max_examples=12, deadline=None)
@given(
    family=st.sampled_from(FAMILIES),
    depth=st.floats(0.2, 1.5).map(lambda depth: round(depth, 2)),
    width=st.floats(0.1, 2.0).map(lambda width: round(width, 2)),
    resolution=st.integers(32, 320),
    classes=st.sampled_from([1, 12, 1000]),
)
@example("tf_efficientnet", 1.0, 1.0, 225, 1000)  # odd: padding is symmetric at some layers, not at others
@example("tf_mobilenet_v1", 0.5, 0.1, 33, 2)
@example("efficientnet_v2", 1.0, 1.0, 32, 1000)
def test_formulas_agree_with_the_graph(family: str, depth: float, width: float, resolution: int, classes: int) -> None:
    spec = get_spec(f"{family}@d{depth},w{width},r{resolution}")
    with torch.device("meta"):
        network = build_model(spec, num_classes=classes)
    cost = scaled_cost(spec, classes)
    assert cost.params == count_params(network)
    assert cost.macs == count_macs(network, resolution)
    assert cost.peak_memory_bytes == peak_inference_memory(network, resolution)


def test_released_networks_cost_what_is_published() -> None:
    for name in ("efficientnet_b0", "efficientnet_b7", "mobilenet_v2", "efficientnet_lite4", "efficientnet_v2_b3"):
        published = get_spec(name).published
        assert published is not None
        cost = scaled_cost(get_spec(name))
        assert (cost.params, cost.macs) == (published.params, published.macs)


def test_other_tables_have_no_formula() -> None:
    with pytest.raises(TypeError, match="BasicResidual"):
        scaled_cost(get_spec("resnet18"))
