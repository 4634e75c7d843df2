"""What each kernel and the allocator buy: a training step with all of them, and with one or all of them left out.

Every side is foray's own training step (`_foray_train.py`), 224 px, batch 32, on images of noise; sides differ in
environment variables alone (docs/native.md) and take turns. What is left out and costs less than 3 % is not worth its
lines.
"""

from __future__ import annotations

import argparse
import ctypes.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks._results import ROOT, machine, print_table, write_json
from benchmarks._rounds import Command, Measured, Schedule, ratios, take_turns
from foray.evaluation.precision import computes_bfloat16

ALL = "all on"
KERNELS = {
    ALL: {},
    "without depthwise": {"FORAY_KERNELS": "norm_activation,recomputation"},
    "without norm_activation": {"FORAY_KERNELS": "depthwise"},  # recomputation rests on it
    "without recomputation": {"FORAY_KERNELS": "depthwise,norm_activation"},
    "without kernels": {"FORAY_KERNELS": "none"},
    "without anything": {"FORAY_KERNELS": "0", "FORAY_ALLOCATOR": "0"},
}
ALLOCATORS = {
    ALL: {},
    "arena alone": {"FORAY_ALLOCATOR": "arena"},
    "mallopt alone": {"FORAY_ALLOCATOR": "mallopt"},
    "allocator off": {"FORAY_ALLOCATOR": "0"},
    "jemalloc": {
        "FORAY_ALLOCATOR": "0", "LD_PRELOAD": "jemalloc",
        # As in PyTorch's tuning guide: by default memory goes back after 10 s, while other sides have their turns.
        "MALLOC_CONF": "background_thread:true,metadata_thp:auto,dirty_decay_ms:9000000000,muzzy_decay_ms:9000000000",
    },
    "mimalloc": {"FORAY_ALLOCATOR": "0", "LD_PRELOAD": "mimalloc"},
    "FORAY_KERNELS=0": {"FORAY_KERNELS": "0"},  # nothing compiled: mallopt alone
}  # fmt: skip
GROUPS = {"kernels": KERNELS, "allocators": ALLOCATORS}
PACKAGES = {"jemalloc": "libjemalloc2", "mimalloc": "libmimalloc2.0"}  # Debian's and Ubuntu's


def main() -> int:
    given = _arguments()
    print(f"{machine()['hardware']}; {given.resolution} px, batch {given.batch_size}, {given.rounds} rounds")
    schedule = Schedule(given.rounds, steps=1, turn_seconds=60.0)
    results: dict[str, list[Measured]] = {}
    for network, group, compute_format in _measurements(given):
        sides = _without_missing(GROUPS[group])
        commands = {name: _command(given, network, compute_format, sides[name]) for name in sides}
        measured = take_turns(commands, schedule, images_per_step=given.batch_size, folder=ROOT)
        title = f"{network} {compute_format}"
        results[f"{title}, {group}"] = measured
        _print(title, measured)
    setting = {key: getattr(given, key) for key in ("resolution", "batch_size", "rounds")}
    sides_by_title = {title: [asdict(side) for side in measured] for title, measured in results.items()}
    write_json(given.json, {"setting": setting, "cores": len(os.sched_getaffinity(0)), "results": sides_by_title})
    return int(any(side.failure for measured in results.values() for side in measured))


def _arguments() -> argparse.Namespace:
    formats = ["float32", *(["bfloat16"] if computes_bfloat16(torch.device("cpu")) else [])]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("--networks", nargs="+", default=["mobilenet_v2", "efficientnet_b0"])
    parser.add_argument("--groups", nargs="+", choices=[*GROUPS], default=[*GROUPS])
    parser.add_argument("--formats", nargs="+", choices=["float32", "bfloat16"], default=formats)
    parser.add_argument("--allocator-formats", nargs="*", default=formats[:1], help="in which allocators are compared")
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5, help="steps of every side after its warm-up (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser.parse_args()


def _measurements(given: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """(network, group, format): a group at a time, as all its sides hold the memory of a step."""
    for network in given.networks:
        for group in given.groups:
            for compute_format in given.allocator_formats if group == "allocators" else given.formats:
                yield network, group, compute_format


def _without_missing(group: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The sides whose allocator is installed, with the file to preload in the place of its name."""
    sides = {}
    for name, environment in group.items():
        library = environment.get("LD_PRELOAD")
        file = ctypes.util.find_library(library) if library else None
        if library and file is None:
            print(f"{library} is left out: not installed (apt-get install {PACKAGES[library]}).")
            continue
        sides[name] = {**environment, **({"LD_PRELOAD": file} if file else {})}
    return sides


def _command(given: argparse.Namespace, network: str, compute_format: str, environment: Mapping[str, str]) -> Command:
    arguments = [
        sys.executable, "-m", "benchmarks._foray_train", "--network", network, "--images", str(given.batch_size),
        "--batch-size", str(given.batch_size), "--resolution", str(given.resolution), "--precision", compute_format,
    ]  # fmt: skip
    unset = dict.fromkeys(("FORAY_KERNELS", "FORAY_ALLOCATOR", "LD_PRELOAD", "MALLOC_CONF"), "")
    return Command(tuple(arguments), unset | dict(environment))


def _print(title: str, measured: Sequence[Measured]) -> None:
    """images/s and memory, each also as a ratio to the side with all on, of the same round."""
    ours = next(side for side in measured if side.name == ALL)
    print()
    for side in measured:
        if side.failure:
            print(f"{side.name} is left out. {side.failure}")
    if ours.failure:
        return
    rows = []
    for side in measured:
        if side.failure:
            continue
        slower = f"{ratios(side.rates['step'], ours.rates['step'])} x"
        memory, of_ours = "-", "-"
        if side.peak_bytes is not None and ours.peak_bytes:
            memory, of_ours = f"{side.peak_bytes / 2**20:,.0f}", f"{side.peak_bytes / ours.peak_bytes:.2f} x"
        preloaded = ", ".join(side.about["preloaded"]) or "-"
        rows.append([side.name, str(side.rate()), slower, memory, of_ours, preloaded])
    print_table([title, "images/s (quartiles)", "of all on", "step MiB", "of all on", "preloaded"], rows)


if __name__ == "__main__":
    sys.exit(main())
