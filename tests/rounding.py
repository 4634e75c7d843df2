"""How far a network that is computed in fewer bits may be from float32, on any processor.

A tolerance that was found on one processor fails on the next: one has instructions for bfloat16 or float16, another
emulates them in float32, and kernels round at other places and add in another order. What holds everywhere is the
format. A number is rounded to the nearest of its numbers, an error of at most its unit roundoff u, relative to the
number, and as good as random (Higham, Accuracy and Stability of Numerical Algorithms, 2002, sections 2.2 and 2.8). So:

- every number that a layer reads, its weights and every number that it writes is off by a factor 1 + u e, e uniform in
  [-1, 1];
- where processors also add in the format (float16, not bfloat16, whose sums every instruction set keeps in float32),
  a sum of K products is rounded K times. After k of them it has grown to sqrt(k / K) of its final size, so the errors
  add up to a variance of sum_k (u^2 / 3) (k / K) = u^2 K / 6, relative to the mean square of the sums.

Both are drawn at random in float32 arithmetic, which every processor has, and what comes out at the end of the network
is its error: the amplification by its depth, its weights and its classifier is the network's own. A runtime's result
is one more draw. The largest difference of a few probabilities varies by a factor of two or so between draws, since
the weights' errors are common to all images: the tolerance is twice the largest of a dozen. The length of thousands of
features varies by a twentieth: there 1.5 times the largest of four is enough for other places of rounding.
`tests/export/test_rounding.py` holds the model against real float16 and bfloat16 arithmetic, and shows that faults of
the network and of its preprocessing are larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_SEED = 760_013  # of no network and no image: errors drawn like the weights would lean with their signs


@dataclass(frozen=True)
class Format:
    """`unit`: unit roundoff, half the distance from 1 to the next number; `adds`: whether sums are rounded to it."""

    unit: float
    adds: bool


FLOAT32 = Format(2.0**-24, adds=True)
FLOAT16 = Format(2.0**-11, adds=True)
STORED_FLOAT16 = Format(2.0**-11, adds=False)  # weights in float16, arithmetic in float32
BFLOAT16 = Format(2.0**-8, adds=False)


def largest_difference(ours: Tensor, exact: Tensor) -> float:
    """Of one number."""
    return float((ours - exact).abs().max())


def tolerance(
    module: nn.Module,
    images: Tensor,
    format_: Format,
    *,
    distance: Callable[[Tensor, Tensor], float] = largest_difference,
    draws: int = 12,
    margin: float = 2.0,
) -> float:
    """The largest `distance` of outputs that rounding to `format_` explains.

    `module`: float32, in inference mode; `images`: what it takes.
    """
    generator = torch.Generator().manual_seed(_SEED)
    with torch.inference_mode():
        exact = module(images)
        largest = 0.0
        for _ in range(draws):
            with _rounded(module, format_, generator):
                largest = max(largest, distance(module(images), exact))
    return margin * largest


@contextmanager
def _rounded(module: nn.Module, format_: Format, generator: torch.Generator) -> Iterator[None]:
    """Inside the block the convolutions and dense layers of `module` compute with errors of the format."""

    def off(x: Tensor) -> Tensor:
        return x * (1 + format_.unit * (2 * torch.rand(x.shape, generator=generator) - 1))

    def reads(_: nn.Module, inputs: Any) -> tuple[Tensor]:
        return (off(inputs[0]),)

    def writes(layer: nn.Module, _: Any, output: Tensor) -> Tensor:
        if format_.adds:
            terms = layer.weight[0].numel()  # type: ignore[index]
            size = format_.unit * math.sqrt(terms / 6) * float(output.square().mean().sqrt())
            output = output + size * torch.randn(output.shape, generator=generator)
        return off(output)

    with ExitStack() as stack:
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                stack.callback(setattr, layer, "weight", layer.weight)
                layer.weight = nn.Parameter(off(layer.weight), requires_grad=False)
                stack.callback(layer.register_forward_pre_hook(reads).remove)
                stack.callback(layer.register_forward_hook(writes).remove)
        yield
