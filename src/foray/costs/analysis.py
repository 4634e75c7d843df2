"""What a network costs by analysis of the graph that it executes on the meta device: all that needs no clock.

One multiply-accumulate (MAC) is one multiplication and one addition: FLOPs = 2 x MACs. Counted are convolutions and
matrix products by torch's formulas (torch.utils.flop_counter), squeeze-excitation's included; element-wise work, batch
norm, pooling and bias additions are not, as in the papers and in torchvision's and timm's tables. Positions that fall
on padding count, as everywhere.

Peak memory is that of one inference, by liveness over the executed graph.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import save
from torch import nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from foray.costs.meta import Observer, execute, meta_image, meta_twin
from foray.errors import ForayError
from foray.records import CostProfile, hardware, versions

# Operations on several floating-point tensors that multiply none with another, or only element by element.
_FREE = {
    torch.ops.aten.native_batch_norm,
    torch.ops.aten.native_layer_norm,
    torch.ops.aten.native_group_norm,
    torch.ops.aten.cat,
    torch.ops.aten.stack,
    torch.ops.aten.copy_,
}


def analyse(network: nn.Module, model: str, resolution: int) -> CostProfile:
    """The costs that need no clock: parameters, MACs, peak memory at batch 1, file size. Times are None.

    Raises ForayError when the MACs cannot be counted (see `count_macs`).
    """
    return CostProfile(
        model=model,
        resolution=resolution,
        params=count_params(network),
        macs=count_macs(network, resolution),
        peak_memory_bytes=peak_inference_memory(network, resolution),
        file_bytes=file_bytes(network),
        hardware=hardware(),
        versions=versions(),
    )


def count_macs(network: nn.Module, resolution: int) -> int:
    """Multiply-accumulates of one image of `resolution` x `resolution` pixels.

    `network` maps (N, 3, H, W) to anything; it is not run on numbers and not changed. Raises ForayError when the
    network executes an operation on several tensors that has no formula (bilinear layers, distances): a count that
    leaves work out would be worse than none.
    """
    counter = _MacCounter()
    execute(meta_twin(network), meta_image(resolution), counter)
    return counter.macs


def count_params(network: nn.Module) -> int:
    """Learnable numbers: weights, biases, batch norm's scale and shift; not its running statistics."""
    return sum(parameter.numel() for parameter in network.parameters())


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


def _may_multiply_accumulate(func: torch._ops.OpOverload, arguments: object) -> bool:
    """A product of tensors needs two of them; element-wise operations and views are known by their tags."""
    if func.is_view or torch.Tag.pointwise in func.tags or func.overloadpacket in _FREE:
        return False
    factors = [leaf for leaf in tree_leaves(arguments) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()]
    return len(factors) > 1


class _MacCounter(Observer):
    """torch's `FlopCounterMode` passes over operations without a formula; this one raises for them."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def see(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        operation = func.overloadpacket
        if formula := flop_registry.get(operation):
            self.macs += formula(*args, **kwargs, out_val=output) // 2
        elif _may_multiply_accumulate(func, (args, kwargs)):
            raise ForayError(
                f"The MACs of this network cannot be counted: it executes {operation}, for which foray has no formula. "
                "Compare networks of convolutions and linear layers."
            )


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
