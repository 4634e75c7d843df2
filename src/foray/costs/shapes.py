"""The shapes operations return, for those that fill efficient CNNs without asking torch.

Torch works out the shape of a batch norm, a sum or a mean by walking through its definition in Python, and imports its
compiler to do so: nearly all of the time of an analysis, for an answer that is known before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

_aten = torch.ops.aten
_ELEMENT_WISE = {_aten.add, _aten.mul, _aten.relu, _aten.sigmoid, _aten.hardsigmoid}
_ELEMENT_WISE_IN_PLACE = {_aten.add_, _aten.relu_, _aten.hardtanh_, _aten.silu_, _aten.hardswish_}


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
