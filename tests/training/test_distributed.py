"""Two real processes, talking through gloo, do what one would."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from foray.errors import ForayError
from foray.models import build_model
from foray.processes import ALONE, Processes, joined_processes
from foray.specs import get_spec
from foray.training.sync_norm import synchronise_norms
from tests.small_training import MODEL

from .pair import Pair, torchrun_environment


@given(n=st.integers(0, 1000), count=st.integers(1, 16))
def test_shares_are_contiguous_and_nearly_equal(n: int, count: int) -> None:
    shares = [Processes(rank, count).share(n) for rank in range(count)]
    assert [i for share in shares for i in range(n)[share]] == list(range(n))
    sizes = {len(range(n)[share]) for share in shares}
    assert max(sizes) - min(sizes) <= 1


def speak(processes: Processes) -> dict[str, object]:
    rank = processes.rank
    summed = [torch.full((2, 3), rank + 1.0), torch.arange(3) + rank, torch.ones(2, 3, 4, 4)[:, :, 1:].mul(rank)]
    processes.sum_(summed)
    odd = torch.arange(10.0).view(5, 2)
    return {
        "summed": [tensor.tolist() for tensor in summed],
        "total": processes.total(rank + 0.5),
        "gathered": processes.gather(torch.tensor([rank, 10])).tolist(),
        "rows": processes.gather_rows(odd[processes.share(5)], 5).tolist(),
        "one row": processes.gather_rows(odd[:1][processes.share(1)], 1).tolist(),
    }


def test_what_processes_tell_one_another(pair: Pair) -> None:
    first, second = pair.run(speak)
    assert first == second
    assert first == {
        "summed": [[[3.0] * 3] * 2, [1, 3, 5], torch.ones(2, 3, 3, 4).tolist()],
        "total": 2.0,
        "gathered": [[0, 10], [1, 10]],
        "rows": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0], [8.0, 9.0]],
        "one row": [[0.0, 1.0]],
    }


def test_alone_nothing_is_said_and_nothing_changes() -> None:
    values = torch.arange(3.0)
    ALONE.sum_([values])
    with ALONE.writer_first():
        ALONE.barrier()
    assert values.tolist() == [0.0, 1.0, 2.0]
    assert ALONE.gather(values).tolist() == [[0.0, 1.0, 2.0]]
    assert ALONE.gather_rows(values, 3) is values
    assert ALONE.share(7) == slice(0, 7)
    assert ALONE.is_writer


def write_or_read(processes: Processes, path: str) -> str:
    with processes.writer_first():
        if processes.is_writer:
            with open(path, "x") as stream:
                stream.write("written once")
        with open(path) as stream:
            return stream.read()


def test_the_writer_goes_first(pair: Pair, tmp_path) -> None:
    assert pair.run(write_or_read, str(tmp_path / "file")) == ["written once"] * 2


def first_step(processes: Processes, name: str, n: int, side: int, bits: int) -> dict[str, np.ndarray]:
    """Gradients and running statistics of the first step with `n` images, on whichever processes there are."""
    dtype = torch.float64 if bits == 64 else torch.float32
    network = build_model(get_spec(name), num_classes=3, dropout=0.0, stochastic_depth_prob=0.0, seed=0)
    network = network.to(dtype=dtype, memory_format=torch.channels_last).train()
    synchronise_norms(network, processes)
    images = torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(n)).to(dtype)
    labels = torch.arange(n) % 3
    share = processes.share(n)
    loss = F.cross_entropy(network(images[share]), labels[share], reduction="sum") / n
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
    processes.sum_(gradients.values())
    return {key: tensor.numpy() for key, tensor in (gradients | dict(network.named_buffers())).items()}


@pytest.mark.parametrize(
    ("name", "n", "side", "bits", "tolerance"),
    [
        (MODEL, 8, 32, 64, 1e-9),
        (MODEL, 9, 32, 64, 1e-9),  # shares of 4 and 5
        (MODEL, 1, 64, 64, 1e-9),  # the last batch of an epoch: the first process has no image
        ("tf_mobilenet_v2_x0.35", 5, 48, 64, 1e-9),  # residuals
        # In float32 a single process is itself no nearer to the exact gradient than 1e-5 to 1e-2 of the largest, where
        # rectifiers and nearly constant channels magnify rounding; this network is well conditioned (1e-6).
        ("mobilenet_v3_small", 5, 64, 32, 1e-5),
    ],
)
def test_the_first_step_is_that_of_a_single_process(
    pair: Pair, name: str, n: int, side: int, bits: int, tolerance: float
) -> None:
    first, second = pair.run(first_step, name, n, side, bits)
    alone = first_step(ALONE, name, n, side, bits)
    assert list(first) == list(alone)
    trained = {key for key, _ in build_model(get_spec(name), num_classes=3, seed=0).named_parameters()}
    largest = max(np.abs(alone[key]).max() for key in trained)
    for key, expected in alone.items():
        assert np.array_equal(first[key], second[key]), key
        scale = largest if key in trained else max(np.abs(expected).max(), 1e-3)  # means may be zero but for rounding
        assert np.abs(first[key] - expected).max() <= tolerance * scale, key


FAILING = """
from foray.errors import ForayError
from foray.processes import joined_processes

with joined_processes("cpu") as processes:
    processes.barrier()
    if processes.rank == 1:
        raise ForayError("the disk is full")
    processes.barrier()
"""


def ends(script: str) -> list[tuple[int, str]]:
    """Exit status and standard error of two processes that run `script` together."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", script]
    environments = [os.environ | torchrun_environment(rank, port) for rank in range(2)]
    both = [subprocess.Popen(command, env=each, stderr=subprocess.PIPE, text=True) for each in environments]
    said = [process.communicate()[1] for process in both]
    return [(process.returncode, text) for process, text in zip(both, said, strict=True)]


def test_a_failing_process_ends_the_others_and_alone_says_why() -> None:
    (status, said), (failed_status, failed_said) = ends(FAILING)
    assert (status, failed_status) == (1, 1)
    assert "ForayError: the disk is full" in failed_said
    assert "OtherProcessFailedError" in said


@pytest.mark.parametrize(
    ("environment", "device", "message"),
    [
        ({"WORLD_SIZE": "2"}, "auto", "WORLD_SIZE asks for several processes, but RANK"),
        ({"WORLD_SIZE": "two", "RANK": "0"}, "auto", "are not all numbers.*torchrun --nproc-per-node"),
        (torchrun_environment(0, 1), "cuda:1", "cannot share cuda:1"),
        (torchrun_environment(0, 1, count=99), "cuda", "99 processes need 99 CUDA devices, and this machine has"),
    ],
)
def test_what_cannot_start_is_refused(monkeypatch, environment: dict[str, str], device: str, message: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ForayError, match=message), joined_processes(device):
        pass


def test_without_torchrun_a_process_is_alone(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined_processes("cpu") as processes:
        assert processes is ALONE
