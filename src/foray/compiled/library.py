"""Builds C++ with the machine's compiler, once, and loads it.

What is built is an acceleration and no more: without a compiler, or where the build fails, PyTorch does the work.
`FORAY_KERNELS=0` leaves all of it out.
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
from dataclasses import dataclass
from pathlib import Path

import torch

from foray.progress import Progress

# No -ffast-math: NaN and infinity must stay what they are, or a loss that is not finite would go unseen.
_FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-fno-math-errno", "-fno-trapping-math")
_TORCH = Path(torch.__file__).parent


@dataclass(frozen=True)
class Library:
    """C++ sources that become one library. `uses_torch`: they include PyTorch's own headers."""

    name: str
    sources: tuple[Path, ...]
    headers: tuple[Path, ...] = ()
    uses_torch: bool = False

    def prepare(self, progress: Progress) -> bool:
        """Builds it now rather than where it is first needed, saying so; whether it is there."""
        compiler = _compiler()
        if compiler and not self._path(compiler).exists():
            progress.note(f"Compiling {self.name} for this processor, once: some seconds.")
        return self.load() is not None

    @functools.cache  # noqa: B019 (libraries are few, and stay loaded)
    def load(self) -> ctypes.CDLL | None:
        """The library, or None where it cannot be had. The first call on a machine takes some seconds."""
        compiler = _compiler()
        if compiler is None:
            return None
        try:
            path = self._path(compiler)
            if not path.exists():
                self._build(compiler, path)
            return ctypes.CDLL(str(path))
        except (OSError, subprocess.SubprocessError):
            return None

    def _path(self, compiler: str) -> Path:
        """Its name is a digest of everything it depends on, so that it is never out of date."""
        built_with = [compiler, *_FLAGS, *self._linked(), torch.__version__, _processor()]
        digest = hashlib.sha256(" ".join(built_with).encode())
        for source in (*self.sources, *self.headers):
            digest.update(source.read_bytes())
        return _cache_directory() / f"{self.name}-{digest.hexdigest()[:16]}.so"

    def _build(self, compiler: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            built = Path(folder) / path.name
            command = [compiler, *_FLAGS, "-o", str(built), *map(str, self.sources), *self._linked()]
            subprocess.run(command, check=True, capture_output=True, timeout=300)
            built.replace(path)  # whoever builds at the same time builds the same

    def _linked(self) -> list[str]:
        """Links the OpenMP library that torch carries: with one pool of threads none waits for a core another holds."""
        linked = [str(path) for path in sorted((_TORCH / "lib").glob("libgomp*.so*"))]
        if self.uses_torch:
            linked += [f"-I{_TORCH / 'include'}", f"-L{_TORCH / 'lib'}", "-lc10"]
        return [*linked, f"-Wl,-rpath,{_TORCH / 'lib'}"]


def _compiler() -> str | None:
    if os.environ.get("FORAY_KERNELS") == "0" or platform.system() != "Linux":
        return None
    return shutil.which(os.environ.get("CXX", "c++"))


def _processor() -> str:
    """-march=native: a home directory may be shared by machines of different kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FORAY_CACHE") or Path(base) / "foray") / "compiled"
