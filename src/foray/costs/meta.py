"""Running a network without numbers: shapes only, on the meta device, so that analysis needs no memory and no clock."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from foray.costs.shapes import run_on_shapes

_CHANNELS = 3


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
