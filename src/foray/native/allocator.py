"""Memory that is freed is kept for the next step.

glibc hands large blocks back to the operating system as soon as they are freed, so every step of a training faults its
gigabytes of activations in anew, page by page. On a virtual machine this was measured to take more than half of
MobileNetV2's step. The blocks of one step are those of the next: kept, they are paid for once.
"""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

from foray.native.library import Library
from foray.progress import Progress

# <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER = -1
_GROWTH_BYTES = 64 * 2**20

ARENA = Library("allocator", (Path(__file__).with_name("arena.cpp"),), uses_torch=True)


def keep_freed_memory(progress: Progress) -> bool:
    """Makes this process keep freed memory until it ends; False where the C library is not glibc.

    Large tensors come from an allocator of our own where it can be compiled, and what is held is the most they ever
    needed at once. Without it glibc keeps them, with as much again lost between small blocks.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    _install_arena(progress)
    # Convolutions have workspaces that are no tensors.
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _GROWTH_BYTES))
    return all(mallopt(name, value) == 1 for name, value in settings)


def _install_arena(progress: Progress) -> None:
    if not ARENA.prepare(progress):
        return
    library = ARENA.load()
    assert library is not None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    library.arena_install(ctypes.c_size_t(memory))  # addresses, not memory; where they are refused all stays as it was
