"""Training on a GPU against timm: 224 px, batch 256, bfloat16, the same uint8 images resident on the device.

The peer is timm's step at its best flags (channels-last, autocast to bfloat16, torch.compile) on batches cropped and
flipped by foray, so that only network and step differ; without torch.compile it stands beside. Images are noise, which
takes a GPU as long as any. Asked for: 1.3 x the peer's images/s, with a peak memory not above its own. The byte bound
is the time that the bytes of `_step_bytes` take at the bandwidth of a large copy.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks._results import ROOT, machine, print_table, write_json
from benchmarks._rounds import Command, Measured, Schedule, ratios, take_turns
from benchmarks._step_bytes import step_bytes
from foray.models import build_model
from foray.specs import get_spec
from tools.peers import import_peer

TARGET = 1.3
NETWORKS = ("efficientnet_b0", "mobilenet_v2")
OURS = "foray"
TIMM = {"timm compiled": ("--compile",), "timm": ()}
COPY_BYTES = 2**30
NUM_CLASSES = 1000


def main() -> int:
    given = _arguments()
    if given.device == "cuda" and not torch.cuda.is_available():
        print("There is no CUDA GPU here: nothing is measured.")
        return 0
    if import_peer("timm") is None:
        print("timm is not installed (pip install --no-deps timm torchvision), so there is no peer to compare with.")
        return 2
    device = torch.device(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine()["hardware"]
    bandwidth = copy_bandwidth(device, given.copy_bytes)
    print(
        f"{name}, {bandwidth / 1e9:,.0f} GB/s; {given.resolution} px, batch {given.batch_size}, {given.rounds} rounds"
    )
    results: dict[str, list[Measured]] = {}
    verdicts: dict[str, bool] = {}
    for network in given.networks:
        sides = take_turns(
            _commands(given, network),
            Schedule(given.rounds, given.steps, given.turn_seconds),
            images_per_step=given.batch_size,
            folder=ROOT,
            tasks=("step", "network"),
        )
        results[network] = sides
        verdicts |= _state(network, sides, bound_rate(network, given.resolution, given.batch_size, bandwidth))
    measured = {network: [asdict(side) for side in sides] for network, sides in results.items()}
    about = {"device": name, "copy_bytes_per_second": bandwidth, "batch_size": given.batch_size}
    write_json(given.json, {**about, "results": measured, "met": verdicts})
    if not verdicts:
        print("No peer ran, so there is nothing to say.")
        return 2
    return 0 if all(verdicts.values()) else 1


def copy_bandwidth(device: torch.device, n_bytes: int, repeats: int = 10) -> float:
    """Bytes/s, those read and those written together, of the median copy of `n_bytes`."""
    source = torch.zeros(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return 2 * n_bytes / statistics.median(seconds[1:])  # the first touches memory that was never used


def bound_rate(network: str, resolution: int, batch_size: int, bandwidth: float) -> float:
    """Images/s of a step in bfloat16 that does nothing but move its bytes."""
    with torch.device("meta"):
        built = build_model(get_spec(network), num_classes=NUM_CLASSES)
    return batch_size * bandwidth / step_bytes(built, resolution, batch_size, activation_bytes=2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_train", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cpu tries the script; its figures mean nothing")
    parser.add_argument("--networks", nargs="+", default=[*NETWORKS])
    parser.add_argument("--peers", nargs="*", choices=[*TIMM], default=[*TIMM])
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--images", type=int, default=4096, help="of noise, resident (default: 4096)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of every side (default: 9)")
    parser.add_argument("--steps", type=int, default=10, help="of a turn (default: 10)")
    parser.add_argument("--turn-seconds", type=float, default=20.0, help="a slow side does fewer steps, one at least")
    parser.add_argument("--compile-seconds", type=float, default=200.0, help="what a compiled first step may take")
    parser.add_argument("--copy-bytes", type=int, default=COPY_BYTES, help="of the copy that tells the bandwidth")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser.parse_args()


def _commands(given: argparse.Namespace, network: str) -> dict[str, Command]:
    shared = [
        "--network", network, "--device", given.device, "--resolution", str(given.resolution),
        "--batch-size", str(given.batch_size), "--images", str(given.images),
    ]  # fmt: skip
    commands = {OURS: Command((sys.executable, "-m", "benchmarks._foray_train", *shared))}
    timm = (sys.executable, "-m", "benchmarks.peers.timm_train", *shared, "--data", "ours", "--precision", "bfloat16")
    for name in given.peers:
        commands[name] = Command((*timm, *TIMM[name]), first_limit_seconds=given.compile_seconds)
    return commands


def _state(network: str, sides: Sequence[Measured], bound: float) -> dict[str, bool]:
    """Prints a network's table and verdicts; returns the verdicts. `bound`: images/s of the byte bound."""
    print()
    for side in sides:
        if side.failure:
            print(f"{network}: {side.name} is left out. {side.failure}")
    ran = [side for side in sides if not side.failure]
    if not ran or ran[0].name != OURS:
        return {f"{network} trains": False}
    ours = ran[0]
    rows = [
        [
            side.name,
            str(side.rate()),
            f"{ratios(ours.rates['step'], side.rates['step'])} x",
            str(side.rate("network")),
            f"{100 * side.rate().median / bound:.0f} %",
            "-" if side.peak_bytes is None else f"{side.peak_bytes / 2**20:,.0f}",
        ]
        for side in ran
    ]
    print_table([network, "images/s (quartiles)", "ours / its", "network alone", "of byte bound", "step MiB"], rows)
    verdicts = {}
    for best in sorted(ran[1:], key=lambda side: -side.rate().median)[:1]:
        faster = ratios(ours.rates["step"], best.rates["step"])
        verdicts[f"{network} {TARGET} x {best.name}"] = faster.median >= TARGET
        if ours.peak_bytes is not None and best.peak_bytes is not None:
            verdicts[f"{network} memory of {best.name}"] = ours.peak_bytes <= best.peak_bytes
    for what, met in verdicts.items():
        print(f"{what}: {'met' if met else 'missed'}")
    return verdicts


if __name__ == "__main__":
    sys.exit(main())
