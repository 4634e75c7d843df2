"""Peak memory of networks whose liveness is known by hand, and of real ones against the allocator."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.profiler import ProfilerActivity, profile

from foray.costs import file_bytes, peak_inference_memory
from foray.costs.analysis import peak_activation_memory
from foray.models import build_model
from foray.specs import get_spec

FLOAT = 4  # bytes


@settings(max_examples=30, deadline=None)
@given(widths=st.lists(st.integers(1, 200), min_size=1, max_size=6), resolution=st.integers(1, 8))
def test_chain_of_linear_layers(widths, resolution):
    """Alive together: the image, a layer's input and its output."""
    sizes = [3 * resolution**2, *widths]
    pairs = list(itertools.pairwise(sizes))
    network = nn.Sequential(nn.Flatten(), *(nn.Linear(a, b) for a, b in pairs))
    weights = sum(a * b + b for a, b in pairs)
    live = sizes[0] + max((a if i else 0) + b for i, (a, b) in enumerate(pairs))  # the image is the first layer's input
    assert peak_inference_memory(network, resolution) == FLOAT * (weights + live)


@pytest.mark.parametrize("resolution", [4, 9])
def test_a_residual_connection_keeps_its_input_alive(resolution):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv2d(3, 3, 1, bias=False) for _ in range(3))

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    class Residual(Plain):
        def forward(self, x):
            shortcut = self.layers[0](x)
            return shortcut + self.layers[2](self.layers[1](shortcut))

    tensor, weights = 3 * resolution**2 * FLOAT, 3 * 9 * FLOAT
    # image + input + output of a layer; with the shortcut one tensor more
    assert peak_inference_memory(Plain(), resolution) == weights + 3 * tensor
    assert peak_inference_memory(Residual(), resolution) == weights + 4 * tensor


def test_in_place_operations_and_views_add_nothing():
    class Reshaped(nn.Module):
        def forward(self, x):
            return x.flatten(2).transpose(1, 2).reshape(1, -1, 3, 1)[:, ::2]

    image = 3 * 8 * 8 * FLOAT
    assert peak_inference_memory(nn.ReLU6(inplace=False), 8) == 2 * image
    assert peak_inference_memory(nn.ReLU6(inplace=True), 8) == image
    assert peak_inference_memory(Reshaped(), 8) == image


def test_batch_norm_in_inference_makes_one_tensor_and_counts_its_running_statistics():
    image = 3 * 8 * 8 * FLOAT
    statistics = 4 * 3 * FLOAT + 8  # weight, bias, mean, variance; num_batches_tracked is int64
    assert peak_inference_memory(nn.BatchNorm2d(3), 8) == statistics + 2 * image


def test_shared_weights_are_held_once():
    layer = nn.Conv2d(3, 3, 1, bias=False)
    image = 3 * 8 * 8 * FLOAT
    assert peak_inference_memory(nn.Sequential(layer, layer), 8) == 9 * FLOAT + 3 * image


def test_the_classifier_counts_as_weights_and_its_logits_as_activation():
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1000, bias=False))
    activations = peak_activation_memory(network, 8)
    assert peak_inference_memory(network, 8) == 3000 * FLOAT + activations
    assert activations == (3 * 64 + 3 + 1000) * FLOAT


class InvertedResidual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 6 * channels
        self.expand = nn.Sequential(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.SiLU())
        self.depthwise = nn.Sequential(nn.Conv2d(wide, wide, 3, 1, 1, groups=wide, bias=False), nn.BatchNorm2d(wide))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, channels, 1), nn.ReLU(inplace=True))
        self.scale = nn.Conv2d(channels, wide, 1)
        self.project = nn.Sequential(nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        h = nn.functional.silu(self.depthwise(self.expand(x)))
        return x + self.project(h * self.scale(self.gate(h)).sigmoid())


def allocator_peak_bytes(network: nn.Module, resolution: int) -> int:
    """What torch's CPU allocator handed out at most during one inference, the image included."""
    network = network.eval().to(memory_format=torch.channels_last)
    image = torch.randn(1, 3, resolution, resolution).to(memory_format=torch.channels_last)
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        network(image)
    events = [event for event in trace.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return image.nbytes + peak


def test_the_allocator_agrees_on_a_real_inference():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(inplace=True),
        InvertedResidual(16), InvertedResidual(16), nn.Conv2d(16, 64, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    analysed, measured = peak_activation_memory(network, 64), allocator_peak_bytes(network, 64)
    # batch norm's kernel takes a few floats a channel for itself while it runs
    assert analysed <= measured <= analysed + 4096
    assert analysed > 1_000_000


@pytest.mark.parametrize("name", ["mobilenet_v2", "tf_efficientnet_b0", "efficientnet_v2_b0", "mobilenet_v1"])
def test_the_allocator_agrees_on_our_networks(name):
    resolution = 160  # below 128 pixels some of torch's convolutions unfold the image into a workspace of their own
    network = build_model(get_spec(name), num_classes=10, seed=0)
    analysed, measured = peak_activation_memory(network, resolution), allocator_peak_bytes(network, resolution)
    assert analysed <= measured <= analysed + 4096


def test_file_bytes_is_the_size_of_the_file(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 7, 3), nn.BatchNorm2d(7))
    save_file(network.state_dict(), tmp_path / "network.safetensors")
    assert file_bytes(network) == (tmp_path / "network.safetensors").stat().st_size


def test_file_bytes_is_for_float32_whatever_the_network_holds():
    network = nn.Linear(10, 10)
    assert file_bytes(nn.Linear(10, 10).half()) == file_bytes(network) > 110 * FLOAT
