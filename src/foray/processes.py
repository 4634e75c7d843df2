"""Distributed training: rank and device of each process, its share of the images, and collective operations.

`torchrun --nproc-per-node 2 -m foray train ...` starts them; rank and world size are read from its environment. Every
process holds the whole network and takes its share of each batch. Gradients are summed in one pass after the backward
pass, in buckets, instead of through DistributedDataParallel: that would have to be rebuilt whenever the set of trained
weights changes (gradual unfreezing) and needs special handling of gradient accumulation; it averages, where a sum over
unequal shares is needed; and overlapping communication with the backward pass gains little for networks of 10 to 80 MB
of weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from foray.errors import ForayError, OtherProcessFailedError, RunError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

# While one process decodes images the others wait. A dead process is detected by closed sockets (gloo) and by
# torchrun, which ends all when one ends, not by this limit.
_PATIENCE = timedelta(days=7)
_BUCKET_BYTES = 32 * 2**20  # extra memory that summing gradients takes


class ProcessLostError(RunError):
    """Another process of the run ended without an error message."""


@dataclass(frozen=True)
class Processes:
    """`rank` of `count` processes that train together. Alone, every method does nothing at no cost.

    `device`: this one's own; None: alone, any.
    """

    rank: int = 0
    count: int = 1
    device: str | None = None

    @property
    def is_writer(self) -> bool:
        """Whether this is rank 0, the process that writes files and prints."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """Which of `n` things in a row this process takes: contiguous shares that differ by at most one.

        Shares may be empty: of 1 image, two processes take none and one.
        """
        return self._share_of(self.rank, n)

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """Adds up `tensors` (of one device) over the processes, in place; all processes hold the same bits after."""
        if self.count == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            with _all_there():
                dist.all_reduce(flat)
            for tensor, total in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(total.view(tensor.shape))

    def device_of(self, device: str) -> str:
        """`device`, or this process's own where there are several."""
        return self.device or device

    @property
    def own_entropy(self) -> tuple[int, ...]:
        """Offset of the random seed of this rank; rank 0 draws as a single process does."""
        return () if self.is_writer else (self.rank,)

    def total(self, value: float) -> float:
        """The sum of a number over the processes."""
        number = torch.tensor([value], dtype=torch.float64)
        self.sum_([number])
        return number.item()

    def any(self, value: bool) -> bool:
        """Whether it is so in any process."""
        return value if self.count == 1 else self.total(float(value)) > 0

    def gather(self, values: Tensor) -> Tensor:
        """`values` (...) of all processes, the same shape on each, as (count, ...) in order of rank."""
        if self.count == 1:
            return values.unsqueeze(0)
        gathered = values.new_empty((self.count, *values.shape))
        with _all_there():
            dist.all_gather(list(gathered.unbind(0)), values.contiguous())
        return gathered

    def gather_rows(self, rows: Tensor, n: int) -> Tensor:
        """The (n, ...) rows of which each process holds its `share(n)`, in order, on every process."""
        if self.count == 1:
            return rows
        longest = -(-n // self.count)
        sent = rows.new_zeros((longest, *rows.shape[1:]))  # messages are of one size; what is added is cut off below
        sent[: len(rows)] = rows
        shares = [self._share_of(rank, n) for rank in range(self.count)]
        gathered = self.gather(sent)
        return torch.cat([gathered[rank, : share.stop - share.start] for rank, share in enumerate(shares)])

    def barrier(self) -> None:
        """Barrier: waits for every process."""
        self.total(0.0)

    @contextmanager
    def writer_first(self) -> Iterator[None]:
        """Rank 0 runs the block first, then the others, which find its files."""
        if not self.is_writer:
            self.barrier()
        yield
        if self.is_writer:
            self.barrier()

    def _share_of(self, rank: int, n: int) -> slice:
        return slice(rank * n // self.count, (rank + 1) * n // self.count)


ALONE = Processes()


@contextmanager
def joined_processes(device: str = "auto") -> Iterator[Processes]:
    """The processes that torchrun started, as a process group inside the block; without torchrun, this process alone.

    The backend is NCCL on CUDA, where process i of a machine takes device i, and gloo on a CPU. When a process fails,
    it alone raises its error; the others raise OtherProcessFailedError, or ProcessLostError if it was killed. After an
    error a process must end, so that the others see it.

    Raises ForayError for an incomplete environment, and for a machine with fewer devices than processes.
    """
    place = _place(os.environ)
    if place is None:
        yield ALONE
        return
    rank, count, local_rank, local_count = place
    own_device = _own_device(device, local_rank, local_count)
    store = _start(own_device)
    try:
        yield Processes(rank, count, own_device)
    except (Exception, KeyboardInterrupt) as error:
        if _is_told_already(store):
            raise OtherProcessFailedError("Another process of this run failed.") from error
        raise
    dist.destroy_process_group()


def _place(environment: Mapping[str, str]) -> tuple[int, int, int, int] | None:
    """(rank, count, local rank, local count) from torchrun's environment; None: a single process."""
    if environment.get("WORLD_SIZE", "1") == "1":
        return None
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        rank, count, local_rank, local_count = (int(environment[name]) for name in names)
    except (KeyError, ValueError) as error:
        raise ForayError(
            f"WORLD_SIZE asks for several processes, but {' '.join(names)} are not all numbers. Start them with "
            "torchrun --nproc-per-node N -m foray train ..., or unset WORLD_SIZE."
        ) from error
    return rank, count, local_rank, local_count


def _own_device(device: str, local_rank: int, local_count: int) -> str:
    if device == "cpu":
        return device
    if device not in ("auto", "cuda"):
        raise ForayError(f"Several processes cannot share {device}. Say `device` cuda (each takes its own) or cpu.")
    available = torch.cuda.device_count()
    if available == 0 and device == "auto":
        return "cpu"
    if available < local_count:
        raise ForayError(
            f"{local_count} processes need {local_count} CUDA devices, and this machine has {available}. Start as many "
            "as it has (--nproc-per-node), or say `device` cpu."
        )
    return f"cuda:{local_rank}"


def _start(device: str) -> Store:
    """Starts torch's process group; returns the store that the processes share."""
    if not dist.is_available():
        raise ForayError("This torch was built without torch.distributed. Install another, or run one process.")
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    try:
        store, rank, count = next(rendezvous("env://", timeout=_PATIENCE))
        backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ForayError(f"The processes cannot connect to each other: {error}") from error
    return PrefixStore("foray", store)


def _is_told_already(store: Store) -> bool:
    """Whether another process has failed before this one. Without torchrun the store ends with the first process."""
    try:
        return store.add("failed processes", 1) > 1
    except RuntimeError:
        return False


@contextmanager
def _all_there() -> Iterator[None]:
    """Around what needs every process: a closed connection means that one is gone."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessLostError(
            "A process of this run ended without an error message (killed, or out of memory). The same command "
            "continues after the last finished epoch."
        ) from error


def _buckets(tensors: Iterable[Tensor]) -> Iterator[Sequence[Tensor]]:
    """`tensors` in order, in groups of one number format and of at most _BUCKET_BYTES unless one alone is larger."""
    bucket: list[Tensor] = []
    size_bytes = 0
    for tensor in tensors:
        if bucket and (size_bytes + tensor.nbytes > _BUCKET_BYTES or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, size_bytes = [], 0
        bucket.append(tensor)
        size_bytes += tensor.nbytes
    if bucket:
        yield bucket
