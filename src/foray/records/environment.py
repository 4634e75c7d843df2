"""Where a number was measured: hardware, versions, commit. Standard library only."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from foray.records.record import Record

_PACKAGES = ("foray", "torch", "numpy", "pillow", "scikit-learn", "scipy", "safetensors", "openvino")


class Hardware(Record):
    """The machine: `cores` as this process may use them."""

    processor: str
    cores: int
    memory_bytes: int | None
    accelerator: str | None = None
    system: str

    def label(self) -> str:
        """One line for a report."""
        memory = f", {self.memory_bytes / 2**30:.0f} GiB" if self.memory_bytes else ""
        accelerator = f", {self.accelerator}" if self.accelerator else ""
        return f"{self.processor}, {self.cores} {'core' if self.cores == 1 else 'cores'}{memory}{accelerator}"


def hardware(accelerator: str | None = None) -> Hardware:
    """This machine; `accelerator` is the name of the device used beside the processor, if any."""
    return Hardware(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        accelerator=accelerator,
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    )


def versions() -> dict[str, str]:
    """Versions of the installed packages that can change a number."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def commit() -> str | None:
    """Commit of the foray checkout this code runs from; None when it is an installed package."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
