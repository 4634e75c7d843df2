"""Errors that a user can fix.

Every error caused by bad input is a `ForayError`: its message names the cause and the fix. The command
line prints the message alone and exits with status 2; from Python it is an ordinary exception. A message names
parameters in backticks, `seeds`; the command line writes the option instead, --seeds.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class ForayError(Exception):
    """Base of all errors caused by what the user gave: one message, no traceback, exit status 2."""

    exit_status = 2


class UnknownNameError(ForayError):
    """A name that is not known: the message suggests the nearest known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], see: str = "") -> None:
        known = list(known)
        name = name if len(name) <= 80 else f"{name[:80]}..."
        nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(f"Unknown {kind} {name!r}.{hint}{' ' + see if see else ''}")
        self.nearest = nearest


def require_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Raises UnknownNameError for a `name` that is none of the few that are `known`, which the message lists."""
    known = list(known)
    if name not in known:
        raise UnknownNameError(kind, str(name), known, f"There are {', '.join(known)}.")


class DataError(ForayError):
    """The images or labels cannot be used as given."""


class WeightsError(ForayError):
    """Weights cannot be found, read, or do not fit the network."""


class RecipeError(ForayError):
    """A recipe that does not fit. `where`: which; `problem`: what, with the names of its keys in backticks."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.problem = problem


class QuantityError(ForayError):
    """A number with a missing or wrong unit, or out of range."""


class RunError(ForayError):
    """A run or comparison folder is missing, damaged, in use, or of another version."""


class FolderBusyError(RunError):
    """Another process works in the folder."""


class NotSteadyError(ForayError):
    """The answer depends on a latency that was not steady; measure again when the machine is idle."""

    exit_status = 4


class DiskFullError(ForayError):
    """The disk is full."""


class OutOfMemoryError(ForayError):
    """The machine or the GPU is out of memory."""


class OtherProcessFailedError(ForayError):
    """Another process of the same run failed first and reports why; the command line ends this one silently."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` means out of memory, from Python, numpy, torch (on a CPU or GPU) or the system."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch has its own class for GPUs only; on a CPU it raises RuntimeError.
    is_torchs = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and is_torchs)


@contextmanager
def memory_explained(what: str, way_out: str) -> Iterator[None]:
    """Inside the block, out of memory becomes an OutOfMemoryError; `what`: what needed memory; `way_out`: what to
    change.
    """
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).partition("\n")[0]
        raise OutOfMemoryError(f"Out of memory: {what}{f' ({said})' if said else ''}. {way_out}") from error
