"""Peak memory of one inference, by liveness over the executed graph; and the size of the weights on disk."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save
from torch import nn
from torch.utils._pytree import tree_leaves

from foray.costs.meta import Observer, execute, meta_image, meta_twin


def peak_inference_memory(network: nn.Module, resolution: int) -> int:
    """Bytes of weights (parameters and buffers) plus the largest sum of live activations at batch 1, image included.

    An activation lives from the operation that makes it until eager PyTorch would free it: the last reference of the
    network's own code is gone. Views share their storage and in-place operations add none. What a kernel takes for
    itself while it runs (oneDNN's and cuDNN's workspaces) is not in it, nor is the interpreter.
    """
    twin = meta_twin(network)
    weights = {id(tensor): tensor for tensor in [*twin.parameters(), *twin.buffers()]}
    return sum(tensor.nbytes for tensor in weights.values()) + _peak_activations(twin, resolution)


def peak_activation_memory(network: nn.Module, resolution: int) -> int:
    """The part of `peak_inference_memory` that grows with the batch: image and live activations, bytes at batch 1."""
    return _peak_activations(meta_twin(network), resolution)


def file_bytes(network: nn.Module) -> int:
    """Bytes of the network's parameters and buffers as a safetensors file, floating-point numbers as float32."""
    state = {
        name: (tensor.float() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in network.state_dict().items()
    }
    return len(save(state))


def _peak_activations(twin: nn.Module, resolution: int) -> int:
    image = meta_image(resolution)
    weights = [tensor.untyped_storage() for tensor in [*twin.parameters(), *twin.buffers()]]
    liveness = _Liveness(weights)
    liveness.allocate(image.untyped_storage())
    execute(twin, image, liveness)
    return liveness.peak_bytes


class _Liveness(Observer):
    """Adds every new storage when an operation returns it and subtracts it when its last reference dies."""

    def __init__(self, weights: list[torch.UntypedStorage]) -> None:
        super().__init__()
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet(weights)
        self._live_bytes = 0
        self.peak_bytes = 0

    def allocate(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        self._live_bytes += storage.nbytes()
        self.peak_bytes = max(self.peak_bytes, self._live_bytes)
        weakref.finalize(storage, self._free, storage.nbytes())

    def _free(self, nbytes: int) -> None:
        self._live_bytes -= nbytes

    def see(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        for tensor in tree_leaves(output):
            if isinstance(tensor, torch.Tensor):
                self.allocate(tensor.untyped_storage())
