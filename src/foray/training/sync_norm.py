"""Batch norm whose statistics are those of the whole batch, wherever its images are.

torch.nn.SyncBatchNorm works on CUDA alone; this one works on a CPU too, so that two processes anywhere train as one
would. Statistics are those of Ioffe & Szegedy 2015 (arXiv:1502.03167, algorithm 1) over the images of all processes, in
shares of any size, empty ones included; the shares' means and squared deviations are put together as in Chan, Golub &
LeVeque 1983 (The American Statistician 37:3, eq. 2.1), which does not cancel as the mean of squares would.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from foray.processes import Processes


class SyncBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d over the images of all `processes`. In inference mode it is nn.BatchNorm2d, without
    communication.
    """

    def __init__(self, norm: nn.BatchNorm2d, processes: Processes) -> None:
        """Takes the place of `norm`: the same parameters, the same buffers, not copies of them."""
        super().__init__(norm.num_features, eps=norm.eps, momentum=norm.momentum, device="meta")
        self.processes, self.training = processes, norm.training
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x) if x.numel() else _of_no_images(x, self.weight, self.bias)
        mean, var, n = batch_statistics(x, self.processes)
        if x.numel() <= self.num_features and int(n) == 1:  # reading n makes a CUDA device wait: only where it can be
            if not x.numel():
                return _of_no_images(x, self.weight, self.bias)
            # As alone (foray.models.layers.PlainBatchNorm2d): one value has no variance.
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        self._remember(mean, var, n)
        return cast(Tensor, _Normalize.apply(x, self.weight, self.bias, mean, var, n, self.eps, self.processes))  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor, n: Tensor) -> None:
        """Moves the running statistics, the variance without bias (n - 1), as nn.BatchNorm2d does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.mul_(1.0 - momentum).add_(mean, alpha=momentum)
        self.running_var.mul_(1.0 - momentum).add_(var * (n / (n - 1)).to(var.dtype), alpha=momentum)


def synchronise_norms(network: nn.Module, processes: Processes) -> None:
    """Replaces every batch norm of `network` by SyncBatchNorm2d; for a single process nothing changes.

    Parameters, buffers and the keys of the state stay what they are. Those in inference mode work as before.
    """
    if processes.count == 1:
        return
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d) and not isinstance(child, SyncBatchNorm2d):
                setattr(parent, name, SyncBatchNorm2d(child, processes))


@torch.no_grad()
def batch_statistics(x: Tensor, processes: Processes) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,) and variance (C,) with bias of all processes' (N, C, H, W), at least float32; N H W, float64 ()."""
    channels, dtype = x.shape[1], torch.promote_types(x.dtype, torch.float32)
    own = torch.zeros(2 * channels + 1, dtype=torch.float64, device=x.device)  # counts are exact up to 2^53
    if x.numel():
        unused = x.new_zeros(channels, dtype=dtype)  # running statistics, whose format the new statistics take
        mean, var = torch.batch_norm_update_stats(x, unused, unused.clone(), 0.0)
        own = torch.cat([mean.double(), var.double(), own.new_tensor([x.numel() // channels])])
    means, variances, counts = processes.gather(own).split([channels, channels, 1], dim=1)
    n = counts.sum()
    shares = counts / n
    mean = (shares * means).sum(dim=0)
    var = (shares * (variances + (means - mean).square())).sum(dim=0)
    return mean.to(dtype), var.to(dtype), n


class _Normalize(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias, where mean and var depend on all processes' x.

    With y = (x - mean) / sqrt(var + eps), n values per channel over all processes, and sums over all of them, the
    gradient is weight / sqrt(var + eps) * (g - sum(g) / n - y * sum(g y) / n) (Ioffe & Szegedy 2015, section 3, put
    together). Those of weight and bias stay sums over this process's images: they are summed with all the others.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, n: Tensor, eps: float,
        processes: Processes,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(x, weight, mean, var, n)
        ctx.eps, ctx.processes = eps, processes
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var, n = ctx.saved_tensors
        grad_x, sum_gy, sum_g = _backward_of_constants(grad, x, weight, mean, var, ctx.eps)
        if not ctx.needs_input_grad[0]:
            return None, sum_gy, sum_g, None, None, None, None, None
        sums = torch.stack([sum_gy, sum_g]).double()
        ctx.processes.sum_([sums])
        mean_gy, mean_g = (sums / n).to(var.dtype)
        gain = weight * torch.rsqrt(var + ctx.eps)
        # -gain * (y * mean_gy + mean_g): an affine map of y is batch norm in inference mode, and one pass over memory
        through_statistics = F.batch_norm(x, mean, var, -gain * mean_gy, -gain * mean_g, training=False, eps=ctx.eps)
        return grad_x.add_(through_statistics), sum_gy, sum_g, None, None, None, None, None


def _backward_of_constants(
    grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, var: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """weight * g / sqrt(var + eps), sum(g y) and sum(g), as if the statistics did not depend on x."""
    if not x.numel():  # a share without images, on which PyTorch's kernel divides by zero
        return torch.zeros_like(x), torch.zeros_like(weight), torch.zeros_like(weight)
    results: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward(
        grad, x, weight, mean, var, None, None, False, eps, [True, True, True]
    )
    return results


def _of_no_images(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(0, C, H, W) as it is, in reach of gradients: PyTorch's backward kernel divides by the number of images."""
    return x * weight.to(x.dtype).view(1, -1, 1, 1) + bias.to(x.dtype).view(1, -1, 1, 1)
