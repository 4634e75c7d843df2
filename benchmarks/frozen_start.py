"""`partial` without augmentation, whose frozen blocks run once, against one that runs them in every epoch.

MobileNetV2 with its last 34 layers unfrozen, 224 px, Plant Seedlings. The peer is the same recipe with horizontal
flips: then the output of the frozen blocks is another in every epoch, and nothing can be kept. A flip costs next to
nothing. Sides take turns, each turn a `foray train` of its own; the decode cache is filled before. No target: the ratio
of seconds per epoch, and what the training takes apart from its epochs, which is mostly the frozen blocks.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks._results import machine, print_table, shared_data, write_json
from benchmarks._rounds import ratios, spread
from foray.records import RunFolder

MODEL, RECIPE, PIXELS = "mobilenet_v2", "study_mobilenet_last34", 224
SIDES = {"kept maps": "augmentation.horizontal_flip=0.0", "every epoch": "augmentation.horizontal_flip=0.5"}


@dataclass(frozen=True)
class Turn:
    """One training. `epoch_seconds`: the median of its epochs; `total_seconds`: all of it, the maps included."""

    side: str
    epoch_seconds: float
    total_seconds: float


def main() -> int:
    given = _arguments()
    missing = [str(path) for path in (given.data, given.weights) if not path.exists()]
    if missing:
        print(f"Not found: {', '.join(missing)}. Set FORAY_TEST_DATA to the folder with data/ and weights/.")
        return 2
    print(f"{machine()['hardware']}; {MODEL}, {RECIPE}, {PIXELS} px, {given.epochs} epochs a turn", flush=True)
    with tempfile.TemporaryDirectory(prefix="foray-benchmark-") as folder:
        for side in SIDES:  # fills the decode caches, builds the kernels
            _train(side, Path(folder, f"warm-{side.replace(' ', '-')}"), given, epochs=1)
        turns = [
            _train(side, Path(folder, f"{number}-{side.replace(' ', '-')}"), given, given.epochs)
            for number in range(given.rounds)
            for side in SIDES
        ]
    kept, every = ([turn for turn in turns if turn.side == side] for side in SIDES)
    times = ratios([one.epoch_seconds for one in every], [one.epoch_seconds for one in kept])
    once = [one.total_seconds - given.epochs * one.epoch_seconds for one in kept]
    print_table(
        ["side", "s per epoch", "s in all"],
        [[side, str(spread([one.epoch_seconds for one in turns if one.side == side])),
          str(spread([one.total_seconds for one in turns if one.side == side]))] for side in SIDES],
    )  # fmt: skip
    print(f"An epoch takes {times} times as long where the blocks run in it; apart from epochs {spread(once)} s.")
    write_json(given.json, {"turns": [asdict(turn) for turn in turns], "ratio": asdict(times)})
    return 0


def _train(side: str, out: Path, given: argparse.Namespace, epochs: int) -> Turn:
    command = [
        sys.executable, "-m", "foray", "train", str(given.data), "--model", MODEL, "--recipe", RECIPE, "--weights",
        str(given.weights), "--offline", "--resolution", str(PIXELS), "--set", f"epochs={epochs}", "--set", SIDES[side],
        "--seed", "0", "--out", str(out),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    [run] = out.iterdir()
    record = RunFolder(run).load()
    assert record.total_seconds is not None
    return Turn(side, statistics.median(record.seconds_per_epoch), record.total_seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=shared_data() / "data/plant_seedlings/plant_seedlings.zip")
    parser.add_argument("--weights", type=Path, default=shared_data() / "weights")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4, help="of one turn")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
