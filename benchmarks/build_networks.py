"""How long every listed network takes to be built on the meta device, and to have its MACs counted there.

The target is 0.3 s to build each. The first network is built and counted once before: torch imports what it needs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

from benchmarks._results import machine, print_table, write_json
from foray.costs import count_macs
from foray.models import build_model
from foray.specs import ArchSpec, get_spec, spec_names

TARGET_SECONDS = 0.3


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.build_networks", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="rounds over all networks; a median each (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    given = parser.parse_args()
    specs = [get_spec(name) for name in spec_names()]
    _seconds(specs[0])
    rounds = [{spec.name: _seconds(spec) for spec in specs} for _ in range(given.repeats)]
    seconds = {
        step: {spec.name: statistics.median(one_round[spec.name][at] for one_round in rounds) for spec in specs}
        for at, step in enumerate(("build", "count MACs"))
    }

    print(f"{machine()['hardware']}; {len(specs)} networks, {given.repeats} times each")
    print_table(
        ["step", "median s", "slowest s", "of", "all s"],
        [
            [
                step, f"{statistics.median(times.values()):.3f}", f"{max(times.values()):.3f}",
                max(times, key=times.__getitem__), f"{sum(times.values()):.1f}",
            ]
            for step, times in seconds.items()
        ],
    )  # fmt: skip
    met = max(seconds["build"].values()) < TARGET_SECONDS
    print(f"every network built in less than {TARGET_SECONDS} s: {'met' if met else 'missed'}")
    write_json(given.json, {"seconds": seconds, "target_seconds": TARGET_SECONDS, "met": met})
    return 0 if met else 1


def _seconds(spec: ArchSpec) -> tuple[float, float]:
    """To build the network, and to count its MACs at its own resolution."""
    began = time.perf_counter()
    with torch.device("meta"):
        network = build_model(spec).eval()
    built = time.perf_counter()
    count_macs(network, spec.resolution)
    return built - began, time.perf_counter() - built


if __name__ == "__main__":
    sys.exit(main())
