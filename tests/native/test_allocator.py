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
from foray.native.allocator import arena
from foray.specs import get_spec

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
needs_arena = pytest.mark.skipif(arena().load() is None, reason="no C++ compiler on this machine")


def told(script: str, *arguments: str, **environment: str) -> str:
    """What a process of its own prints."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment}).stdout


FAULTS = """
import resource, sys
import torch
from foray.native.allocator import keep_for_good, kept_memory

def faults_of(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        torch.ones(64 * 2**20 // 4)  # 64 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.ones(10)
if sys.argv[1] == "kept":
    keep_for_good()
    with kept_memory():
        pass
faults_of(10)  # what the heap grows by on first use
print(faults_of(5))
"""


PAGES = 5 * 64 * 2**20 // 2**21  # even if every page were a huge one of 2 MiB


def test_pages_are_faulted_in_once() -> None:
    assert int(told(FAULTS, "returned")) >= PAGES
    assert int(told(FAULTS, "kept")) < PAGES / 4


def test_pages_are_faulted_in_once_by_glibc_too() -> None:
    assert int(told(FAULTS, "kept", FORAY_KERNELS="0")) < PAGES / 4
    assert int(told(FAULTS, "kept", FORAY_ALLOCATOR="mallopt")) < PAGES / 4
    assert int(told(FAULTS, "kept", FORAY_ALLOCATOR="0")) >= PAGES


TENSORS = """
import random, threading
import torch
from foray.native.allocator import keep_for_good, kept_memory

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
keep_for_good()
with kept_memory():
    pass
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


BLOCK = """
import gc, random, threading
import torch
from foray.native.allocator import kept_memory

def status(field):
    (line,) = [line for line in open("/proc/self/status") if line.startswith(field)]
    return int(line.split()[1]) // 1024  # MiB

MIB = 2**20 // 4  # numbers of float32
torch.ones(64 * MIB)
mapped, resident = status("VmSize"), status("VmRSS")
for _ in range(3):
    with kept_memory():
        with kept_memory():
            torch.ones(400 * MIB)
        assert status("VmRSS") > resident + 350, "the outer block still holds it"
        outliving = [torch.full((8 * MIB,), float(i)) for i in range(8)]
        small = torch.full((1000,), 5.0)
        tensors = [torch.ones(20 * MIB) for _ in range(10)]
        del tensors
    assert status("VmRSS") < resident + 120, status("VmRSS") - resident  # 64 outlive; libraries take some 30
    assert all(bool((tensor == i).all()) for i, tensor in enumerate(outliving))
    del outliving[::2]
    assert status("VmRSS") < resident + 78  # 32 outlive
    later = torch.ones(200 * MIB)
    del later
    assert status("VmRSS") < resident + 78  # 32 outlive
    assert [float(tensor[-1]) for tensor in outliving] == [1, 3, 5, 7]
    del outliving
    assert float(small.sum()) == 5000
    assert status("VmRSS") < resident + 50
    assert status("VmSize") < mapped + 300, "the addresses stay reserved"
print("done")
"""


@needs_arena
def test_after_the_block_the_system_has_the_memory_and_tensors_that_are_left_keep_their_numbers() -> None:
    assert told(BLOCK) == "done\n"


OWN_ALLOCATOR = """
import ctypes, sys
from pathlib import Path
import torch
from foray.native.allocator import arena, kept_memory

c10 = ctypes.CDLL(str(Path(torch.__file__).parent / "lib/libc10.so"))
current = c10._ZN3c1015GetCPUAllocatorEv
current.restype = ctypes.c_void_p
default = current()
with kept_memory():
    assert current() != default
    with kept_memory():
        pass
    assert current() != default
assert current() == default
try:
    with kept_memory():
        raise KeyError
except KeyError:
    pass
assert current() == default
print("done")
"""


COMMAND = """
import sys
from foray.cli.main import main
sys.argv = ["foray", "--version"]
try:
    main()
except SystemExit:
    pass
light = "torch" not in sys.modules
from foray.native import allocator
print(allocator._for_good and light)
"""


def test_a_command_keeps_memory_for_good_and_decides_so_without_torch() -> None:
    assert told(COMMAND).split()[-1] == "True"


@needs_arena
def test_pytorch_has_its_allocator_again_after_the_block() -> None:
    assert told(OWN_ALLOCATOR) == "done\n"


STEPS = """
import torch
from foray.models import build_model
from foray.native.allocator import keep_for_good, kept_memory
from foray.specs import get_spec

keep_for_good()
with kept_memory():
    pass
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
