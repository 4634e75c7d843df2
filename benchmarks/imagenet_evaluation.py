"""ImageNet evaluation, JPEG file to top-1, against timm's validate loop: the 1000 sample images, the same weights.

Asked for: 3 x the images/s of timm's loop at its best flags; decoding and network overlapped, at 95 % or more of the
slower of the two alone. Two threads that compute on one core each show that: foray with one thread that decodes and one
that runs the network. With all cores for both (foray's default) no core may idle, so the rate is held against the one
at which both, alone, would take all cores in turn: 1 / (1 / decode + 1 / network).
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks._results import ROOT, machine, print_table, shared_data, write_json
from benchmarks._rounds import Command, Measured, Schedule, ratios, spread, take_turns
from tools.peers import import_peer

TARGET = 3.0
OVERLAP_TARGET = 0.95
# Of a resized long side timm cuts the fraction off where foray rounds: half of all images are a pixel longer here.
LARGEST_DISAGREEMENT = 0.02
WEIGHTS = {"mobilenet_v2": "mobilenetv2_100.tf_in1k", "efficientnet_v2_b0": "tf_efficientnetv2_b0.in1k"}
OURS, SPLIT = "foray", "foray, 1 thread + 1"
TIMM = {
    "timm": (),
    "timm channels-last": ("--channels-last",),
    "timm batch 32": ("--batch-size", "32"),
    "timm channels-last, batch 32": ("--channels-last", "--batch-size", "32"),
    "timm channels-last, batch 32, 2 workers": ("--channels-last", "--batch-size", "32", "--workers", "2"),
    "timm channels-last, batch 32, compiled": ("--channels-last", "--batch-size", "32", "--compile"),
}


def main() -> int:
    given = _arguments()
    if not given.data.is_dir() or not given.weights.is_dir():
        print(f"Not found: {given.data} or {given.weights}. Set FORAY_TEST_DATA to the folder with data/ and weights/.")
        return 2
    if import_peer("timm") is None:
        print("timm is not installed (pip install --no-deps timm torchvision), so there is no peer to compare with.")
        return 2
    schedule = Schedule(given.rounds, steps=1, turn_seconds=given.turn_seconds)
    verdicts: dict[str, bool] = {}
    results: dict[str, list[dict[str, object]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = class_folders(given.data, Path(scratch), given.images)
        n = sum(1 for _ in folder.glob("*/*"))
        print(f"{machine()['hardware']}; {n} images, {given.rounds} rounds")
        for network in given.networks:
            ours, peers = _commands(given, network, folder)
            turns = {"images_per_step": n, "folder": ROOT}
            sides = take_turns({OURS: ours[OURS], **peers}, schedule, **turns, tasks=("evaluate",))
            halves = take_turns(ours, schedule, **turns, tasks=("evaluate", "decode", "network"))
            verdicts |= _state_speed(network, sides) | _state_overlap(network, halves)
            results[network] = [_without_predictions(side) for side in (*sides, *halves)]
    write_json(given.json, {"images": n, "rounds": given.rounds, "results": results, "met": verdicts})
    return 0 if all(verdicts.values()) else 1


def class_folders(data: Path, folder: Path, n: int) -> Path:
    """`n` of the images, evenly from first to last, in folders named by WordNet id, and labels.csv for foray."""
    with (data / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    taken = rows[:: max(1, len(rows) // n)][:n]
    with zipfile.ZipFile(next(data.glob("*.zip"))) as archive:
        for row in taken:
            (folder / row["wordnet_id"]).mkdir(exist_ok=True)
            (folder / row["wordnet_id"] / row["filename"]).write_bytes(archive.read(row["filename"]))
    lines = [f"{row['filename']},{row['class_index']}" for row in taken]
    (folder / "labels.csv").write_text("\n".join(["filename,class_index", *lines]) + "\n")
    return folder


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imagenet_evaluation", description=__doc__)
    parser.add_argument("--data", type=Path, default=shared_data() / "data/imagenet_sample_1000")
    parser.add_argument("--weights", type=Path, default=shared_data() / "weights")
    parser.add_argument("--networks", nargs="+", choices=[*WEIGHTS], default=[*WEIGHTS])
    parser.add_argument("--peers", nargs="*", choices=[*TIMM], default=[*TIMM])
    parser.add_argument("--images", type=int, default=1000, help="of a turn (default: all 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every side (default: 5)")
    parser.add_argument("--turn-seconds", type=float, default=600.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser.parse_args()


def _commands(given: argparse.Namespace, network: str, folder: Path) -> tuple[dict[str, Command], dict[str, Command]]:
    weights = str(given.weights / WEIGHTS[network])
    shared = ("--weights", weights, "--folder", str(folder))
    own = (sys.executable, "-m", "benchmarks._foray_validate", "--network", network, *shared)
    ours = {OURS: Command(own), SPLIT: Command((*own, "--threads", "1", "--workers", "1"))}
    peers = {
        name: Command((sys.executable, "-m", "benchmarks.peers.timm_validate", *shared, *TIMM[name]))
        for name in given.peers
    }
    return ours, peers


def _state_speed(network: str, sides: Sequence[Measured]) -> dict[str, bool]:
    """Prints images/s of every side and how often its predictions are ours."""
    ours, peers = sides[0], [side for side in sides[1:] if not side.failure]
    for side in sides:
        if side.failure:
            print(f"{side.name} is left out. {side.failure}")
    if ours.failure or not peers:
        return {f"{network} runs beside a peer": False}
    same = {side.name: _same_predictions(ours, side) for side in peers}
    rows = [[OURS, str(ours.rate("evaluate")), "", ""]]
    for side in peers:
        faster = ratios(ours.rates["evaluate"], side.rates["evaluate"])
        rows.append([side.name, str(side.rate("evaluate")), f"{faster} x", f"{100 * same[side.name]:.1f} %"])
    print()
    print_table([network, "images/s (quartiles)", "ours / its", "same top-1"], rows)
    best = max(peers, key=lambda side: side.rate("evaluate").median)
    faster = ratios(ours.rates["evaluate"], best.rates["evaluate"])
    return _told(
        {
            f"{network} {TARGET} x {best.name}": faster.median >= TARGET,
            f"{network} predictions": min(same.values()) >= 1 - LARGEST_DISAGREEMENT,
        }
    )


def _state_overlap(network: str, sides: Sequence[Measured]) -> dict[str, bool]:
    """Prints decoding and network, each alone, beside both at once."""
    verdicts = {}
    rows = []
    for side in sides:
        if side.failure:
            print(f"{side.name} is left out. {side.failure}")
            return {f"{network} overlaps": False}
        pairs = list(zip(side.rates["decode"], side.rates["network"], strict=True))
        slower = [min(pair) for pair in pairs]
        both = [1 / (1 / decode + 1 / rest) for decode, rest in pairs]
        reached = ratios(side.rates["evaluate"], slower if side.name == SPLIT else both)
        rates = [str(side.rate(task)) for task in ("decode", "network", "evaluate")]
        bound = str(spread(slower if side.name == SPLIT else both))
        rows.append([side.name, *rates, bound, f"{100 * reached.median:.0f} %"])
        verdicts[f"{network} overlap of {side.name}"] = reached.median >= OVERLAP_TARGET
    print()
    print_table([f"{network}, images/s", "decode alone", "network alone", "both", "bound", "of the bound"], rows)
    return _told(verdicts)


def _told(verdicts: dict[str, bool]) -> dict[str, bool]:
    for what, met in verdicts.items():
        print(f"{what}: {'met' if met else 'missed'}")
    return verdicts


def _same_predictions(ours: Measured, theirs: Measured) -> float:
    mine, others = ours.about["top1"], theirs.about["top1"]
    return sum(mine[name] == label for name, label in others.items()) / len(others)


def _without_predictions(side: Measured) -> dict[str, object]:
    return {**asdict(side), "about": {key: value for key, value in side.about.items() if key != "top1"}}


if __name__ == "__main__":
    sys.exit(main())
