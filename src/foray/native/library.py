"""Builds C++ with the machine's compiler, once, and loads it.

The kernels are optional: without a compiler, or where the build fails, PyTorch's operators are used.
`FORAY_KERNELS=0` leaves all of it out. The compiler may be slow, but not hang, and leaves no file behind. A damaged
library would end the process that loads it: the name of its file therefore holds a digest of its bytes, which is
checked first, and a library that does not match is built anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from foray.cache_folder import cache_directory
from foray.errors import ForayError
from foray.progress import Progress
from foray.records import scratch_folder, write_bytes

# No -ffast-math: NaN and infinity must stay what they are, or a loss that is not finite would go unseen.
_FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-fno-math-errno", "-fno-trapping-math")
_TORCH = Path(torch.__file__).parent
_FOLDER = "compiled"  # in the cache
IDLE_SECONDS = 10.0  # idle time after which the compiler is considered hung
MOST_SECONDS = 120.0  # however busy it is
_POLL_SECONDS = 0.1


class CompilerError(Exception):
    """The compiler failed, was killed, or hangs."""


@dataclass(frozen=True)
class Library:
    """C++ sources that become one library. `uses_torch`: they include PyTorch's own headers."""

    name: str
    sources: tuple[Path, ...]
    headers: tuple[Path, ...] = ()
    uses_torch: bool = False

    def prepare(self, progress: Progress) -> bool:
        """Builds it now instead of at first use, with a note; returns whether it is available."""
        compiler = _compiler()
        if compiler and self._built(compiler) is None:
            progress.note(f"Compiling {self.name} for this processor, once: some seconds.")
        library = self.load()
        if compiler and library is None:
            progress.note(f"{self.name} could not be built: PyTorch's own operators are used, which are slower.")
        return library is not None

    @functools.cache  # noqa: B019 (libraries are few, and stay loaded)
    def load(self) -> ctypes.CDLL | None:
        """The library, or None where it cannot be built. The first call on a machine takes some seconds."""
        compiler = _compiler()
        if compiler is None:
            return None
        try:
            return ctypes.CDLL(str(self._built(compiler) or self._build(compiler)))
        except (OSError, ForayError, CompilerError):
            return None

    def _key(self, compiler: str) -> str:
        """A digest of everything that the library depends on, so that it is never out of date."""
        built_with = [compiler, *_FLAGS, *self._linked(), torch.__version__, _processor()]
        digest = hashlib.sha256(" ".join(built_with).encode())
        for source in (*self.sources, *self.headers):
            digest.update(source.read_bytes())
        return digest.hexdigest()[:16]

    def _built(self, compiler: str) -> Path | None:
        """The intact library that an earlier process built, if any."""
        try:
            folder = cache_directory() / _FOLDER
            found = sorted(folder.glob(f"{self.name}-{self._key(compiler)}-*.so"))
            return next((path for path in found if _is_intact(path)), None)
        except (OSError, ForayError):
            return None

    def _build(self, compiler: str) -> Path:
        """Compiles it into the cache. Raises OSError, ForayError or CompilerError."""
        cache = cache_directory() / _FOLDER
        with scratch_folder("build", cache) as folder:
            fresh = folder / "library.so"
            compile_in(folder, [compiler, *_FLAGS, "-o", str(fresh), *map(str, self.sources), *self._linked()])
            content = fresh.read_bytes()
        name = f"{self.name}-{self._key(compiler)}"
        path = cache / f"{name}-{_digest(content)}.so"
        for there in cache.glob(f"{name}-*.so"):
            if not _is_intact(there):
                there.unlink(missing_ok=True)
        write_bytes(path, content)
        return path

    def _linked(self) -> list[str]:
        """Links the OpenMP library of torch, so that both share one thread pool."""
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


def _is_intact(path: Path) -> bool:
    return path.is_file() and path.stem.endswith(_digest(path.read_bytes()))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def compile_in(
    folder: Path, command: Sequence[str], *, idle_seconds: float = IDLE_SECONDS, most_seconds: float = MOST_SECONDS
) -> None:
    """Runs `command`, whose temporary files go to `folder`, and ends all processes that it started.

    Raises CompilerError when it does not end with status 0, uses no processor for `idle_seconds`, or takes longer than
    `most_seconds`; OSError when it cannot be started.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,  # a process group of its own: what the compiler starts is ended with it
    )
    try:
        status = _wait(process, idle_seconds, most_seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if status != 0:
        raise CompilerError(f"{command[0]} ended with status {status}")


def _wait(process: subprocess.Popen[bytes], idle_seconds: float, most_seconds: float) -> int:
    started = worked = time.monotonic()
    used = 0.0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_SECONDS)
        now = time.monotonic()
        if (seconds := _processor_seconds(process.pid)) != used:
            used, worked = seconds, now
        if now - worked > idle_seconds or now - started > most_seconds:
            raise CompilerError("the compiler does not end")


def _processor_seconds(group: int) -> float:
    """Seconds that the processes of a process group and their ended children have used so far (Linux)."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # ended meanwhile
            # proc(5): after the name, which may hold blanks, come state, ppid, pgrp, ... utime, stime, cutime, cstime.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += sum(int(value) for value in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")
