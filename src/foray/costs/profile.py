"""What a network costs by analysis: everything that needs no clock."""

from __future__ import annotations

from torch import nn

from foray.costs.macs import count_macs, count_params
from foray.costs.memory import file_bytes, peak_inference_memory
from foray.records import CostProfile, hardware, versions


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
