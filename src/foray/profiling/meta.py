"""Running a network without numbers: shapes only, on the meta device, so that analysis needs no memory and no clock."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

_CHANNELS = 3


def meta_twin(network: nn.Module) -> nn.Module:
    """The same network in inference mode on the meta device; `network` is left as it is and no weight is copied.

    Every parameter and buffer is replaced by a meta tensor of its shape through deepcopy's memo, which keeps weights
    that modules share shared.
    """
    with torch.inference_mode(False):
        stand_ins: dict[int, torch.Tensor] = {}
        for parameter in network.parameters():
            stand_ins[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
        for buffer in network.buffers():
            stand_ins[id(buffer)] = torch.empty_like(buffer, device="meta")
        return copy.deepcopy(network, dict[int, object](stand_ins)).eval()


def meta_image(resolution: int) -> torch.Tensor:
    """One image without values: (1, 3, resolution, resolution) float32 on the meta device."""
    return torch.empty(1, _CHANNELS, resolution, resolution, device="meta")


def execute(twin: nn.Module, image: torch.Tensor, observer: TorchDispatchMode) -> None:
    """Runs the network once under `observer`, which sees every operation that eager PyTorch would execute.

    `no_grad` rather than `inference_mode`: in inference mode composite operations (linear, conv2d, pad) reach a
    dispatch mode whole, here they arrive as the kernels that run.
    """
    with torch.inference_mode(False), torch.no_grad(), observer:
        twin(image)
