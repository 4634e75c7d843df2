"""Feature maps that the backward pass computes again instead of finding them kept.

A convolution keeps its input for the gradient of its weights. Where that input is an activation, which follows from the
convolution before it, and that one's output is kept anyway (foray.native.norm_activation), half of the memory of a
training step is for what one pass over memory gives again (Chen et al. 2016, arXiv:1604.06174, section 4.3). What is
computed again is bit for bit what it was.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

_ATTRIBUTE = "foray_origin"


@dataclass(frozen=True)
class _Origin:
    """How to compute a map again. `version`: the map's, which counts what is written into it in place."""

    compute: Callable[[], Tensor]
    version: int


def can_be_recomputed(y: Tensor, compute: Callable[[], Tensor]) -> None:
    """Says that `compute()` gives the numbers of y in a new tensor of the same layout."""
    setattr(y, _ATTRIBUTE, _Origin(compute, y._version))


def recomputed_for_backward(x: Tensor) -> AbstractContextManager[object]:
    """While it is open, operators that would keep x for their backward pass keep how to compute it, where that is known
    and x was not changed since.
    """
    origin: _Origin | None = getattr(x, _ATTRIBUTE, None)
    if origin is None or x._version != origin.version:
        return nullcontext()
    address, shape = x.data_ptr(), x.shape

    def pack(kept: Tensor) -> Tensor | _Origin:
        return origin if kept.data_ptr() == address and kept.shape == shape else kept

    return torch.autograd.graph.saved_tensors_hooks(pack, _unpack)


def _unpack(kept: Tensor | _Origin) -> Tensor:
    return kept.compute() if isinstance(kept, _Origin) else kept
