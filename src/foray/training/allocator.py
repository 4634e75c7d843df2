"""Memory that is freed is kept for the next step.

glibc hands large blocks back to the operating system as soon as they are freed, so every step of a training faults its
gigabytes of activations in anew, page by page. On a virtual machine this was measured to take more than half of
MobileNetV2's step. The blocks of one step are those of the next: kept, they are paid for once.
"""

from __future__ import annotations

import ctypes
import platform

# <malloc.h>
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER = -1
_GROWTH_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Makes this process keep freed memory until it ends; False where the C library is not glibc.

    What it holds is the most it ever needed at once, and fragmentation: some hundred megabytes for a training step.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _GROWTH_BYTES))
    return all(mallopt(name, value) == 1 for name, value in settings)
