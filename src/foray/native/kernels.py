"""The kernels, and what is handed to them."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch

from foray.native.library import Library

_FOLDER = Path(__file__).parent
KERNELS = Library(
    "kernels", (_FOLDER / "depthwise.cpp", _FOLDER / "norm_activation.cpp"), (_FOLDER / "number_formats.h",)
)


def compiled_kernels() -> ctypes.CDLL | None:
    """The library of all kernels, or None where it cannot be had. The first call on a machine takes some seconds."""
    return KERNELS.load()


def address(tensor: torch.Tensor | None) -> ctypes.c_void_p:
    """Where the numbers of `tensor` lie; None: nowhere."""
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)


def number_format(dtype: torch.dtype) -> int | None:
    """How the kernels name a format (number_formats.h); None: they do not know it."""
    return {torch.float32: 0, torch.bfloat16: 1}.get(dtype)


def is_recorded() -> bool:
    """Whether PyTorch traces, exports or compiles what is computed: a call into the library would not be seen."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing or torch.compiler.is_compiling()
