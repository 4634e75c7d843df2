"""Batch norm over several processes, with the shares of all of them played by this one."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from foray.models import build_model
from foray.processes import ALONE, Processes
from foray.specs import get_spec
from foray.training.sync_norm import SyncBatchNorm2d, batch_statistics, synchronise_norms
from tests.rounding import BFLOAT16


@dataclass(frozen=True)
class Played(Processes):
    """Hears of the other processes what is written down in `others`."""

    others: list[Tensor] = field(default_factory=list)

    def gather(self, values: Tensor) -> Tensor:
        self.others.append(values)
        return torch.stack(self.others)

    def sum_(self, tensors: Iterable[Tensor]) -> None:
        """The others have no gradients."""


@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(lambda sizes: sum(sizes) > 0),
    offset=st.sampled_from([0.0, 100.0, -1000.0]),
    seed=st.integers(0, 999),
)
def test_statistics_of_any_shares_are_those_of_the_whole(sizes: list[int], offset: float, seed: int) -> None:
    images = torch.randn(sum(sizes), 3, 2, 2, generator=torch.Generator().manual_seed(seed)) + offset
    processes = Played(count=len(sizes))
    for share in images.split(sizes):
        mean, var, n = batch_statistics(share, processes)
    exact = images.double()
    assert torch.allclose(mean.double(), exact.mean((0, 2, 3)), rtol=1e-6, atol=1e-6)
    assert torch.allclose(var.double(), exact.var((0, 2, 3), correction=0), rtol=1e-4)
    assert n == sum(sizes) * 4


def norms(dtype: torch.dtype = torch.float32, momentum: float | None = 0.3) -> tuple[nn.BatchNorm2d, SyncBatchNorm2d]:
    norm = nn.BatchNorm2d(4, momentum=momentum).to(dtype)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    return norm, SyncBatchNorm2d(copy.deepcopy(norm), ALONE)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 5 * BFLOAT16.unit)])
@pytest.mark.parametrize("momentum", [0.3, None])
def test_alone_it_is_batch_norm(dtype: torch.dtype, tolerance: float, momentum: float | None) -> None:
    torch.manual_seed(0)
    norm, synchronised = norms(momentum=momentum)
    results = []
    images = [torch.randn(6, 4, 5, 5).mul(3).add(1).to(dtype).to(memory_format=torch.channels_last) for _ in range(2)]
    push = torch.randn(6, 4, 5, 5).to(dtype)
    for module in (norm, synchronised):
        for image in images:
            leaf = image.clone().requires_grad_()
            out = module(leaf)
            assert out.dtype == dtype
            assert out.is_contiguous(memory_format=torch.channels_last)
            (out * push).sum().backward()
        results.append([out, leaf.grad, module.weight.grad, module.bias.grad, module.running_mean, module.running_var])
        assert module.num_batches_tracked == 2
    for theirs, ours in zip(*results, strict=True):
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


def test_its_gradient_is_that_of_finite_differences() -> None:
    _, synchronised = norms(torch.float64)
    images = torch.randn(3, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(synchronised, [images])


def test_one_value_per_channel_is_normalised_with_the_running_statistics() -> None:
    """It has no variance. The statistics stay what they were, as in a network that one process trains."""
    _, synchronised = norms()
    synchronised.running_mean.fill_(0.5)
    synchronised.running_var.fill_(4.0)
    found = synchronised(torch.full((1, 4, 1, 1), 2.5))
    weight, bias = (tensor.detach().view(1, 4, 1, 1) for tensor in (synchronised.weight, synchronised.bias))
    torch.testing.assert_close(found.detach(), weight + bias)
    assert synchronised.running_mean.tolist() == [0.5] * 4
    assert synchronised.running_var.tolist() == [4.0] * 4


def test_it_takes_the_place_of_every_batch_norm_and_leaves_the_state_as_it_is() -> None:
    network = build_model(get_spec("mobilenet_v3_small"), num_classes=3, seed=0)
    network.stages[0].eval()
    before = dict(network.state_dict(keep_vars=True))
    modes = {name: module.training for name, module in network.named_modules()}
    synchronise_norms(network, ALONE)
    assert not any(isinstance(module, SyncBatchNorm2d) for module in network.modules())
    synchronise_norms(network, Processes(rank=0, count=2))
    after = network.state_dict(keep_vars=True)
    assert list(after) == list(before)
    assert all(after[key] is before[key] for key in before)
    assert modes == {name: module.training for name, module in network.named_modules()}
    kinds = {type(module) for module in network.modules() if isinstance(module, nn.BatchNorm2d)}
    assert kinds == {SyncBatchNorm2d}


@pytest.mark.parametrize("training", [True, False])
def test_a_share_without_images_takes_part_with_gradients_of_zero(training: bool) -> None:
    norm, _ = norms()
    other = torch.full((9,), 4.0, dtype=torch.float64)  # means, variances and number of its values
    synchronised = SyncBatchNorm2d(norm, Played(count=2, others=[other])).train(training)
    none = torch.empty(0, 4, 3, 3, requires_grad=True)
    (synchronised(none.to(memory_format=torch.channels_last)) * 2).sum().backward()
    assert none.grad.shape == none.shape
    assert norm.weight.grad.tolist() == norm.bias.grad.tolist() == [0.0] * 4


def test_in_inference_mode_it_is_batch_norm_to_the_bit_and_says_nothing() -> None:
    norm, _ = norms()
    nn.init.normal_(norm.running_mean)
    images = torch.randn(2, 4, 3, 3)
    unjoined = SyncBatchNorm2d(norm, Processes(rank=0, count=2))  # would fail if it spoke to the other process
    assert torch.equal(unjoined.eval()(images), norm.eval()(images))
