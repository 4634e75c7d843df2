"""MACs against closed formulas, hand-counted networks and torch's own counter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from foray.costs import count_macs, count_params
from foray.errors import ForayError


class Upsample(nn.Module):
    """Three channels to many by a 1 x 1 convolution, so that the layer under test has any number of inputs."""

    def __init__(self, channels: int, layer: nn.Module) -> None:
        super().__init__()
        self.entry = nn.Conv2d(3, channels, 1, bias=False)
        self.layer = layer

    def forward(self, x):
        return self.layer(self.entry(x))


@settings(max_examples=40, deadline=None)
@given(
    groups=st.integers(1, 6),
    group_in=st.integers(1, 5),
    group_out=st.integers(1, 5),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    resolution=st.integers(8, 24),
    bias=st.booleans(),
)
def test_convolution_of_any_kind(groups, group_in, group_out, kernel, stride, padding, resolution, bias):
    channels, out_channels = groups * group_in, groups * group_out
    layer = nn.Conv2d(channels, out_channels, kernel, stride, padding, groups=groups, bias=bias)
    side = (resolution + 2 * padding - kernel) // stride + 1
    entry = resolution**2 * 3 * channels
    assert count_macs(Upsample(channels, layer), resolution) == entry + side**2 * out_channels * group_in * kernel**2


@pytest.mark.parametrize("resolution", [32, 33])
def test_depthwise_and_pointwise_are_the_two_terms_of_mobilenet(resolution):
    """Howard et al. 2017 (arXiv:1704.04861), section 3.1: D_K^2 * M * D_F^2 + M * N * D_F^2."""
    m, n, kernel = 16, 24, 3
    block = nn.Sequential(nn.Conv2d(m, m, kernel, padding=1, groups=m), nn.Conv2d(m, n, 1))
    terms = kernel**2 * m * resolution**2 + m * n * resolution**2
    assert count_macs(Upsample(m, block), resolution) == 3 * m * resolution**2 + terms


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 7, bias=bias))
    assert count_macs(network, 19) == 48 * 7


def test_linear_at_every_position():
    class PerPixel(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 5)

        def forward(self, x):
            return self.head(x.permute(0, 2, 3, 1))

    assert count_macs(PerPixel(), 6) == 6 * 6 * 3 * 5


def test_transposed_convolution_spreads_every_input_position():
    layer = nn.ConvTranspose2d(8, 6, kernel_size=3, stride=2, groups=2)
    assert count_macs(Upsample(8, layer), 10) == 10 * 10 * (3 * 8 + 8 * 3 * 9)


def test_batched_matrix_product():
    class Gram(nn.Module):
        def forward(self, x):
            rows = x.flatten(2)  # (1, 3, R * R)
            return rows @ rows.transpose(1, 2)

    assert count_macs(Gram(), 5) == 3 * 3 * 25


def test_squeeze_excitation_is_counted_and_its_multiplication_is_not():
    class SqueezeExcitation(nn.Module):
        def __init__(self):
            super().__init__()
            self.reduce, self.expand = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)

        def forward(self, x):
            return x * torch.sigmoid(self.expand(nn.functional.silu(self.reduce(x.mean((2, 3), keepdim=True)))))

    assert count_macs(Upsample(16, SqueezeExcitation()), 9) == 81 * 3 * 16 + 2 * 16 * 4


def test_a_layer_that_is_not_executed_costs_nothing_and_one_used_twice_costs_twice():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle, self.twice = nn.Conv2d(3, 99, 3), nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.twice(self.twice(x))

    assert count_macs(Odd(), 8) == 2 * 64 * 3 * 3 * 9


def test_norms_activations_pooling_and_padding_cost_nothing():
    network = nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)), nn.BatchNorm2d(3), nn.Hardswish(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Dropout(0.5)
    )
    assert count_macs(network, 16) == 0


def test_half_of_what_torchs_flop_counter_says():
    """A peer: torch counts two FLOPs for a multiply-accumulate, on real tensors."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.SiLU(),
        nn.Conv2d(12, 12, 5, 1, 2, groups=12), nn.Conv2d(12, 20, 1, groups=4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 10),
    ).eval()  # fmt: skip
    with torch.no_grad(), FlopCounterMode(display=False) as peer:
        network(torch.randn(1, 3, 33, 33))
    assert 2 * count_macs(network, 33) == peer.get_total_flops()


class Tokens(nn.Module):
    """Every pixel a token of three numbers: (1, R * R, 3) into `operation`."""

    def __init__(self, operation: nn.Module | Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x):
        return self.operation(x.flatten(2).transpose(1, 2).contiguous())


def test_a_recurrent_layer_is_its_matrix_products():
    """Four gates of `hidden` units, each from the input and the state, at every step."""
    steps, inputs, hidden = 16, 3, 5
    assert count_macs(Tokens(nn.LSTM(inputs, hidden, batch_first=True)), 4) == steps * 4 * hidden * (inputs + hidden)


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        (lambda tokens: nn.functional.bilinear(tokens, tokens, torch.empty(2, 3, 3, device="meta")), "_trilinear"),
        (lambda tokens: torch.mv(tokens[0], tokens[0, 0]), "mv"),
        (lambda tokens: torch.dot(tokens[0, 0], tokens[0, 1]), "dot"),
        (lambda tokens: torch.cdist(tokens, tokens), "cdist"),
    ],
    ids=["bilinear", "mv", "dot", "cdist"],
)
def test_an_operation_without_a_formula_raises_rather_than_counting_nothing(operation, name):
    with pytest.raises(ForayError, match=f"MACs of this network cannot be counted: it executes aten.*{name}"):
        count_macs(Tokens(operation), 4)


def test_counting_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count_macs(network, 8)
    assert network.training
    assert all(network.state_dict()[name].equal(tensor) for name, tensor in before.items())
    assert next(network.parameters()).requires_grad


def test_params_count_what_is_learned_once():
    shared = nn.Linear(4, 4)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), shared, shared)
    assert count_params(network) == (5 * 3 * 9 + 5) + 2 * 5 + (4 * 4 + 4)
