"""A full training step, its data included, against Keras and timm: 224 px, batch 32, the same images on every side.

Every side decodes and resizes the images once before, crops and flips them at random, and trains with momentum SGD.
Asked for: 2.5 x (MobileNetV2) and 1.8 x (EfficientNet-B0) the images/s of Keras, 1.3 x those of timm's own step and
loader at their best flags, and a peak memory not above theirs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks._results import ROOT, keras_python, machine, print_table, shared_data, write_json
from benchmarks._rounds import Command, Measured, Schedule, ratios, take_turns
from foray.records import available_cores
from foray.specs import get_spec
from tools.peers import import_peer

KERAS_TARGETS = {"mobilenet_v2": 2.5, "efficientnet_b0": 1.8}
TIMM_TARGET = 1.3
OURS, KERAS = "foray", "Keras"
# name: flags. Those with foray's batches show what the network alone gains; they are not timm's own step.
TIMM = {
    "timm float32": (),
    "timm bf16": ("--precision", "bfloat16"),
    "timm float32, compiled": ("--compile",),
    "timm bf16, compiled": ("--precision", "bfloat16", "--compile"),
    "timm float32, our batches": ("--data", "ours"),
    "timm bf16, our batches": ("--data", "ours", "--precision", "bfloat16"),
}


def main() -> int:
    given = _arguments()
    if not given.data.exists():
        print(f"Not found: {given.data}. Set FORAY_TEST_DATA to the folder with data/ and weights/.")
        return 2
    if import_peer("timm") is None:
        print("timm is not installed (pip install --no-deps timm torchvision), so there is no peer to compare with.")
        return 2
    schedule = Schedule(given.rounds, given.steps, given.turn_seconds)
    results: dict[str, list[Measured]] = {}
    verdicts: dict[str, bool] = {}
    print(f"{machine()['hardware']}; {given.resolution} px, batch {given.batch_size}, {given.rounds} rounds")
    with tempfile.TemporaryDirectory() as scratch:
        folder = unpacked(given.data, Path(scratch), given.limit)
        for network in given.networks:
            commands = _commands(given, network, folder)
            results[network] = take_turns(commands, schedule, images_per_step=given.batch_size, folder=ROOT)
            verdicts |= _state(network, results[network])
    if not given.keras_python.exists():
        print(f"No Python with Keras at {given.keras_python}: its side did not run (see benchmarks/README.md).")
    measured = {network: [asdict(side) for side in sides] for network, sides in results.items()}
    write_json(given.json, {"setting": _setting(given), "results": measured, "met": verdicts})
    if not verdicts:
        print("No peer ran, so there is nothing to say.")
        return 2
    return 0 if all(verdicts.values()) else 1


def unpacked(data: Path, folder: Path, limit: int) -> Path:
    """The first `limit` images of every class of the zip's train/, and of its other splits one, in class folders."""
    taken: dict[str, int] = {}
    with zipfile.ZipFile(data) as archive:
        for name in sorted(archive.namelist()):
            parent = name.rpartition("/")[0]
            wanted = limit if name.startswith("train/") else 1
            if not name.endswith("/") and taken.get(parent, 0) < wanted:
                taken[parent] = taken.get(parent, 0) + 1
                archive.extract(name, folder)
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_step", description=__doc__)
    parser.add_argument("--data", type=Path, default=shared_data() / "data/plant_seedlings/plant_seedlings.zip")
    parser.add_argument("--keras-python", type=Path, default=keras_python(), help="a Python that has tensorflow-cpu")
    parser.add_argument("--networks", nargs="+", choices=[*KERAS_TARGETS], default=[*KERAS_TARGETS])
    parser.add_argument("--peers", nargs="*", choices=[KERAS, *TIMM], default=[KERAS, *TIMM])
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9, help="turns of every side (default: 9)")
    parser.add_argument("--steps", type=int, default=4, help="of a turn (default: 4)")
    parser.add_argument("--turn-seconds", type=float, default=20.0, help="a slow side does fewer steps, one at least")
    parser.add_argument("--compile-seconds", type=float, default=600.0, help="what a compiled first step may take")
    parser.add_argument("--limit", type=int, default=40, help="images of a class (default: 40)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser.parse_args()


def _setting(given: argparse.Namespace) -> dict[str, object]:
    kept = ("resolution", "batch_size", "rounds", "steps", "limit")
    return {key: getattr(given, key) for key in kept} | {"cores": available_cores()}


def _commands(given: argparse.Namespace, network: str, folder: Path) -> dict[str, Command]:
    shared = ["--network", network, "--folder", str(folder), "--batch-size", str(given.batch_size)]
    shared += ["--resolution", str(given.resolution)]
    preprocessing = replace(get_spec(network).preprocessing, resolution=given.resolution)
    peers = [*shared, "--resize-side", str(preprocessing.resize_side)]
    commands = {OURS: Command((sys.executable, "-m", "benchmarks._foray_train", *shared))}
    if KERAS in given.peers and given.keras_python.exists():
        commands[KERAS] = Command((str(given.keras_python), "-m", "benchmarks.peers.keras_train", *peers))
    for name in given.peers:
        if name in TIMM:
            command = (sys.executable, "-m", "benchmarks.peers.timm_train", *peers, *TIMM[name])
            commands[name] = Command(command, first_limit_seconds=given.compile_seconds)
    return commands


def _state(network: str, sides: Sequence[Measured]) -> dict[str, bool]:
    """Prints a network's table and verdicts; returns the verdicts that could be reached."""
    ours = next(side for side in sides if side.name == OURS)
    print()
    if ours.failure:
        print(f"{network}: {ours.failure}")
        return {f"{network} trains": False}
    print_table([network, "images/s (quartiles)", "ours / its", "step MiB", "first step s"], _rows(ours, sides))
    for side in sides:
        if side.failure:
            print(f"{side.name} is left out. {side.failure}")
    verdicts = {}
    for peer, target in _opponents(network, sides):
        faster = ratios(ours.rates["step"], peer.rates["step"])
        verdicts[f"{network} {target} x {peer.name}"] = faster.median >= target
        if ours.peak_bytes is not None and peer.peak_bytes is not None:
            verdicts[f"{network} memory of {peer.name}"] = ours.peak_bytes <= peer.peak_bytes
    for what, met in verdicts.items():
        print(f"{what}: {'met' if met else 'missed'}")
    return verdicts


def _rows(ours: Measured, sides: Sequence[Measured]) -> list[list[str]]:
    return [
        [
            side.name,
            str(side.rate()),
            f"{ratios(ours.rates['step'], side.rates['step'])} x",
            "-" if side.peak_bytes is None else f"{side.peak_bytes / 2**20:,.0f}",
            f"{side.first_step_seconds:.1f}",
        ]
        for side in sides
        if not side.failure
    ]


def _opponents(network: str, sides: Sequence[Measured]) -> list[tuple[Measured, float]]:
    """Keras, and the fastest of timm's own sides, with what is asked for against each."""
    ran = {side.name: side for side in sides if not side.failure}
    own = [side for name, side in ran.items() if name in TIMM and "ours" not in TIMM[name]]
    found = [(ran[KERAS], KERAS_TARGETS[network])] if KERAS in ran else []
    return found + [(side, TIMM_TARGET) for side in sorted(own, key=lambda side: -side.rate().median)[:1]]


if __name__ == "__main__":
    sys.exit(main())
