"""The whole training loop on small images: CIFAR-10 at 32 px against a torchvision-style DataLoader.

Both sides train foray's MobileNetV2 (its stem at stride 1) on the same images with momentum SGD, shifting by up to four
pixels and mirroring at random. The peer is float32 in NCHW, its images Pillow's, its workers a DataLoader's. Asked for:
3 x its images/s. Each side also trains on one batch that stays as it is: what the loop takes beyond that is the share
of time that is not the network.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from benchmarks._results import ROOT, machine, print_table, shared_data, write_json
from benchmarks._rounds import Command, Measured, Schedule, Spread, ratios, spread, take_turns
from tools.peers import import_peer

TARGET = 3.0
OURS, PEER = "foray", "torchvision DataLoader"
RESOLUTION = 32


def main() -> int:
    given = _arguments()
    if not given.data.exists():
        print(f"Not found: {given.data}. Set FORAY_TEST_DATA to the folder with data/ and weights/.")
        return 2
    if import_peer("torchvision") is None:
        print("torchvision is not installed (pip install --no-deps torchvision), so there is no peer to compare with.")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        folder = unpacked(given.data, Path(scratch), given.limit)
        shared = ("--network", given.network, "--folder", str(folder), "--batch-size", str(given.batch_size))
        sides = take_turns(
            {
                OURS: _side("benchmarks._foray_train", *shared),
                PEER: _side("benchmarks.peers.torchvision_train", *shared),
            },
            Schedule(given.rounds, given.steps, given.turn_seconds),
            images_per_step=given.batch_size,
            folder=ROOT,
            tasks=("step", "network"),
        )
    met = _state(given, sides)
    setting = {"network": given.network, "batch_size": given.batch_size, "rounds": given.rounds, "steps": given.steps}
    write_json(given.json, {"setting": setting, "results": [asdict(side) for side in sides], "met": met})
    return 0 if met else 1


def unpacked(archive: Path, folder: Path, limit: int) -> Path:
    """The first `limit` images of every class of train/, and of test/ one, in class folders."""
    taken: Counter[str] = Counter()
    with tarfile.open(archive) as packed:
        for member in packed:
            parent = member.name.rpartition("/")[0]
            wanted = limit if member.name.startswith("train/") else 1
            if member.isfile() and taken[parent] < wanted:
                taken[parent] += 1
                packed.extract(member, folder, filter="data")
    return folder


def outside_network(loop: list[float], network: list[float]) -> Spread:
    """Share of a loop's time that is not the network, from the images/s of both, round by round; at least 0."""
    return spread([max(0.0, 1.0 - of_loop / alone) for of_loop, alone in zip(loop, network, strict=True)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cifar_loop", description=__doc__)
    parser.add_argument("--data", type=Path, default=shared_data() / "data/cifar10/cifar10-jpeg.tar.xz")
    parser.add_argument("--network", default="mobilenet_v2")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side (default: 9)")
    parser.add_argument("--steps", type=int, default=10, help="of a turn (default: 10)")
    parser.add_argument("--turn-seconds", type=float, default=30.0, help="a slow side does fewer steps, one at least")
    parser.add_argument("--limit", type=int, default=500, help="images of a class (default: 500)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser.parse_args()


def _side(module: str, *arguments: str) -> Command:
    return Command((sys.executable, "-m", module, *arguments, "--resolution", str(RESOLUTION), "--small-images"))


def _state(given: argparse.Namespace, sides: list[Measured]) -> bool:
    """Prints the table and the verdict."""
    print(f"{machine()['hardware']}; {given.network}, {RESOLUTION} px, batch {given.batch_size}, {given.rounds} rounds")
    if failures := [side.failure for side in sides if side.failure]:
        print(*failures, sep="\n")
        return False
    ours, peer = sides
    rows = []
    for side in sides:
        share = outside_network(side.rates["step"], side.rates["network"])
        outside = f"{100 * share.median:.0f} % ({100 * share.low:.0f}-{100 * share.high:.0f})"
        memory = "-" if side.peak_bytes is None else f"{side.peak_bytes / 2**20:,.0f}"
        rows.append([side.name, str(side.rate()), str(side.rate("network")), outside, memory])
    print_table(["the loop, quartiles in brackets", "images/s", "network alone", "not the network", "step MiB"], rows)
    faster = ratios(ours.rates["step"], peer.rates["step"])
    print(f"{faster} x the peer's images/s; {TARGET:.0f} x: {'met' if faster.median >= TARGET else 'missed'}")
    if ours.peak_bytes is None or peer.peak_bytes is None:
        return faster.median >= TARGET
    leaner = ours.peak_bytes <= peer.peak_bytes
    print(f"peak memory not above the peer's: {'met' if leaner else 'missed'}")
    return leaner and faster.median >= TARGET


if __name__ == "__main__":
    sys.exit(main())
