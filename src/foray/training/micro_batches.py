"""The gradient of one optimiser step, from the whole batch or from micro-batches (gradient accumulation).

Each micro-batch adds the gradient of its loss, summed over its images and divided by the images of the whole batch, so
that together they give the gradient of the whole batch's mean loss. Batch norm sees one micro-batch at a time.

With several processes each splits its share into as many micro-batches as the whole batch has; batch norm uses the
i-th micro-batch of all processes together; gradients are summed over the processes at the end.

Out of memory, on a CPU or GPU, micro-batches are halved and the step is repeated. The failed attempt leaves no
trace: batch norm's running statistics are put back and the random numbers start anew.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from foray.errors import OutOfMemoryError, is_out_of_memory
from foray.evaluation.precision import ComputeFormat, compute_in
from foray.processes import ALONE, Processes


class MicroBatches:
    """`size`: images that go through the network at once, None for the whole batch; halved on out of memory.

    `criterion` sums over images. `halved_size`: the size after out of memory; None: not needed so far.
    """

    def __init__(
        self,
        network: nn.Module,
        criterion: Callable[[Tensor, Tensor], Tensor],
        *,
        size: int | None,
        halved_size: int | None = None,
        compute_format: ComputeFormat,
        processes: Processes = ALONE,
    ) -> None:
        self.size, self.halved_size = halved_size or size, halved_size
        self._network, self._criterion, self._compute_format = network, criterion, compute_format
        self._processes = processes
        self._statistics = _Statistics(network)

    def choose(self) -> None:
        """Registers the batch norms that are trained now; call it after unfreezing."""
        self._statistics = _Statistics(self._network)

    def backward(
        self, images: Tensor, targets: Tensor, *, total: int | None = None, reseed: Callable[[], None]
    ) -> tuple[Tensor, Tensor]:
        """Fills the gradients; returns the whole batch's mean loss () and the logits (N, C), both detached.

        `images`: (N, 3, H, W) normalised; `targets`: (N,) labels or (N, C) shares; `total`: images of the batch in all
        processes, None for N. `reseed` starts the random numbers of the step. Raises OutOfMemoryError when the memory
        does not hold a single image, or not those of one of several processes.
        """
        total = len(images) if total is None else total
        while True:
            reseed()
            self._statistics.keep()
            try:
                loss, logits = self._accumulate(images, targets, total)
                self._sum_over_processes(loss)
                return loss, logits
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            # Outside of the handler: until here the error's frames hold the tensors of the failed attempt.
            self._network.zero_grad(set_to_none=True)
            self._statistics.put_back()
            self._halve(images, reason)

    def _accumulate(self, images: Tensor, targets: Tensor, total: int) -> tuple[Tensor, Tensor]:
        """Micro-batches of sizes that differ by one at most: a micro-batch of one image would break batch norm."""
        parts = -(-total // min(self.size or total, total))
        loss, logits = torch.zeros((), device=images.device), []
        for some, theirs in zip(images.tensor_split(parts), targets.tensor_split(parts), strict=True):
            with compute_in(self._compute_format, images.device):
                answers = self._network(some)
            share = self._criterion(answers.float(), theirs) / total
            share.backward()
            loss += share.detach()
            logits.append(answers.detach())
        return loss, torch.cat(logits)

    def _sum_over_processes(self, loss: Tensor) -> None:
        gradients = (parameter.grad for parameter in self._network.parameters() if parameter.requires_grad)
        self._processes.sum_([loss, *(gradient for gradient in gradients if gradient is not None)])

    def _halve(self, images: Tensor, reason: str) -> None:
        n, side = len(images), images.shape[-1]
        if self._processes.count > 1:  # the other ranks are within the step and cannot restart it
            raise OutOfMemoryError(
                f"{n} images of {side} px per process do not fit into memory in training ({reason}). "
                "Accumulate gradients with `changes` micro_batch_size=N (images at once, over all processes)."
            )
        at_once = min(self.size or n, n)
        if at_once == 1:
            raise OutOfMemoryError(
                f"One image of {side} px does not fit into memory in training ({reason}). Use a lower "
                f"`resolution`{', a smaller model, or `device` cpu' if images.is_cuda else ' or a smaller model'}."
            )
        self.size = self.halved_size = -(-at_once // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class _Statistics:
    """The running statistics of the batch norms that are in training mode."""

    def __init__(self, network: nn.Module) -> None:
        norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.training]
        buffers = [buffer for norm in norms for buffer in norm.buffers(recurse=False)]
        by_dtype = [[buffer for buffer in buffers if buffer.dtype == dtype] for dtype in {b.dtype for b in buffers}]
        self._kept = [(same, [buffer.clone() for buffer in same]) for same in by_dtype]

    def keep(self) -> None:
        """Copies them with one kernel per dtype instead of hundreds."""
        for buffers, copies in self._kept:
            torch._foreach_copy_(copies, buffers)

    def put_back(self) -> None:
        """Makes them what they were when they were kept."""
        for buffers, copies in self._kept:
            torch._foreach_copy_(buffers, copies)
