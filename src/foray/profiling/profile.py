"""What networks cost here: by analysis what can be analysed, by measurement what has to be measured."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from foray.profiling.latency import measure_latency
from foray.profiling.macs import count_macs, count_params
from foray.profiling.memory import file_bytes, peak_inference_memory
from foray.progress import SILENT, Progress
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


def profile_models(
    models: Mapping[str, tuple[nn.Module, int]],
    *,
    threads: int | None = None,
    device: str | torch.device = "cpu",
    progress: Progress = SILENT,
) -> dict[str, CostProfile]:
    """All costs of `models` (name: network, resolution in pixels), timed against each other on this machine.

    `threads`: see `measure_latency`. Raises ForayError when the MACs of a network cannot be counted.
    """
    device = torch.device(device)
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    analysed = {name: analyse(network, name, resolution) for name, (network, resolution) in models.items()}
    measured = measure_latency(models, threads=threads, device=device, progress=progress)
    return {
        name: analysed[name].model_copy(
            update={
                "latency_p50_ms": latency.p50_ms,
                "latency_p95_ms": latency.p95_ms,
                "latency_n": latency.n,
                "throughput_images_per_second": latency.throughput_images_per_second,
                "threads": latency.threads,
                "hardware": hardware(accelerator),
            }
        )
        for name, latency in measured.items()
    }
