"""Which number format training computes in. Evaluation is always float32."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch

from foray.errors import ForayError
from foray.recipes import Precision

ComputeFormat = Literal["float32", "bfloat16"]
_CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86 (two ways) and Arm, as /proc/cpuinfo spells them


def resolve_device(device: str) -> torch.device:
    """`auto` is CUDA where present, else the CPU. Raises ForayError for a device this machine lacks."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ForayError(f"Unknown device {device!r}. Use auto, cpu, cuda or cuda:N.") from error
    if resolved.type not in ("cpu", "cuda"):
        raise ForayError(f"Unknown device {device!r}. Use auto, cpu, cuda or cuda:N.")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ForayError(
            f"This machine has no device {device!r}: {torch.cuda.device_count()} CUDA devices are visible."
        )
    return resolved


def training_format(precision: Precision, device: torch.device, *, deterministic: bool = False) -> ComputeFormat:
    """`auto` is bfloat16 where the hardware computes in it, else float32; a deterministic run is always float32."""
    if deterministic:
        return "float32"
    if precision != "auto":
        return precision
    return "bfloat16" if computes_bfloat16(device) else "float32"


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself; emulation would be slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(_CPU_FLAGS & _cpu_flags())


def compute_in(compute_format: ComputeFormat, device: torch.device) -> AbstractContextManager[Any]:
    """The context a forward pass runs in; parameters stay float32."""
    if compute_format == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def float32_exactly() -> Iterator[None]:
    """Convolutions in true float32: CUDA would otherwise round their inputs to TensorFloat-32 (10 bits of mantissa)."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@functools.cache
def _cpu_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    return frozenset(
        flag for key, _, value in lines if key.strip().lower() in ("flags", "features") for flag in value.split()
    )
