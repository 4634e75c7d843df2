"""How long a thousand scaled networks take to be costed, and the command that chooses among them.

The peer is the analysis of the executed graph (foray.costs), on a sample of the same networks: the formulas must
give its figures. Targets: a thousand costed in less than 60 s, each command in less than 10 s.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks._results import machine, print_table, write_json
from foray.costs import count_macs, count_params, peak_inference_memory
from foray.models import build_model
from foray.records import CostProfile
from foray.scaling import scaled_cost
from foray.specs import ArchSpec, get_spec

NETWORKS, TARGET_SECONDS = 1000, 60.0
COMMAND = ("scale", "efficientnet", "--max-macs", "600M", "--max-memory", "60MB")
COMMANDS = {"along phi": COMMAND, "free": (*COMMAND, "--by", "free")}
COMMAND_TARGET_SECONDS = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--sample", type=int, default=50, help="networks the peer analyses (default: 50)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    given = parser.parse_args()
    names = _names(random.Random(0))

    began = time.perf_counter()
    costs = [scaled_cost(get_spec(name)) for name in names]
    formulas = time.perf_counter() - began
    sample = [get_spec(name) for name in names[: given.sample]]
    _analysed(sample[0])  # torch imports what it needs
    began = time.perf_counter()
    agree = all(_analysed(spec) == cost for spec, cost in zip(sample, costs, strict=False))
    graphs = (time.perf_counter() - began) / len(sample) * NETWORKS
    commands = {what: statistics.median(_seconds(command) for _ in range(3)) for what, command in COMMANDS.items()}

    print(machine()["hardware"])
    print_table(
        ["what", "s"],
        [
            [f"{NETWORKS:,} networks by formula", f"{formulas:.2f}"],
            [f"the same by their graphs, from {len(sample)} of them", f"{graphs:.1f}"],
            *([f"foray {' '.join(COMMANDS[what])}", f"{seconds:.2f}"] for what, seconds in commands.items()),
        ],
    )
    print(f"formulas and graphs agree: {'yes' if agree else 'NO'}; {graphs / formulas:.0f} x faster")
    met = agree and formulas < TARGET_SECONDS and max(commands.values()) < COMMAND_TARGET_SECONDS
    print(f"less than {TARGET_SECONDS:.0f} s and {COMMAND_TARGET_SECONDS:.0f} s: {'met' if met else 'missed'}")
    write_json(
        given.json, {"formulas_seconds": formulas, "graphs_seconds": graphs, "commands_seconds": commands, "met": met}
    )
    return 0 if met else 1


def _names(chance: random.Random) -> list[str]:
    families = ("efficientnet", "tf_efficientnet", "mobilenet_v2", "efficientnet_v2")
    return [
        f"{chance.choice(families)}@d{chance.uniform(0.4, 3):.2f},w{chance.uniform(0.25, 2):.2f},"
        f"r{chance.randrange(64, 512)}"
        for _ in range(NETWORKS)
    ]


def _analysed(spec: ArchSpec) -> CostProfile:
    with torch.device("meta"):
        network = build_model(spec).eval()
    return CostProfile(
        model=spec.name,
        resolution=spec.resolution,
        params=count_params(network),
        macs=count_macs(network, spec.resolution),
        peak_memory_bytes=peak_inference_memory(network, spec.resolution),
    )


def _seconds(command: tuple[str, ...]) -> float:
    """Of the whole process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "foray", *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
