"""Shapes that are known without asking torch are those torch would answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from foray.costs.meta import run_on_shapes

aten = torch.ops.aten


def tensor(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


MAPS, GATE = tensor(2, 6, 5, 7), tensor(2, 6, 1, 1)
NORM = [tensor(6) for _ in range(4)]


@pytest.mark.parametrize(
    ("func", "args", "kwargs"),
    [
        (aten.native_batch_norm.default, (MAPS, *NORM, False, 0.1, 1e-5), {}),
        (aten.add.Tensor, (MAPS, MAPS), {"alpha": 2}),
        (aten.add.Tensor, (GATE, MAPS), {}),
        (aten.add.Tensor, (MAPS, MAPS.double()), {}),
        (aten.add.Tensor, (MAPS, tensor(7)), {}),
        (aten.mul.Tensor, (MAPS, GATE), {}),
        (aten.mul.Tensor, (tensor(3, dtype=torch.int64), 0.5), {}),
        (aten.mul.Scalar, (MAPS, 2), {}),
        (aten.relu.default, (MAPS.permute(0, 2, 3, 1),), {}),
        (aten.sigmoid.default, (tensor(3, dtype=torch.int64),), {}),
        (aten.hardsigmoid.default, (GATE,), {}),
        (aten.cat.default, ([MAPS, tensor(2, 3, 5, 7)], 1), {}),
        (aten.cat.default, ([GATE, GATE],), {}),
        (aten.cat.default, ([GATE, GATE.double()], -1), {}),
        (aten.mean.dim, (MAPS, [2, 3]), {}),
        (aten.mean.dim, (MAPS, [-1], True), {"dtype": torch.float64}),
        (aten.addmm.default, (tensor(4), tensor(3, 5), tensor(5, 4)), {"beta": 2}),
    ],
    ids=lambda value: str(value) if isinstance(value, torch._ops.OpOverload) else "",
)
def test_the_result_is_like_torchs(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    ours, theirs = run_on_shapes(func, args, kwargs), func(*args, **kwargs)
    ours, theirs = (result[0] if isinstance(result, tuple) else result for result in (ours, theirs))
    assert ours.is_meta
    assert (ours.shape, ours.stride(), ours.dtype) == (theirs.shape, theirs.stride(), theirs.dtype)
    assert ours.untyped_storage().nbytes() == theirs.untyped_storage().nbytes()


@pytest.mark.parametrize(
    "func", [aten.relu_.default, aten.hardtanh_.default, aten.silu_.default, aten.hardswish_.default]
)
def test_what_works_in_place_returns_its_tensor(func: Any) -> None:
    maps = tensor(1, 3, 4, 4)
    assert run_on_shapes(func, (maps,), {}) is maps
    assert run_on_shapes(aten.add_.Tensor, (maps, maps), {}) is maps


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (aten.add.Tensor, (MAPS, tensor(2, 6, 5, 6))),
        (aten.add_.Tensor, (GATE, MAPS)),
        (aten.addmm.default, (tensor(4), tensor(3, 5), tensor(6, 4))),
    ],
)
def test_shapes_that_do_not_fit_are_an_error_still(func: Any, args: tuple[Any, ...]) -> None:
    with pytest.raises(RuntimeError):
        run_on_shapes(func, args, {})


def test_batch_norm_in_training_mode_keeps_its_statistics() -> None:
    _, mean, deviation = run_on_shapes(aten.native_batch_norm.default, (MAPS, *NORM, True, 0.1, 1e-5), {})
    assert mean.shape == deviation.shape == (6,)
