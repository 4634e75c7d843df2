"""keras.applications on its torch backend: its weight files are read, and the networks compute what Keras computes."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from foray.errors import WeightsError
from foray.models import create_model, find_weights

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras converts tensors as numpy 1 did

# ours -> (Keras's, its options); the names say which preprocessing layers are part of Keras's model
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "mobilenet_v1_x0.5": ("MobileNet", {"alpha": 0.5}),
    "mobilenet_v2": ("MobileNetV2", {}),
    "mobilenet_v2_x0.35": ("MobileNetV2", {"alpha": 0.35}),
    "mobilenet_v3_small": ("MobileNetV3Small", {"include_preprocessing": False}),
    "mobilenet_v3_large_minimalistic": ("MobileNetV3Large", {"include_preprocessing": False, "minimalistic": True}),
    "mobilenet_v3_small_minimalistic": ("MobileNetV3Small", {"include_preprocessing": False, "minimalistic": True}),
    "efficientnet_b0": ("EfficientNetB0", {}),
    "efficientnet_v2_b0": ("EfficientNetV2B0", {"include_preprocessing": False}),
    "efficientnet_v2_s": ("EfficientNetV2S", {"include_preprocessing": False}),
}


@pytest.fixture(scope="module")
def keras() -> ModuleType:
    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("h5py") is None:
        pytest.skip("keras and h5py are not installed (extra: dev)")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    return keras


def peer_of(keras: ModuleType, name: str, side: int) -> Any:
    """Keras's network with five classes and lively batch-norm statistics."""
    theirs, options = NETWORKS[name]
    keras.utils.set_random_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = getattr(keras.applications, theirs)(
            weights=None, classes=5, classifier_activation=None, input_shape=(side, side, 3), **options
        )
    random = np.random.default_rng(2)
    norms = [layer for layer in peer.layers if type(layer).__name__ == "BatchNormalization"]
    for norm in norms:
        n = norm.gamma.shape[0]
        norm.set_weights([random.uniform(0.5, 1.5, n), random.normal(0, 0.2, n), np.zeros(n), np.ones(n)])
        norm.momentum = 0.0  # one pass in training mode leaves the statistics of its batch
    with torch.no_grad():
        peer(random.random((8, side, side, 3), dtype=np.float32) * pixel_scale(name), training=True)
    return peer


def pixel_scale(name: str) -> float:
    """What Keras's network takes for 1: dividing by 255 is part of its EfficientNet."""
    return 255.0 if name.startswith("efficientnet_b") else 1.0


# Keras's MobileNetV1 pads odd sizes as if they were even, unlike the release it took over: compared at even sizes only.
CASES = [
    ("mobilenet_v1_x0.5", 64),
    *((name, side) for name in ("mobilenet_v2_x0.35", "efficientnet_b0", "efficientnet_v2_b0") for side in (64, 75)),
    *(
        (name, 75)
        for name in NETWORKS
        if name.startswith("mobilenet_v3") or name in ("mobilenet_v2", "efficientnet_v2_s")
    ),
]


@pytest.mark.parametrize(("name", "side"), CASES)
def test_keras_weights_give_keras_outputs(keras: ModuleType, tmp_path: Path, name: str, side: int) -> None:
    peer = peer_of(keras, name, side)
    peer.save_weights(tmp_path / "peer.weights.h5")
    network = create_model(name, num_classes=5, weights=tmp_path / "peer.weights.h5").eval()
    assert network.spec.name == f"tf_{name}"
    images = np.random.default_rng(3).random((2, side, side, 3), dtype=np.float32)
    with torch.no_grad():
        theirs = torch.as_tensor(peer(images * pixel_scale(name), training=False)).cpu()
        ours = network(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert theirs.abs().max() > 1e-3
    tolerance = 1e-4 * max(1.0, float(theirs.abs().max()))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)


def test_the_older_file_format_too(keras: ModuleType, tmp_path: Path) -> None:
    """Written as Keras 2 wrote it: `layer_names` and `weight_names`."""
    import h5py

    peer = peer_of(keras, "mobilenet_v2_x0.35", 64)
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in peer.layers]
        for layer in peer.layers:
            group = file.create_group(layer.name)
            kernel = "depthwise_kernel" if type(layer).__name__ == "DepthwiseConv2D" else "kernel"
            names = [f"{layer.name}/{weight.name.replace('kernel', kernel)}:0" for weight in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, values in zip(names, layer.get_weights(), strict=True):
                group[name] = values
    peer.save_weights(tmp_path / "new.weights.h5")
    old, new = (
        create_model("mobilenet_v2_x0.35", num_classes=5, weights=tmp_path / file).state_dict()
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
    peer_of(keras, "mobilenet_v1_x0.5", 64).save_weights(tmp_path / "peer.weights.h5")
    with pytest.raises(WeightsError):
        create_model(asked, weights=tmp_path / "peer.weights.h5")


def test_what_is_no_such_file_is_said(keras: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n cut short")
    with pytest.raises(WeightsError, match=r"weights\.h5 is not a file of Keras weights"):
        find_weights(tmp_path / "weights.h5", "mobilenet_v2")
