"""Running a network without numbers: shapes only, on the meta device, so that analysis needs no memory and no clock."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

_CHANNELS = 3

# Torch works out the shape of a batch norm, a sum or a mean by walking through its definition in Python, and imports
# its compiler to do so: nearly all of the time of an analysis, for an answer that is known before. These fill
# efficient CNNs, and `run_on_shapes` answers for them without asking torch.
_aten = torch.ops.aten
_ELEMENT_WISE = {_aten.add, _aten.mul, _aten.relu, _aten.sigmoid, _aten.hardsigmoid}
_ELEMENT_WISE_IN_PLACE = {_aten.add_, _aten.relu_, _aten.hardtanh_, _aten.silu_, _aten.hardswish_}


def meta_twin(network: nn.Module) -> nn.Module:
    """The same network in inference mode on the meta device; `network` is left as it is and no weight is copied.

    A network that is all that already is its own twin. Otherwise every parameter and buffer is replaced by a meta
    tensor of its shape through deepcopy's memo, which keeps weights that modules share shared.
    """
    if _is_twin(network):
        return network
    with torch.inference_mode(False):
        stand_ins: dict[int, torch.Tensor] = {}
        for parameter in network.parameters():
            stand_ins[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
        for buffer in network.buffers():
            stand_ins[id(buffer)] = torch.empty_like(buffer, device="meta")
        return copy.deepcopy(network, dict[int, object](stand_ins)).eval()


def _is_twin(network: nn.Module) -> bool:
    tensors = [*network.parameters(), *network.buffers()]
    return all(tensor.is_meta for tensor in tensors) and not any(module.training for module in network.modules())


def meta_image(resolution: int) -> torch.Tensor:
    """One image without values: (1, 3, resolution, resolution) float32 on the meta device."""
    return torch.empty(1, _CHANNELS, resolution, resolution, device="meta")


class Observer(TorchDispatchMode):
    """Sees every operation that eager PyTorch would execute, with tensors on the meta device for its numbers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True, torch's default, imports its compiler, which takes longer than all networks; nothing here is compiled.
        return False

    def see(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        """Is told of every operation `func` after it ran. Here nothing: a plain Observer is for networks with hooks."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = run_on_shapes(func, args, kwargs or {})
        self.see(func, args, kwargs or {}, output)
        return output


def execute(twin: nn.Module, image: torch.Tensor, observer: Observer) -> None:
    """Runs the network once under `observer`.

    `no_grad` rather than `inference_mode`: in inference mode composite operations (linear, conv2d, pad) reach a
    dispatch mode whole, here they arrive as the kernels that run.
    """
    with torch.inference_mode(False), torch.no_grad(), observer:
        twin(image)


def run_on_shapes(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What the operation `func` returns for tensors on the meta device."""
    operation = func.overloadpacket
    if operation is _aten.native_batch_norm and not args[5]:  # in inference it saves no batch statistics
        nothing = torch.empty(0, device="meta")
        return _like(args[0]), nothing, nothing
    if operation in _ELEMENT_WISE and _keeps_its_shape(*args):
        return _like(args[0])
    if operation in _ELEMENT_WISE_IN_PLACE and _keeps_its_shape(*args):
        return args[0]
    if operation is _aten.cat and len({(tensor.ndim, tensor.dtype) for tensor in args[0]}) == 1:
        return _joined(*args)
    if func is _aten.mean.dim:
        return _aten.sum.dim_IntList(*args, **kwargs)
    if func is _aten.addmm.default:
        return _aten.mm.default(*args[1:])
    return func(*args, **kwargs)


def _keeps_its_shape(tensor: torch.Tensor, *others: Any) -> bool:
    """Whether an element-wise operation of `tensor` with `others` is like `tensor`."""
    return tensor.is_floating_point() and all(
        other.dtype == tensor.dtype
        and other.ndim == tensor.ndim
        and all(size in (1, ours) for size, ours in zip(other.shape, tensor.shape, strict=True))
        for other in others
        if isinstance(other, torch.Tensor)
    )


def _joined(tensors: Sequence[torch.Tensor], axis: int = 0) -> torch.Tensor:
    sizes = list(tensors[0].shape)
    sizes[axis] = sum(tensor.shape[axis] for tensor in tensors)
    return torch.empty(sizes, dtype=tensors[0].dtype, device="meta")


def _like(tensor: torch.Tensor) -> torch.Tensor:
    """torch.empty_like(tensor), without its walk through Python."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
