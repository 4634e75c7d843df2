"""Freed memory is kept for the next step.

glibc hands large blocks back to the operating system as soon as they are freed, so every step of a training faults its
gigabytes of activations in anew, page by page. On a virtual machine this was measured to take more than half of
MobileNetV2's step. The blocks of one step are needed again in the next, so keeping them avoids the page faults.

Two means, of which `FORAY_ALLOCATOR` names those to use (default: `arena,mallopt`; `0`: none). The first one available
is used: beside the arena `mallopt` was measured to add nothing (docs/native.md).

- `arena`: PyTorch's large tensors come from an allocator of our own (arena.cpp). What is held is the most they ever
  needed at once. It can be taken back.
- `mallopt`: glibc keeps what it is given, where there is no C++ compiler. It takes twice the memory of the arena. Its
  settings cannot be read, so they cannot be put back: only for processes of foray's own, which say so with
  `keep_for_good`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from foray.errors import require_known
from foray.progress import SILENT, Progress

if TYPE_CHECKING:
    from foray.native.library import Library

_MEANS = ("arena", "mallopt")
# <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER = -1
_GROWTH_BYTES = 64 * 2**20

_lock = threading.Lock()
_users = 0  # blocks of `kept_memory` that are open
_for_good = False


def keep_for_good() -> None:
    """From the first block of `kept_memory` on, this process keeps freed memory until it ends: it is foray's own."""
    global _for_good
    _for_good = True


@contextlib.contextmanager
def kept_memory(progress: Progress = SILENT) -> Iterator[None]:
    """Within the block memory that large tensors free is kept; at its end the operating system has it again.

    Tensors may outlive the block. Nothing happens where the C library is not glibc, without a C++ compiler, and where
    the caller has given PyTorch an allocator of its own.
    """
    global _users
    with _lock:
        if _users == 0:
            _keep(progress)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and not _for_good:
                _give_back()


@functools.cache
def arena() -> Library:
    """The library of arena.cpp. Imported late: the command line decides before torch is loaded."""
    from foray.native.library import Library

    return Library("allocator", (Path(__file__).with_name("arena.cpp"),), uses_torch=True)


def _keep(progress: Progress) -> None:
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return
    means = _chosen_means()
    if "arena" in means and arena().prepare(progress):
        library = arena().load()
        assert library is not None
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        library.arena_open(ctypes.c_size_t(memory))  # reserves addresses, not memory; on failure nothing changes
    elif "mallopt" in means and _for_good:
        mallopt = ctypes.CDLL(None).mallopt
        for name, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _GROWTH_BYTES)):
            mallopt(name, value)


def _give_back() -> None:
    if arena.cache_info().currsize and (library := arena().load()) is not None:
        library.arena_close()


def _chosen_means() -> list[str]:
    given = os.environ.get("FORAY_ALLOCATOR") or ",".join(_MEANS)
    means = [] if given == "0" else given.split(",")
    for name in means:
        require_known("FORAY_ALLOCATOR", name, (*_MEANS, "0"))
    return means
