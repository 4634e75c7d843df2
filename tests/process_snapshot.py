"""What a process shares among all code in it, to be compared before and after a call."""

from __future__ import annotations

import ctypes
import decimal
import gc
import locale
import logging
import multiprocessing
import os
import random
import resource
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from PIL import Image, ImageFile

# Of OpenMP libraries, set by scikit-learn when it is imported: they are loaded, and read these.
STAYS = {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}
_RESOURCES = (resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_STACK)


def snapshot() -> dict[str, Any]:
    """By name; equal where nothing has changed."""
    return {**_of_python(), **_of_torch(), **_of_libraries(), **_of_logging()}


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """One line for everything that is not as it was. What was not there before (a new logger) is no change."""
    return [f"{name}: {before[name]!r} -> {after[name]!r}"[:2000] for name in before if after[name] != before[name]]


def resident_mib() -> int:
    """The resident set of this process (Linux)."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) // 1024


def _of_python() -> dict[str, Any]:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "environment": {name: value for name, value in os.environ.items() if name not in STAYS},
        "current folder": Path.cwd(),
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "random": random.getstate(),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "modules that cannot be imported": {name for name, module in sys.modules.items() if module is None},
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "hooks": (sys.excepthook, sys.displayhook, threading.excepthook, sys.gettrace(), sys.getprofile()),
        "limits": (sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits()),
        "resources": [resource.getrlimit(number) for number in _RESOURCES],
        "processor": (os.sched_getaffinity(0), os.nice(0)),
        "umask": mask,
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": repr(decimal.getcontext()),
        "garbage collection": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "multiprocessing": multiprocessing.get_start_method(allow_none=True),
        "children": Path(f"/proc/self/task/{os.getpid()}/children").read_text(),
        "threads that must end": {thread.name for thread in threading.enumerate() if not thread.daemon},
    }


def _of_torch() -> dict[str, Any]:
    allocator = ctypes.CDLL(str(Path(torch.__file__).parent / "lib/libc10.so"))._ZN3c1015GetCPUAllocatorEv
    allocator.restype = ctypes.c_void_p
    backends = torch.backends
    return {
        "torch's allocator": allocator(),
        "torch's threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "torch's type": torch.get_default_dtype(),
        "torch's device": torch.get_default_device(),
        "torch's gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "torch's autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "torch's determinism": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,
        ),
        "torch's backends": (
            backends.cudnn.enabled, backends.cudnn.benchmark, backends.cudnn.deterministic, backends.cudnn.allow_tf32,
            backends.cuda.matmul.allow_tf32, backends.mkldnn.enabled, backends.quantized.engine,
            torch.get_float32_matmul_precision(),
        ),
        "torch's sharing": torch.multiprocessing.get_sharing_strategy(),
    }  # fmt: skip


def _of_libraries() -> dict[str, Any]:
    return {
        "numpy's generator": repr(np.random.get_state()),  # noqa: NPY002 (the one that all share)
        "numpy's errors": (np.geterr(), np.geterrcall(), np.get_printoptions()),
        "matplotlib": (dict(mpl.rcParams), mpl.get_backend()),
        "Pillow": (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK),
    }


def _of_logging() -> dict[str, Any]:
    loggers = {"": logging.root} | {
        name: logger for name, logger in logging.root.manager.loggerDict.items() if isinstance(logger, logging.Logger)
    }
    return {
        "logging": (logging.getLoggerClass(), logging.getLogRecordFactory(), logging.root.manager.disable),
        **{
            f"logger {name!r}": (logger.level, list(logger.handlers), logger.propagate, logger.disabled)
            for name, logger in loggers.items()
        },
    }
