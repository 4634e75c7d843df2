"""Weights of keras.applications networks: `.weights.h5` of Keras 3, and the `.h5` of Keras 2.

Neither file holds our names, and Keras 3 numbers layers by their class: `conv2d_3` is the fourth Conv2D of the model.
Both keep the order of the model's layers, which is the order in which ours run, so the file is read as one queue of
layers a kind and the spec says which comes next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foray.errors import WeightsError
from foray.parsing import shortened
from foray.regular_files import require_regular
from foray.specs import (
    ArchSpec,
    DepthwiseSeparable,
    FusedInvertedResidual,
    PlainConv,
    SeparableConv,
    SeparableResidual,
)
from foray.weights.key_map import BlockName, named_blocks

Kind = Literal["conv2d", "depthwise_conv2d", "separable_conv2d", "batch_normalization", "dense"]
Arrays = list[npt.NDArray[np.float32]]
Reader = Callable[[Any], npt.NDArray[np.float32]]
Layers = dict[Kind, list[Arrays]]  # the layers of each kind, in the model's order, each with its arrays

KERAS_FAMILIES = ("efficientnet", "efficientnet_v2", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3", "xception")

KERAS_SUFFIXES = (".h5", ".hdf5")

_NUMBERED = re.compile(r"(conv2d|depthwise_conv2d|separable_conv2d|batch_normalization|dense)(?:_(\d+))?")
_NORM = ("weight", "bias", "running_mean", "running_var")  # Keras: gamma, beta, moving_mean, moving_variance


def check_keras_has(spec: ArchSpec) -> None:
    """Raises WeightsError, with the reason and the way out, where Keras's files hold no network of this family."""
    if spec.family == "resnet":
        raise WeightsError(
            f"{spec.name} is torchvision's network, and Keras' ResNet another one: its convolutions have biases, and a "
            "block strides in its first 1 x 1 convolution instead of the 3 x 3. Take a .pth file of torchvision, or "
            "the weights on the hub (`weights` hub)."
        )
    if spec.family not in KERAS_FAMILIES:
        raise WeightsError(f"foray does not read {spec.name} from Keras' files. It reads {', '.join(KERAS_FAMILIES)}.")


def read_keras(path: Path, spec: ArchSpec) -> dict[str, Tensor]:
    """The tensors of a Keras file by the keys of a Network of `spec`, kernels transposed to PyTorch's order.

    Raises WeightsError when the file is no such file, or its layers are not those of `spec`.
    """
    layers = _read_layers(path)
    tensors: dict[str, Tensor] = {}
    taken: dict[Kind, int] = dict.fromkeys(layers, 0)
    for name, kind in _sequence(spec):
        if taken[kind] == len(layers[kind]):
            raise WeightsError(
                f"{path} has {len(layers[kind])} layers {kind}; {spec.name} has more: it is another network."
            )
        arrays = layers[kind][taken[kind]]
        taken[kind] += 1
        try:
            tensors |= _tensors(name, kind, arrays)
        except (ValueError, IndexError) as error:
            shapes = ", ".join("x".join(map(str, array.shape)) for array in arrays) or "none"
            raise WeightsError(
                f"{path}: the arrays of its layer {kind} {taken[kind]} ({shapes}) do not fit such a layer. The "
                "file is damaged: fetch or write it again."
            ) from error
    if left := [f"{len(layers[kind]) - n} {kind}" for kind, n in taken.items() if n < len(layers[kind])]:
        raise WeightsError(f"{path} has layers that {spec.name} has not ({', '.join(left)}): it is another network.")
    return tensors


def _sequence(spec: ArchSpec) -> Iterator[tuple[str, Kind]]:
    """Our layers in the order in which Keras's model has them, with their kind there."""
    yield from _conv_norm("stem", "conv2d")
    for block in named_blocks(spec):
        yield from _block(block)
    if spec.head:
        yield from _conv_norm("head", "conv2d")
    if spec.hidden_features:
        yield "hidden.linear", "conv2d"
    # MobileNetV1 and V3 classify with a 1 x 1 convolution.
    yield "classifier", "conv2d" if spec.family in ("mobilenet_v1", "mobilenet_v3") else "dense"


def _block(block: BlockName) -> Iterator[tuple[str, Kind]]:
    match block.row:
        case DepthwiseSeparable():
            yield from _conv_norm(f"{block.ours}.depthwise", "depthwise_conv2d")
            yield from _conv_norm(f"{block.ours}.pointwise", "conv2d")
        case FusedInvertedResidual():
            for part in ("expand", "project") if block.expands else ("expand",):
                yield from _conv_norm(f"{block.ours}.{part}", "conv2d")
        case PlainConv():
            yield from _conv_norm(block.ours, "conv2d")
        case SeparableConv():
            yield from _separable(block.ours)
        case SeparableResidual():
            for i in range(block.row.num_convs):
                at = 2 * i + block.row.relu_first  # in our `convs`, where rectifiers stand between
                yield from _separable(f"{block.ours}.convs.{at}")
            if block.reshapes:  # Keras sorts layers by depth, which puts the shortcut's after the branch's
                yield from _conv_norm(f"{block.ours}.shortcut", "conv2d")
        case _:
            if block.expands:
                yield from _conv_norm(f"{block.ours}.expand", "conv2d")
            yield from _conv_norm(f"{block.ours}.depthwise", "depthwise_conv2d")
            for part in ("reduce", "expand") if block.squeezes else ():
                yield f"{block.ours}.squeeze_excitation.{part}", "conv2d"
            yield from _conv_norm(f"{block.ours}.project", "conv2d")


