"""Builds the kernels with the machine's C++ compiler, once, and loads them.

They are an acceleration and no more: without a compiler, or where the build fails, networks train with PyTorch's own
operators. `FORAY_KERNELS=0` leaves them out.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

from foray.progress import Progress

_SOURCES = tuple(sorted(Path(__file__).parent.glob("*.cpp")))
_HEADERS = tuple(sorted(Path(__file__).parent.glob("*.h")))
# No -ffast-math: NaN and infinity must stay what they are, or a loss that is not finite would go unseen.
_FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-fno-math-errno", "-fno-trapping-math")


def prepare_kernels(progress: Progress) -> bool:
    """Builds the kernels now rather than amid the first step, saying so; whether they are there."""
    compiler = _compiler()
    if compiler and not _library(compiler).exists():
        progress.note("Compiling kernels for this processor, once: some seconds.")
    return compiled_kernels() is not None


@functools.cache
def compiled_kernels() -> ctypes.CDLL | None:
    """The library of all kernels, or None where it cannot be had. The first call on a machine takes some seconds."""
    compiler = _compiler()
    if compiler is None:
        return None
    try:
        path = _library(compiler)
        if not path.exists():
            _build(compiler, path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError):
        return None


def _compiler() -> str | None:
    if os.environ.get("FORAY_KERNELS") == "0" or platform.system() != "Linux":
        return None
    return shutil.which(os.environ.get("CXX", "c++"))


def _library(compiler: str) -> Path:
    """Path of the library; its name is a digest of everything it depends on, so that it is never out of date."""
    digest = hashlib.sha256(" ".join([compiler, *_FLAGS, torch.__version__, _processor()]).encode())
    for source in (*_SOURCES, *_HEADERS):
        digest.update(source.read_bytes())
    return _cache_directory() / f"kernels-{digest.hexdigest()[:16]}.so"


def _build(compiler: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        built = Path(folder) / path.name
        command = [compiler, *_FLAGS, "-o", str(built), *map(str, _SOURCES), *_torch_openmp()]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        built.replace(path)  # whoever builds at the same time builds the same


def _torch_openmp() -> list[str]:
    """Links the OpenMP library that torch carries: with one pool of threads none waits for a core another one holds."""
    folder = Path(torch.__file__).parent / "lib"
    return [str(path) for path in sorted(folder.glob("libgomp*.so*"))] + [f"-Wl,-rpath,{folder}"]


def _processor() -> str:
    """-march=native: a home directory may be shared by machines of different kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FORAY_CACHE") or Path(base) / "foray") / "kernels"


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
