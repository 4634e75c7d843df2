"""Freed memory stays with the process, and is all that the process ever needed at once."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys

import pytest

from foray.costs import layer_costs
from foray.models import build_model
from foray.native.allocator import ARENA
from foray.specs import get_spec

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
needs_arena = pytest.mark.skipif(ARENA.load() is None, reason="no C++ compiler on this machine")


def told(script: str, *arguments: str, **environment: str) -> str:
    """What a process of its own prints: its memory is set up once and for all."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment}).stdout


FAULTS = """
import resource, sys
import torch
from foray.progress import SILENT
from foray.native.allocator import keep_freed_memory

def faults_of(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        torch.ones(64 * 2**20 // 4)  # 64 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.ones(10)
if sys.argv[1] == "kept":
    assert keep_freed_memory(SILENT)
faults_of(4)  # what the heap grows by on first use
print(faults_of(5))
"""


def test_pages_are_faulted_in_once() -> None:
    pages = 5 * 64 * 2**20 // 2**21  # even if every page were a huge one of 2 MiB
    assert int(told(FAULTS, "returned")) >= pages
    assert int(told(FAULTS, "kept")) < pages / 4
    assert int(told(FAULTS, "kept", FORAY_KERNELS="0")) < pages / 4  # by glibc alone


TENSORS = """
import random, threading
import torch
from foray.progress import SILENT
from foray.native.allocator import keep_freed_memory

def resident():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024

LIVE = 200 * 2**20  # bytes of every thread

def work(seed):
    draw, live, total = random.Random(seed), [], 0
    for _ in range(150):
        n = int(2 ** draw.uniform(12, 25))
        while total + n > LIVE:
            filled, value = live.pop(draw.randrange(len(live)))
            assert bool((filled == value).all()), "another tensor was written over this one"
            total -= filled.numel()
        value = draw.randrange(256)
        live.append((torch.full((n,), value, dtype=torch.uint8), value))
        total += n
    assert all(bool((filled == value).all()) for filled, value in live)

before = torch.arange(2**20)  # by PyTorch's own allocator, and freed after the change
assert keep_freed_memory(SILENT)
started = resident()
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert before.sum() == 2**19 * (2**20 - 1)
del before
print((resident() - started) / (2 * LIVE))
"""


@needs_arena
def test_random_tensors_keep_their_numbers_and_less_than_twice_the_memory_that_they_take() -> None:
    assert 0.9 < float(told(TENSORS)) < 2.0


STEPS = """
import torch
from foray.models import build_model
from foray.progress import SILENT
from foray.specs import get_spec
from foray.training.whole_network import prepare_processor

prepare_processor(SILENT)
network = build_model(get_spec("mobilenet_v2"), num_classes=5, seed=0).to(memory_format=torch.channels_last).train()
images = torch.randn(6, 3, 160, 160).to(memory_format=torch.channels_last)

def peak():
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

network(images[:2, :, :32, :32]).sum().backward()  # libraries are loaded, gradients are there
before = peak()
for _ in range(2):
    network(images).sum().backward()
print((peak() - before) / len(images))
"""


@needs_arena
def test_a_training_step_holds_the_convolutions_outputs_once() -> None:
    """MobileNetV2 at 160 px has 3.4 M numbers behind its convolutions, 13.6 MB in float32 for an image. A step that
    keeps their activations too holds about twice as much, and more is lost in glibc's heap.
    """
    outputs = 4 * sum(math.prod(layer.out_shape) for layer in layer_costs(build_model(get_spec("mobilenet_v2")), 160))
    assert 0.8 * outputs < float(told(STEPS)) < 1.5 * outputs
