"""Weights of a trained network on disk: safetensors with the architecture and class count in the header."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save

from foray.errors import WeightsError
from foray.models.build import Network
from foray.records.files import write_bytes
from foray.weights.tensor_file import copy_strictly, read_tensors


def save_network(network: Network, path: Path) -> None:
    """Writes the state of `network` to `path`, atomically. Equal networks give equal bytes."""
    tensors = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
    write_bytes(path, _with_sorted_metadata(save(tensors, metadata=_identity(network))))


def load_network_weights(network: Network, path: Path) -> None:
    """Reads what `save_network` wrote into `network`.

    Raises WeightsError when the file is damaged, was not written by foray, or is of another architecture, class count
    or stem; the network is untouched then.
    """
    tensors, metadata = read_tensors(path)
    for item, ours in _identity(network).items():
        theirs = metadata.get(item)
        if theirs is None:
            raise WeightsError(f"{path} was not written by foray: its header names no {item}.")
        if theirs != ours:
            raise WeightsError(f"{path} is of {item} {theirs}, the network of {item} {ours}.")
    copy_strictly(network, tensors, {key: key for key in network.state_dict()}, source=str(path))


def _with_sorted_metadata(content: bytes) -> bytes:
    """A safetensors file whose metadata stands in order; the library writes it in an order drawn by chance.

    The format: 8 bytes for the length of the header, the header as JSON, padded with spaces, then the tensors.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    return content[:8] + text.ljust(length) + content[8 + length :]


def _identity(network: Network) -> dict[str, str]:
    """What shapes alone do not tell apart."""
    stem_stride = network.stem.conv.stride[0]
    return {
        "architecture": network.spec.name,
        "num_classes": str(network.num_classes),
        "stem_stride": str(stem_stride),
    }
