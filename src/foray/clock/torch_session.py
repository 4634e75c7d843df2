"""A network as PyTorch runs it in foray: what `foray predict RUN` does, as a worker that is timed."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from foray.deploy import bench
from foray.deploy import predict as reader
from foray.deploy._worker import Opened
from foray.models import Network, build_model
from foray.records import write_text
from foray.specs import Preprocessing, get_spec
from foray.weights import load_network_weights, save_network

_WEIGHTS, _ABOUT = "weights.safetensors", "network.json"
_LAYER_PASSES = 10


def save_for_worker(network: Network, preprocessing: Preprocessing, small_image: str, folder: Path) -> Path:
    """Writes what `open_network` reads; returns the weights file, whose size is the network's."""
    save_network(network, folder / _WEIGHTS)
    about = {
        "model": network.spec.name,
        "num_classes": network.num_classes,
        "small_image": small_image,
        "resolution": preprocessing.resolution,
        "resize_side": preprocessing.resize_side,
        "interpolation": preprocessing.interpolation,
        "resize": preprocessing.resize,
        "mean": preprocessing.mean,
        "std": preprocessing.std,
    }
    write_text(folder / _ABOUT, json.dumps(about))
    return folder / _WEIGHTS


def open_network(folder: str | Path, precision: str, threads: str | int) -> Opened:
    """The network in `folder`: eager, channels-last, float32 ("fp32") or under bfloat16 autocast ("bf16")."""
    torch.set_num_threads(int(threads))
    folder = Path(folder)
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    network = build_model(
        get_spec(about["model"]), num_classes=about["num_classes"], small_image=about["small_image"], seed=0
    )
    load_network_weights(network, folder / _WEIGHTS)
    network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    std = 255 * torch.tensor(about["std"]).view(1, 3, 1, 1)
    mean = 255 * torch.tensor(about["mean"]).view(1, 3, 1, 1)
    side, jpeg = about["resolution"], bench.photograph()

    @torch.inference_mode()
    def run(pixels: reader.Pixels) -> reader.Probabilities:
        """uint8 (N, R, R, 3) -> class probabilities, float32 (N, C)."""
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - mean) / std
        with torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext():
            logits = network(images)
        return np.asarray(logits.float().softmax(dim=1).numpy())

    @functools.cache
    def passes(batch: int) -> Callable[[], object]:
        pixels = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
        return lambda: run(pixels)

    def label() -> object:
        return run(np.array(reader.prepare(reader.read_image(jpeg), about))[None])

    return Opened(passes, label, lambda: _layers(passes(1)))


def _layers(run: Callable[[], object]) -> list[tuple[str, str, float]]:
    """Time by operator: eager PyTorch's profiler does not know layers."""
    run()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(_LAYER_PASSES):
            run()
    totals = [event for event in profiler.key_averages() if event.self_cpu_time_total > 0]
    return [(event.key, "operator", event.self_cpu_time_total / 1e3 / _LAYER_PASSES) for event in totals]
