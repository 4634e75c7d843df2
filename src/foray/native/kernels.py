"""The kernels, which of them are used, and what is handed to them.

`FORAY_KERNELS` names those to use (default: `depthwise,norm_activation,recomputation`; `none`). With `0` no C++ is
compiled at all, that of the allocator neither.
"""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

import torch

from foray.errors import require_known
from foray.native.library import Library
from foray.progress import Progress

_FOLDER = Path(__file__).parent
KERNELS = Library(
    "kernels", (_FOLDER / "depthwise.cpp", _FOLDER / "norm_activation.cpp"), (_FOLDER / "number_formats.h",)
)


_NAMES = ("depthwise", "norm_activation", "recomputation")  # the last where norm_activation is used


def prepare_kernels(progress: Progress) -> bool:
    """Builds them now, saying so, rather than in the first step; whether they are there.

    Raises UnknownNameError for a name in `FORAY_KERNELS` that is no kernel's.
    """
    return bool(_chosen()) and KERNELS.prepare(progress)


def is_chosen(name: str) -> bool:
    """Whether `FORAY_KERNELS` leaves the kernel on; it is read once."""
    return name in _chosen()


@functools.cache
def _chosen() -> frozenset[str]:
    given = os.environ.get("FORAY_KERNELS") or ",".join(_NAMES)
    if given in ("0", "none"):
        return frozenset()
    if given == "1":
        return frozenset(_NAMES)
    chosen = frozenset(given.split(","))
    for name in chosen:
        require_known("FORAY_KERNELS", name, (*_NAMES, "none", "0"))
    return chosen


def compiled_kernels() -> ctypes.CDLL | None:
    """The library of all kernels, or None where it cannot be built. The first call on a machine takes some seconds."""
    return KERNELS.load()


def address(tensor: torch.Tensor | None) -> ctypes.c_void_p:
    """Address of the data of `tensor`; None: null pointer."""
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)


def number_format(dtype: torch.dtype) -> int | None:
    """The kernels' code of a number format (number_formats.h); None: not supported."""
    return {torch.float32: 0, torch.bfloat16: 1}.get(dtype)


def is_recorded() -> bool:
    """Whether PyTorch traces, exports or compiles what is computed: a call into the library would not be seen."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing or torch.compiler.is_compiling()
