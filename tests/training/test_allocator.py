"""Freed memory stays with the process: the next step's pages are there already."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from foray.training.allocator import keep_freed_memory

def faults_of(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        torch.ones(64 * 2**20 // 4)  # 64 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.ones(10)
if sys.argv[1] == "kept":
    assert keep_freed_memory()
faults_of(4)  # what the heap grows by on first use
print(faults_of(5))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_pages_are_faulted_in_once() -> None:
    def faults(mode: str) -> int:
        done = subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True)
        return int(done.stdout)

    pages = 5 * 64 * 2**20 // 2**21  # even if every page were a huge one of 2 MiB
    assert faults("returned") >= pages
    assert faults("kept") < pages / 4