def _conv_norm(name: str, kind: Kind) -> Iterator[tuple[str, Kind]]:
    yield f"{name}.conv", kind
    yield f"{name}.norm", "batch_normalization"


def _separable(name: str) -> Iterator[tuple[str, Kind]]:
    yield name, "separable_conv2d"
    yield f"{name}.pointwise.norm", "batch_normalization"


def _tensors(name: str, kind: Kind, arrays: Arrays) -> dict[str, Tensor]:
    if kind == "batch_normalization":
        return {f"{name}.{part}": torch.from_numpy(array) for part, array in zip(_NORM, arrays, strict=True)}
    if kind == "separable_conv2d":
        tensors = _tensors(f"{name}.depthwise", "depthwise_conv2d", arrays[:1])
        return tensors | _tensors(f"{name}.pointwise.conv", "conv2d", arrays[1:])
    kernel = arrays[0]
    match kind:
        case "conv2d":  # (H, W, I, O) -> (O, I, H, W)
            kernel = kernel.transpose(3, 2, 0, 1)
        case "depthwise_conv2d":  # (H, W, C, 1) -> (C, 1, H, W)
            kernel = kernel.transpose(2, 3, 0, 1)
        case "dense":  # (I, O) -> (O, I)
            kernel = kernel.T
    if kind == "conv2d" and name in ("classifier", "hidden.linear"):
        kernel = kernel[:, :, 0, 0]
    tensors = {f"{name}.weight": torch.from_numpy(np.ascontiguousarray(kernel))}
    return tensors | {f"{name}.bias": torch.from_numpy(array) for array in arrays[1:]}


def _read_layers(path: Path) -> Layers:
    try:
        import h5py
    except ImportError as error:
        raise WeightsError(
            f"Reading {path} needs h5py, not installed here. Run in the checkout of foray: "
            "pip install -c constraints.txt -e '.[keras]'"
        ) from error
    try:
        require_regular(path)
        with h5py.File(path) as file:
            read = partial(_array, most_bytes=path.stat().st_size)
            layers = _of_keras_3(file["layers"], read) if "layers" in file else _of_keras_2(file, read)
    except MemoryError:
        raise
    except Exception as error:  # on damaged bytes HDF5 raises nearly every kind of exception
        raise WeightsError(f"{path} is not a file of Keras weights ({shortened(error)}).") from error
    if not layers["conv2d"]:
        raise WeightsError(f"{path} holds no convolutions: it is not a file of weights of a Keras network.")
    return layers


def _array(stored: Any, most_bytes: int) -> npt.NDArray[np.float32]:
    """A stored array. Raises ValueError for one that is larger than `most_bytes`: Keras compresses nothing."""
    if stored.nbytes > most_bytes:
        raise ValueError(f"{stored.name} says it has {stored.nbytes:,} bytes, more than the file")
    return np.asarray(stored, dtype=np.float32)


def _none() -> Layers:
    return {kind: [] for kind in get_args(Kind)}


def _of_keras_3(group: Any, read: Reader) -> Layers:
    """layers/conv2d_3/vars/0, ...: sorted by number within a class."""
    found: dict[Any, list[tuple[int, Arrays]]] = {kind: [] for kind in _none()}
    for name in group:
        if match := _NUMBERED.fullmatch(name):
            variables = group[name]["vars"]
            arrays = [read(variables[str(i)]) for i in range(len(variables))]
            found[match[1]].append((int(match[2] or 0), arrays))
    return {kind: [arrays for _, arrays in sorted(of, key=lambda one: one[0])] for kind, of in found.items()}


def _of_keras_2(file: Any, read: Reader) -> Layers:
    """`layer_names` in the model's order; `weight_names` tell what a layer is."""
    group = file.get("model_weights", file)  # of a whole model, or of weights alone
    layers = _none()
    for layer in group.attrs["layer_names"]:
        weights = group[_text(layer)]
        names = [_text(name) for name in weights.attrs["weight_names"]]
        arrays = [read(weights[name]) for name in names]
        if kind := _kind_of(names, arrays):
            layers[kind].append(arrays)
    return layers


def _kind_of(names: list[str], arrays: Arrays) -> Kind | None:
    parts = [name.rpartition("/")[2].partition(":")[0] for name in names]
    if "gamma" in parts:
        return "batch_normalization"
    if "pointwise_kernel" in parts:
        return "separable_conv2d"
    if "depthwise_kernel" in parts:
        return "depthwise_conv2d"
    if "kernel" in parts:
        return "dense" if arrays[0].ndim == 2 else "conv2d"
    return None  # EfficientNet's normalisation, or a layer without weights


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
