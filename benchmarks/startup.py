"""How long a person waits for `foray --help`, and that `import foray` loads no torch.

The target is a median below 0.4 s; a bare interpreter stands beside it as the floor.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks._results import machine, print_table, write_json

TARGET_SECONDS = 0.4
HEAVY = ("torch", "numpy", "pydantic", "sklearn")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--repeats", type=int, default=10, help="timed starts of each command (default: 10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    given = parser.parse_args()
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import foray": [sys.executable, "-c", "import foray"],
        "foray --help": [str(Path(sys.executable).with_name("foray")), "--help"],
    }
    for command in commands.values():
        _seconds(command)  # compiles and caches what is compiled and cached once
    # Turn by turn, so that a busy moment of the machine hits all of them.
    turns = [{name: _seconds(command) for name, command in commands.items()} for _ in range(given.repeats)]
    seconds = {name: [turn[name] for turn in turns] for name in commands}
    loaded = _loaded_by_import()

    print(f"{machine()['hardware']}; {given.repeats} starts each")
    print_table(
        ["command", "median s", "lowest s", "highest s"],
        [[name, *(f"{f(times):.3f}" for f in (statistics.median, min, max))] for name, times in seconds.items()],
    )
    met = statistics.median(seconds["foray --help"]) < TARGET_SECONDS
    print(f"foray --help below {TARGET_SECONDS} s: {'met' if met else 'missed'}")
    print(f"import foray loads: {', '.join(loaded) or 'none of ' + ', '.join(HEAVY)}")
    write_json(given.json, {"seconds": seconds, "target_seconds": TARGET_SECONDS, "met": met, "import_loads": loaded})
    return 0 if met and "torch" not in loaded else 1


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _loaded_by_import() -> list[str]:
    code = f"import foray, sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


if __name__ == "__main__":
    sys.exit(main())
