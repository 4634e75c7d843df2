"""Sums over batches, and the first batch whose loss is no number, also where one looks now and then."""

from __future__ import annotations

import pytest
import torch

from foray.training.running_metrics import RunningMetrics, RunningSums


def add(tally: RunningMetrics, step: int, loss: float) -> None:
    n = step + 1
    logits = torch.eye(3)[torch.arange(n) % 3]  # right for labels 0, 1, 2, 0, ...
    tally.add(step, torch.tensor(loss), logits, torch.zeros(n, dtype=torch.int64), torch.arange(n) + 100 * step, n)


def test_images_count_and_not_batches() -> None:
    tally = RunningMetrics(torch.device("cpu"), RunningSums())
    for step, loss in enumerate((1.0, 2.0, 4.0)):
        add(tally, step, loss)
        assert tally.is_due
        assert tally.look() is None
    assert tally.loss == pytest.approx((1 + 2 * 2 + 3 * 4) / 6)
    assert tally.top1 == pytest.approx(3 / 6)


def test_a_tally_goes_on_from_its_sums() -> None:
    of_device = torch.device("cpu")
    tally, first = RunningMetrics(of_device, RunningSums()), RunningMetrics(of_device, RunningSums())
    add(first, 0, 0.1)
    first.look()
    second = RunningMetrics(torch.device("cpu"), RunningSums.model_validate_json(first.sums.model_dump_json()))
    for one in (tally,):
        add(one, 0, 0.1)
    for one in (tally, second):
        add(one, 1, 0.7)
        one.look()
    assert tally.sums == second.sums


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_first_bad_batch_is_named_although_nobody_looked_at_once(value: float) -> None:
    tally = RunningMetrics(torch.device("cpu"), RunningSums())
    for step, loss in enumerate((1.0, 2.0, value, float("nan"), 1.0)):
        add(tally, step, loss)
    bad = tally.look()
    assert bad.step == 2
    assert not torch.isfinite(torch.tensor(bad.loss))
    assert bad.positions.tolist() == [200, 201, 202]


def test_shares_count_by_their_largest() -> None:
    tally = RunningMetrics(torch.device("cpu"), RunningSums())
    shares = torch.tensor([[0.6, 0.4, 0.0], [0.3, 0.0, 0.7]])
    tally.add(0, torch.tensor(1.0), torch.eye(3)[:2], shares, torch.arange(2), 2)
    tally.look()
    assert tally.top1 == 0.5
