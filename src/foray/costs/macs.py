"""Multiply-accumulates and parameters, by analysis of the executed graph on the meta device.

One multiply-accumulate is one multiplication and one addition: FLOPs = 2 x MACs. Counted are convolutions and matrix
products, squeeze-excitation's included; element-wise work, batch norm, pooling and bias additions are not, as in the
papers and in torchvision's and timm's tables. Positions that fall on padding count, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from foray.costs.meta import Observer, execute, meta_image, meta_twin
from foray.errors import ForayError

_aten = torch.ops.aten
_Arguments = Sequence[Any]


def count_macs(network: nn.Module, resolution: int) -> int:
    """Multiply-accumulates of one image of `resolution` x `resolution` pixels.

    `network` maps (N, 3, H, W) to anything; it is not run on numbers and not changed. Raises ForayError when the
    network executes an operation on several tensors that has no formula here (fused attention, bilinear layers): a
    count that leaves work out would be worse than none.
    """
    counter = _MacCounter()
    execute(meta_twin(network), meta_image(resolution), counter)
    return counter.macs


def count_params(network: nn.Module) -> int:
    """Learnable numbers: weights, biases, batch norm's scale and shift; not its running statistics."""
    return sum(parameter.numel() for parameter in network.parameters())


def _convolution(arguments: _Arguments, output: torch.Tensor) -> int:
    # weight is (out, in / groups, kh, kw), and (in, out / groups, kh, kw) when transposed: in both cases
    # weight.numel() / weight.shape[0] products belong to one position of the larger-indexed side.
    image, weight, transposed = arguments[0], arguments[1], arguments[6]
    positions = image.numel() if transposed else output.numel()
    return int(positions * (weight.numel() // weight.shape[0]))


def _product(left: int) -> Callable[[_Arguments, torch.Tensor], int]:
    """(..., n, k) times (..., k, m): k products for every output; `left` is the position of the first factor."""
    return lambda arguments, output: int(output.numel() * arguments[left].shape[-1])


_FORMULAS: dict[Any, Callable[[_Arguments, torch.Tensor], int]] = {
    _aten.convolution: _convolution,
    _aten.mm: _product(0),
    _aten.addmm: _product(1),
    _aten.bmm: _product(0),
    _aten.baddbmm: _product(1),
}

# Operations on several floating-point tensors that multiply none with another, or only element by element.
_FREE = {
    _aten.native_batch_norm,
    _aten.native_layer_norm,
    _aten.native_group_norm,
    _aten.cat,
    _aten.stack,
    _aten.copy_,
}


def _may_multiply_accumulate(func: torch._ops.OpOverload, arguments: object) -> bool:
    """A product of tensors needs two of them; element-wise operations and views are known by their tags."""
    if func.is_view or torch.Tag.pointwise in func.tags or func.overloadpacket in _FREE:
        return False
    factors = [leaf for leaf in tree_leaves(arguments) if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()]
    return len(factors) > 1


class _MacCounter(Observer):
    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def see(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        operation = func.overloadpacket
        if formula := _FORMULAS.get(operation):
            self.macs += formula(args, output)
        elif _may_multiply_accumulate(func, (args, kwargs)):
            raise ForayError(
                f"The MACs of this network cannot be counted: it executes {operation}, for which foray has no formula. "
                "Compare networks of convolutions and linear layers."
            )
