"""Where a number was measured: hardware, versions, commit."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from pydantic import Field

from foray.records.record import Record

_PACKAGES = ("foray", "torch", "numpy", "pillow", "scikit-learn", "scipy", "safetensors", "openvino")


# Instructions that decide the speed of int8 and bfloat16, as Linux names them: x86, then ARM.
_INSTRUCTIONS = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "avx512_bf16", "amx_bf16", "avx512_fp16",
    "asimddp", "i8mm", "asimdhp", "bf16",
)  # fmt: skip


class Hardware(Record):
    """The machine: `cores` as this process may use them; `instructions` that decide the speed of int8 and
    bfloat16 (processors of one name differ in them), empty where the system does not say.
    """

    processor: str
    cores: int
    memory_bytes: int | None
    accelerator: str | None = None
    system: str
    instructions: list[str] = Field(default_factory=list)

    def label(self) -> str:
        """One line for a report."""
        memory = f", {self.memory_bytes / 2**30:.0f} GiB" if self.memory_bytes else ""
        accelerator = f", {self.accelerator}" if self.accelerator else ""
        instructions = f" ({' '.join(self.instructions)})" if self.instructions else ""
        cores = f"{self.cores} {'core' if self.cores == 1 else 'cores'}"
        return f"{self.processor}{instructions}, {cores}{memory}{accelerator}"


def hardware(accelerator: str | None = None) -> Hardware:
    """This machine; `accelerator` is the name of the device used beside the processor, if any."""
    return Hardware(
        processor=_processor(),
        cores=available_cores(),
        memory_bytes=_memory_bytes(),
        accelerator=accelerator,
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        instructions=_instructions(),
    )


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Versions of the installed packages that influence results."""
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


def _instructions() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    words = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split()}
    return [name for name in _INSTRUCTIONS if name in words]


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
