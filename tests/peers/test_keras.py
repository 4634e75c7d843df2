"""keras.applications on its torch backend: its weight files are read, and the networks compute what Keras computes."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest
import torch

from foray.errors import WeightsError
from foray.weights import create_model, find_weights
from tools.keras_peers import NETWORKS, import_keras, keras_input, keras_peer, outputs_in, uniform_pixels
from tools.peers import NUM_CLASSES
from tools.stage_ends import outputs_at

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras converts tensors as numpy 1 did

# Keras's MobileNetV1 pads odd sizes as if they were even, unlike the release it took over: compared at even sizes only.
CASES = [
    ("mobilenet_v1_x0.5", 64),
    *((name, side) for name in ("mobilenet_v2_x0.35", "efficientnet_b0", "efficientnet_v2_b0") for side in (64, 75)),
    *((name, 75) for name in NETWORKS if name.startswith("mobilenet_v3")),
    ("mobilenet_v2", 75),
    ("efficientnet_v2_s", 75),
    *(("xception", side) for side in (75, 96)),  # Keras's takes 71 pixels at least
]


@pytest.fixture(scope="module")
def keras() -> ModuleType:
    module = import_keras()
    if module is None:
        pytest.skip("keras and h5py are not installed (extra: dev)")
    return module


@pytest.mark.parametrize(("name", "side"), CASES)
def test_keras_weights_give_keras_outputs(keras: ModuleType, tmp_path: Path, name: str, side: int) -> None:
    images = uniform_pixels(4, side)
    peer = keras_peer(keras, name, images)
    peer.save_weights(tmp_path / "peer.weights.h5")
    network = create_model(name, num_classes=NUM_CLASSES, weights=tmp_path / "peer.weights.h5").eval()
    assert network.spec.name == f"tf_{name}"
    their_logits, theirs = outputs_in(keras, peer, network.spec, keras_input(name, images))
    assert theirs.keys() >= {f"stages.{i}" for i in range(len(network.spec.stages))}
    logits, ours = outputs_at(network, torch.from_numpy(images).permute(0, 3, 1, 2), theirs)
    ours["logits"], theirs["logits"] = logits, their_logits
    for part, expected in theirs.items():
        largest = float(expected.abs().max())
        assert 1e-3 < largest < 100
        difference = float((ours[part] - expected).abs().max())
        assert difference <= 1e-4 * max(1.0, largest), part


@pytest.mark.parametrize(("name", "side"), [("mobilenet_v2_x0.35", 64), ("xception", 71)])
def test_the_older_file_format_too(keras: ModuleType, tmp_path: Path, name: str, side: int) -> None:
    """Written as Keras 2 wrote it: `layer_names` and `weight_names`."""
    import h5py

    peer = keras_peer(keras, name, uniform_pixels(2, side))
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in peer.layers]
        for layer in peer.layers:
            group = file.create_group(layer.name)
            kernel = "depthwise_kernel" if type(layer).__name__ == "DepthwiseConv2D" else "kernel"
            names = [f"{layer.name}/{variable.name.replace('kernel', kernel)}:0" for variable in layer.weights]
            group.attrs["weight_names"] = [weight.encode() for weight in names]
            for weight, values in zip(names, layer.get_weights(), strict=True):
                group[weight] = values
    peer.save_weights(tmp_path / "new.weights.h5")
    old, new = (
        create_model(name, num_classes=NUM_CLASSES, weights=tmp_path / file).state_dict()
        for file in ("old.h5", "new.weights.h5")
    )
    assert all(torch.equal(old[key], new[key]) for key in new)


def test_the_real_file_holds_the_same_weights_as_timms(keras: ModuleType, shared_data: Path) -> None:
    weights = shared_data / "weights"
    ours = create_model("mobilenet_v2", weights=weights / "mobilenet_v2.keras_applications.weights.h5").state_dict()
    theirs = create_model("mobilenet_v2", weights=weights / "mobilenetv2_100.tf_in1k").state_dict()
    for key, tensor in theirs.items():
        torch.testing.assert_close(ours[key], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("asked", ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "resnet18", "xception"])
def test_a_file_of_another_network_is_refused(keras: ModuleType, tmp_path: Path, asked: str) -> None:
    keras_peer(keras, "mobilenet_v1_x0.5", uniform_pixels(2, 64)).save_weights(tmp_path / "peer.weights.h5")
    with pytest.raises(WeightsError):
        create_model(asked, weights=tmp_path / "peer.weights.h5")


def test_keras_resnet_is_refused_as_another_network(keras: ModuleType, tmp_path: Path) -> None:
    peer = keras.applications.ResNet50(weights=None, classes=2, classifier_activation=None, input_shape=(32, 32, 3))
    peer.save_weights(tmp_path / "peer.weights.h5")
    with pytest.raises(WeightsError) as error:
        create_model("resnet50", weights=tmp_path / "peer.weights.h5")
    assert re.search(r"biases.*first 1 x 1.*\.pth file of torchvision.*hub", str(error.value))


def test_keras_weights_that_are_no_numbers_are_named(keras: ModuleType, tmp_path: Path) -> None:
    peer = keras_peer(keras, "mobilenet_v2_x0.35", uniform_pixels(2, 64))
    peer.layers[1].kernel.assign(peer.layers[1].kernel * float("nan"))
    peer.save_weights(tmp_path / "peer.weights.h5")
    with pytest.raises(WeightsError, match=r"NaN or infinite, in stem\.conv\.weight"):
        create_model("mobilenet_v2_x0.35", num_classes=NUM_CLASSES, weights=tmp_path / "peer.weights.h5")


def test_what_is_no_such_file_is_said(keras: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n cut short")
    with pytest.raises(WeightsError, match=r"weights\.h5 is not a file of Keras weights"):
        find_weights(tmp_path / "weights.h5", "mobilenet_v2")
