"""Bitwise reproducible runs, and the GPU operations that prevent them."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import torch

_MESSAGE = "does not have a deterministic implementation"  # torch.use_deterministic_algorithms' words, after a name
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_NONDETERMINISTIC = re.compile(rf"(\S+) {_MESSAGE}")


@contextmanager
def deterministic_algorithms(device: torch.device) -> Iterator[set[str]]:
    """Deterministic algorithms inside the block; gives the set that the names of operations without one are added to.

    On a CPU such an operation raises RuntimeError: everything foray trains with repeats there. On a GPU it is used all
    the same, and named.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    workspace = os.environ.get(_WORKSPACE)
    os.environ.setdefault(_WORKSPACE, ":4096:8")  # what cuBLAS needs to be deterministic
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    try:
        with _collected() as operations:
            yield operations
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        if workspace is None:
            os.environ.pop(_WORKSPACE, None)


@contextmanager
def _collected() -> Iterator[set[str]]:
    """Warnings about operations that are not deterministic go into the set, all others where they went before."""
    operations: set[str] = set()
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=f".*{_MESSAGE}")
        show = warnings.showwarning

        def note_or_show(
            message: Warning | str, category: type[Warning], filename: str, lineno: int,
            file: TextIO | None = None, line: str | None = None,
        ) -> None:  # fmt: skip
            if found := _NONDETERMINISTIC.search(str(message)):
                operations.add(found[1])
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = note_or_show
        yield operations
