"""A file of Keras weights, made without Keras: layers/<class>_<number>/vars/<i>, kernels in Keras' order."""

from __future__ import annotations

from pathlib import Path

from foray.models import build_model
from foray.specs import get_spec
from foray.weights.keras_file import _sequence

# Ours to Keras': (O, I, H, W) -> (H, W, I, O), and of depthwise kernels (C, 1, H, W) -> (H, W, C, 1).
_ORDER = {"conv2d": (2, 3, 1, 0), "depthwise_conv2d": (2, 3, 0, 1)}


def write_keras(path: Path, model: str = "tf_mobilenet_v1_x0.25", classes: int = 3) -> Path:
    """A network of convolutions as seed 0 initialises it."""
    import h5py

    network = build_model(get_spec(model), num_classes=classes, seed=0)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    counted: dict[str, int] = {}
    with h5py.File(path, "w") as file:
        for name, kind in _sequence(network.spec):
            number = counted.get(kind, 0)
            counted[kind] = number + 1
            group = file.create_group(f"layers/{kind}_{number}" if number else f"layers/{kind}").create_group("vars")
            if kind == "batch_normalization":
                arrays = [tensors[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
            else:
                kernel = tensors[f"{name}.weight"]
                kernel = kernel[:, :, None, None] if kernel.ndim == 2 else kernel
                arrays = [kernel.transpose(_ORDER[kind])]
                arrays += [tensors[f"{name}.bias"]] if f"{name}.bias" in tensors else []
            for i, array in enumerate(arrays):
                group.create_dataset(str(i), data=array)
    return path
