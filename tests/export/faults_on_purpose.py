"""Networks with one fault each: what a tolerance has to tell from rounding."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch

from foray.export.graph import Deployable


def faulty(module: Deployable) -> Iterator[tuple[str, Callable[[torch.Tensor], torch.Tensor]]]:
    """(what is wrong, the module with that fault): preprocessing, then single layers."""
    yield "images mirrored", lambda images: module(images.flip(2))
    yield "height and width swapped", lambda images: module(images.transpose(1, 2))
    unscaled = copy.deepcopy(module)
    unscaled.gain.fill_(1 / 255)
    unscaled.shift.zero_()
    yield "normalisation left out", unscaled
    other = copy.deepcopy(module)
    other.gain.fill_(2 / 255)
    other.shift.fill_(-1.0)
    yield "mean and deviation of other weights", other
    layers = [name for name, _ in module.network.named_modules() if name.endswith("conv")]
    for name in (layers[0], layers[len(layers) // 2], layers[-1]):
        shuffled = copy.deepcopy(module)
        weight = shuffled.network.get_submodule(name).weight
        assert isinstance(weight, torch.Tensor)
        weight.data.copy_(weight.data.roll(1, 0))
        yield f"filters of {name} in another order", shuffled
    for name in (layers[0], layers[len(layers) // 2]):
        biasless = copy.deepcopy(module)
        bias = biasless.network.get_submodule(name).bias
        assert isinstance(bias, torch.Tensor)
        bias.data.zero_()
        yield f"bias of {name} left out", biasless
