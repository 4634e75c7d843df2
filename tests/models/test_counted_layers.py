"""Layers as Keras counts them: keras.applications' own lists, and the study's last 34."""

from __future__ import annotations

import pytest
import torch

from foray.models import CountedLayer, Network, build_model, counted_layers
from foray.specs import get_spec
from tools.keras_peers import import_keras

# ours -> (Keras's, its options)
KERAS = {
    "mobilenet_v1_x0.5": ("MobileNet", {"alpha": 0.5}),
    "mobilenet_v2": ("MobileNetV2", {}),
    "mobilenet_v3_small": ("MobileNetV3Small", {"include_preprocessing": False}),
    "mobilenet_v3_large_minimalistic": ("MobileNetV3Large", {"include_preprocessing": False, "minimalistic": True}),
    "efficientnet_b1": ("EfficientNetB1", {}),
    "efficientnet_v2_b0": ("EfficientNetV2B0", {"include_preprocessing": False}),
    "xception": ("Xception", {}),
}


def network_of(name: str) -> Network:
    with torch.device("meta"):
        return build_model(get_spec(name))


def weights_of(network: Network, layer: CountedLayer) -> int:
    return sum(p.numel() for module in layer.modules for p in network.get_submodule(module).parameters())


@pytest.mark.parametrize("name", KERAS)
@pytest.mark.filterwarnings("ignore")
def test_layer_by_layer_as_many_weights_as_in_keras(name: str) -> None:
    """So that "the last N" are the same weights for every N."""
    keras = import_keras()
    if keras is None:
        pytest.skip("keras is not installed (extra: dev)")
    theirs, options = KERAS[name]
    peer = getattr(keras.applications, theirs)(weights=None, include_top=False, input_shape=(96, 96, 3), **options)
    network = network_of(name)
    layers = counted_layers(network)
    counts = [sum(int(torch.Size(w.shape).numel()) for w in layer.trainable_weights) for layer in peer.layers]
    assert [weights_of(network, layer) for layer in layers] == counts


def test_the_studys_last_34_layers_begin_in_the_middle_of_a_block() -> None:
    """Keras' MobileNetV2 without top has 154 layers; layers[-34] is block_13_depthwise."""
    network = network_of("mobilenet_v2")
    layers = counted_layers(network)
    last = layers[-34:]
    assert len(layers) == 154
    assert last[0].name == "stages.5.0.depthwise.conv"
    assert sum(bool(layer.modules) for layer in last) == 24
    assert sum(weights_of(network, layer) for layer in last) == 1_624_896


@pytest.mark.parametrize(
    "name", ["efficientnet_lite0", "mnasnet_a1", "ghostnet_x0.5", "resnet18", "resnet50", "tf_mobilenet_v3_large"]
)
def test_every_weight_before_pooling_is_in_one_layer(name: str) -> None:
    network = network_of(name)
    layers = counted_layers(network)
    modules = [module for layer in layers for module in layer.modules]
    assert len(modules) == len(set(modules))
    held = sum(weights_of(network, layer) for layer in layers)
    above = [*network.hidden.parameters(), *network.classifier.parameters()]
    assert held == sum(p.numel() for p in network.parameters()) - sum(p.numel() for p in above)
    assert len({layer.name for layer in layers}) == len(layers)
