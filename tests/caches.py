"""Cache folders of tests. Decoded images are each folder's own; what is shared is made once for the whole test run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

_SHARED = "FORAY_TESTS_SHARED_CACHE"  # inherited by the processes among which pytest-xdist deals the tests


def share_compiled_libraries(*, builds: bool) -> None:
    """Names the folder of compiled libraries for this process and those it starts; `builds` them before any asks."""
    os.environ[_SHARED] = os.environ["FORAY_CACHE"] = tempfile.mkdtemp(prefix="foray-tests-")
    if builds:
        from foray.native.allocator import arena
        from foray.native.kernels import KERNELS

        KERNELS.load()
        arena().load()


def remove_shared_libraries() -> None:
    """At the end of the test run."""
    shutil.rmtree(os.environ.pop(_SHARED))


def new_cache(folder: Path) -> Path:
    """`folder`, made if need be, as a cache that nothing was decoded into but whose libraries are compiled."""
    folder.mkdir(exist_ok=True)
    libraries, shared = folder / "compiled", Path(os.environ[_SHARED]) / "compiled"
    shared.mkdir(exist_ok=True)
    if not libraries.is_symlink():
        libraries.symlink_to(shared, target_is_directory=True)
    return folder


@contextmanager
def made_once(name: str) -> Iterator[Path]:
    """A file or folder of the whole test run. Whoever finds it missing makes it here, while other processes wait."""
    path = Path(os.environ[_SHARED]) / name
    with FileLock(path.with_suffix(".lock")):
        yield path
