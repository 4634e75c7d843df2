"""foray works in its caller's process, and leaves it as it was.

Libraries that foray calls change the process: exporters seed random generators, set the levels of other libraries'
loggers, add variables to the environment, and report usage to their makers. `restores_process_state` is around every
public function. Measures for good are for processes of foray's own: the command line and its workers.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_OPENVINO_TELEMETRY = "openvino_telemetry"
_ONNXRUNTIME_TELEMETRY = "ORT_DISABLE_TELEMETRY"  # read when onnxruntime is imported
# scikit-learn sets these for OpenMP libraries. Those stay loaded, and without them a second one may end the process.
_STAYS = ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")

_lock = threading.Lock()
_open_blocks = 0
_at_the_end = contextlib.ExitStack()  # of the last of them


def restores_process_state(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, after which the process is as it was before; see `process_state_restored`."""

    @functools.wraps(function)
    def restored(*args: P.args, **kwargs: P.kwargs) -> R:
        with process_state_restored():
            return function(*args, **kwargs)

    return restored


@contextlib.contextmanager
def process_state_restored() -> Iterator[None]:
    """Puts back at the end of the block: environment variables, the random generators of Python, numpy and torch,
    warnings filters, levels and handlers of loggers, and the start method of multiprocessing.

    Within the block OpenVINO, NNCF and ONNX Runtime send nothing to their makers. Of blocks that are open at once, in
    one thread or in several, the last to end puts back what the first found: a call that begins and ends during another
    changes nothing under it. What libraries add when they are first imported stays where taking it back would break
    them: entries of `sys.path`, loggers of their own.
    """
    global _open_blocks
    with _lock:
        if _open_blocks == 0:
            for restored in _RESTORED:
                _at_the_end.enter_context(restored())
        _open_blocks += 1
    try:
        yield
    finally:
        with _lock:
            _open_blocks -= 1
            if _open_blocks == 0:
                _at_the_end.close()


def send_no_telemetry() -> None:
    """OpenVINO, NNCF and ONNX Runtime send nothing from now on, nor do child processes with ONNX Runtime.

    For processes of foray's own, before the first import of these libraries.
    """
    sys.modules.setdefault(_OPENVINO_TELEMETRY, None)  # type: ignore[arg-type]
    os.environ[_ONNXRUNTIME_TELEMETRY] = "1"


@contextlib.contextmanager
def _no_telemetry() -> Iterator[None]:
    """`openvino_telemetry` cannot be imported, and sends nothing where the caller has imported it."""
    os.environ[_ONNXRUNTIME_TELEMETRY] = "1"  # the environment is restored
    if _OPENVINO_TELEMETRY not in sys.modules:
        sys.modules[_OPENVINO_TELEMETRY] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            sys.modules.pop(_OPENVINO_TELEMETRY, None)
        return
    sender: Any = getattr(sys.modules.get(f"{_OPENVINO_TELEMETRY}.utils.sender"), "TelemetrySender", None)
    if sender is None:
        yield
        return
    send = sender.send
    sender.send = lambda *_: None
    try:
        yield
    finally:
        sender.send = send


@contextlib.contextmanager
def _environment_restored() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys() - set(_STAYS):
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


@contextlib.contextmanager
def _random_generators_restored() -> Iterator[None]:
    """Those that the whole process shares, on the CPU."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    ours = random.getstate()
    of_numpy = numpy.random.get_state() if numpy else None
    of_torch = torch.get_rng_state() if torch else None
    try:
        yield
    finally:
        random.setstate(ours)
        if numpy and of_numpy is not None:
            numpy.random.set_state(of_numpy)
        if torch and of_torch is not None:
            torch.set_rng_state(of_torch)


@contextlib.contextmanager
def _loggers_restored() -> Iterator[None]:
    """What is set in a logger that was there before, and the class of new ones."""
    manager, made = logging.root.manager, logging.getLoggerClass()
    there = [logging.root, *(logger for logger in manager.loggerDict.values() if isinstance(logger, logging.Logger))]
    settings = [(logger.level, list(logger.handlers), logger.propagate, logger.disabled) for logger in there]
    disabled = manager.disable
    try:
        yield
    finally:
        logging.setLoggerClass(made)
        logging.disable(disabled)
        for logger, (level, handlers, propagate, is_disabled) in zip(there, settings, strict=True):
            if logger.level != level:
                logger.setLevel(level)
            logger.handlers[:] = handlers
            logger.propagate, logger.disabled = propagate, is_disabled


@contextlib.contextmanager
def _start_method_restored() -> Iterator[None]:
    """Whoever asks for the start method fixes it, after which the caller could no longer choose one."""
    before = multiprocessing.get_start_method(allow_none=True)
    try:
        yield
    finally:
        if multiprocessing.get_start_method(allow_none=True) != before:
            multiprocessing.set_start_method(before, force=True)


_RESTORED = (
    _environment_restored,
    _random_generators_restored,
    _loggers_restored,
    _start_method_restored,
    warnings.catch_warnings,
    _no_telemetry,
)
