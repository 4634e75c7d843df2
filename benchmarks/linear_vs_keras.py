"""`foray train --protocol linear` against Keras: MobileNetV2 at 224 px on Plant Seedlings, from process start.

Both sides start from the same zip and the same ImageNet weights, resize the short side to 256 pixels (bilinear), crop
224 from the centre, scale to [-1, 1], keep the backbone in inference mode, train a head for the same number of epochs
with RMSProp 1e-3 at batch 32, look at val after every epoch and score test once. Both include imports, unpacking and
decoding; foray starts with empty caches.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks._results import keras_python, machine, print_table, shared_data, write_json

TARGET_RATIO = 10.0
TARGET_LOSS = 0.005  # test top-1
PEER = Path(__file__).with_name("peers") / "keras_linear.py"
NO_KERAS = """No Python with Keras: the peer did not run, so there is no ratio. Make one and name it:
    python3 -m venv .venv-keras && .venv-keras/bin/pip install tensorflow-cpu pillow
    python -m benchmarks.linear_vs_keras --keras-python .venv-keras/bin/python"""


@dataclass(frozen=True)
class Result:
    """One side. `seconds`: wall time of every repeat, from process start to its end."""

    name: str
    seconds: list[float]
    test_top1: float
    details: dict[str, Any]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def main() -> int:
    given = _arguments()
    missing = [str(path) for path in (given.data, given.weights, given.keras_weights) if not path.exists()]
    if missing:
        print(f"Not found: {', '.join(missing)}. Set FORAY_TEST_DATA to the folder with data/ and weights/.")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        data = _limited(given.data, given.limit, Path(scratch) / "limited.zip") if given.limit else given.data
        ours = _foray(given, data)
        peers = [_keras(given, mode, data) for mode in given.peers] if given.keras_python.exists() else []
    met = _state(given, ours, peers)
    results = {"epochs": given.epochs, "limit": given.limit, "results": [asdict(r) for r in [ours, *peers]], "met": met}
    write_json(given.json, results)
    return 0 if met is not False else 1


def _arguments() -> argparse.Namespace:
    weights = shared_data() / "weights"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.linear_vs_keras", description=__doc__)
    parser.add_argument("--data", type=Path, default=shared_data() / "data/plant_seedlings/plant_seedlings.zip")
    parser.add_argument("--weights", type=Path, default=weights, help="for foray: timm layout")
    parser.add_argument("--keras-weights", type=Path, default=weights / "mobilenet_v2.keras_applications.weights.h5")
    parser.add_argument("--keras-python", type=Path, default=keras_python(), help="a Python that has tensorflow-cpu")
    parser.add_argument("--peers", nargs="*", choices=["images", "features"], default=["images", "features"])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=1, help="runs of foray, each with empty caches (median counts)")
    parser.add_argument("--limit", type=int, help="only so many images of a class in a split: to try the script")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    return parser.parse_args()


def _limited(data: Path, limit: int, path: Path) -> Path:
    """A zip with the first `limit` images of every class of every split."""
    taken: Counter[str] = Counter()
    with zipfile.ZipFile(data) as whole, zipfile.ZipFile(path, "w") as part:
        for name in sorted(whole.namelist()):
            folder = name.rpartition("/")[0]
            if not name.endswith("/") and taken[folder] < limit:
                taken[folder] += 1
                part.writestr(name, whole.read(name))
    return path


def _foray(given: argparse.Namespace, data: Path) -> Result:
    subprocess.run([sys.executable, "-c", "import torch, foray.training"], check=True)  # modules into the disk cache
    seconds, record = [], {}
    for _ in range(given.repeats):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "runs"
            command = [
                sys.executable, "-m", "foray", "train", str(data), "--model", "mobilenet_v2", "--protocol", "linear",
                "--weights", str(given.weights), "--epochs", str(given.epochs), "--out", str(out),
            ]  # fmt: skip
            took, _ = _run(command, {"FORAY_CACHE": str(Path(folder) / "cache")})
            (path,) = out.rglob("record.json")
            record = json.loads(path.read_text(encoding="utf-8"))
            seconds.append(took)
    kept = ("train_precision", "feature_engine", "total_seconds", "threads", "versions")
    return Result("foray", seconds, record["metrics"]["test"]["top1"]["value"], {key: record[key] for key in kept})


def _keras(given: argparse.Namespace, mode: str, data: Path) -> Result:
    python = str(given.keras_python)
    subprocess.run([python, "-c", "import tensorflow, keras"], check=True, stderr=subprocess.DEVNULL)
    command = [
        python, str(PEER), mode, "--data", str(data), "--weights", str(given.keras_weights),
        "--epochs", str(given.epochs),
    ]  # fmt: skip
    took, printed = _run(command, {})
    details = json.loads(printed.splitlines()[-1])
    return Result(f"Keras, {mode} cached", [took], details.pop("test_top1"), details)


def _run(command: list[str], environment: dict[str, str]) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(
            f"{' '.join(command)}\nended with status {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
    return took, done.stdout


def _state(given: argparse.Namespace, ours: Result, peers: list[Result]) -> bool | None:
    """Prints the table and the verdict; None when nothing can be said (no peer, or a limited run)."""
    print(f"{machine()['hardware']}; {given.epochs} epochs; foray's features by {ours.details['feature_engine']}")
    rows = [
        [r.name, f"{r.median:.1f}", f"{100 * r.test_top1:.1f}", f"{r.median / ours.median:.1f} x"]
        for r in [ours, *peers]
    ]
    print_table(["from process start", "wall s", "test top-1 %", "time / foray's"], rows)
    if not given.keras_python.exists():
        print(NO_KERAS)
    on_images = next((peer for peer in peers if peer.details["mode"] == "images"), None)
    if on_images is None or given.limit:
        return None
    fast = on_images.median / ours.median >= TARGET_RATIO
    accurate = ours.test_top1 >= on_images.test_top1 - TARGET_LOSS
    print(f"{TARGET_RATIO:.0f} x faster than Keras with cached images: {'met' if fast else 'missed'}")
    print(f"at most {100 * TARGET_LOSS} points below its test top-1: {'met' if accurate else 'missed'}")
    return fast and accurate


if __name__ == "__main__":
    sys.exit(main())
