"""Layer by layer: the sum is the whole, and the separable layer's formula holds on real networks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foray.costs import count_macs, count_params, layer_costs, separable_costs
from foray.costs.layer_costs import LayerCost, total_ratios
from foray.models import build_model
from foray.specs import InvertedResidual, get_spec


def layers_of(name: str, resolution: int = 224) -> tuple[torch.nn.Module, list[LayerCost]]:
    with torch.device("meta"):
        network = build_model(get_spec(name))
    return network, layer_costs(network, resolution)


@pytest.mark.parametrize(
    ("name", "resolution"),
    [("mobilenet_v2", 224), ("tf_efficientnet_b0", 225), ("ghostnet", 97), ("tf_xception", 299), ("resnet18", 224)],
)
def test_layers_add_up_to_the_network(name: str, resolution: int) -> None:
    network, layers = layers_of(name, resolution)
    assert sum(layer.macs for layer in layers) == count_macs(network, resolution)
    norms = sum(2 * m.num_features for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert sum(layer.params for layer in layers) + norms == count_params(network)


@given(
    kernel=st.sampled_from([3, 5]),
    in_channels=st.integers(2, 64),
    out_channels=st.integers(1, 128),
    side=st.integers(1, 40),
)
def test_a_separable_layer_costs_what_the_formula_says(
    kernel: int, in_channels: int, out_channels: int, side: int
) -> None:
    """h * w * d_in * (k^2 + d_out) against h * w * d_in * d_out * k^2 (arXiv:1801.04381, section 3.1)."""
    with torch.device("meta"):
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, in_channels, 1),
            torch.nn.Conv2d(in_channels, in_channels, kernel, padding=kernel // 2, groups=in_channels),
            torch.nn.Conv2d(in_channels, out_channels, 1),
        )
    layers = layer_costs(network, side)
    (pair,) = separable_costs([_renamed(layer) for layer in layers])
    assert pair.depthwise + pair.pointwise == side * side * in_channels * (kernel**2 + out_channels)
    assert pair.standard == side * side * in_channels * out_channels * kernel**2
    assert pair.ratio == pytest.approx(kernel**2 * out_channels / (kernel**2 + out_channels))


def _renamed(layer: LayerCost) -> LayerCost:
    return LayerCost(**{**vars(layer), "name": f"stages.0.0.{layer.name}.conv"})


@pytest.mark.parametrize(("out_channels", "ratio"), [(16, 5.8), (24, 6.5), (32, 7.0), (64, 7.9), (72, 8.0)])
def test_the_studys_eight_to_nine_needs_72_output_channels(out_channels: int, ratio: float) -> None:
    """On MobileNetV2's own blocks where it has such a width, else on the formula that the test above ties to them."""
    if out_channels == 72:
        assert ratio == 9 * 72 / (9 + 72)
        return
    pairs = separable_costs(layers_of("mobilenet_v2")[1])
    found = {round(pair.ratio, 1) for pair in pairs if pair.out_channels == out_channels}
    assert found == {ratio}


def test_every_block_of_mobilenet_v2_is_found_and_the_expansion_costs() -> None:
    network, layers = layers_of("mobilenet_v2")
    pairs = separable_costs(layers)
    assert len(pairs) == sum(row.num_layers for row in network.spec.stages) == 17
    assert [pair.expansion == 0 for pair in pairs] == [True] + [False] * 16  # the first block does not expand
    assert all(pair.ratio_with_expansion <= pair.ratio for pair in pairs)
    ratio, with_expansion = total_ratios(pairs)
    assert 7 < ratio < 9
    assert with_expansion < 0.75 * ratio  # what the study leaves out


def test_squeeze_excitation_is_passed_over() -> None:
    spec = get_spec("efficientnet_b0")
    pairs = separable_costs(layers_of("efficientnet_b0")[1])
    rows = [row for row in spec.stages if isinstance(row, InvertedResidual) for _ in range(row.num_layers)]
    assert [(pair.kernel, pair.out_channels) for pair in pairs] == [(row.kernel, row.out_channels) for row in rows]


def test_networks_without_separable_layers_have_none() -> None:
    assert separable_costs(layers_of("resnet18")[1]) == []
