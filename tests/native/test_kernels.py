"""Which kernels are used is for `FORAY_KERNELS` to say."""

from __future__ import annotations

import pytest
import torch

from foray.errors import UnknownNameError
from foray.models.layers import PlainConv2d
from foray.native import kernels
from foray.native.depthwise import fits_depthwise
from foray.native.kernels import compiled_kernels, is_chosen, prepare_kernels
from foray.progress import SILENT

ALL = ("depthwise", "norm_activation", "recomputation")


@pytest.fixture(autouse=True)
def _read_anew():
    kernels._chosen.cache_clear()
    yield
    kernels._chosen.cache_clear()


@pytest.mark.parametrize(
    ("given", "chosen"),
    [(None, ALL), ("", ALL), ("1", ALL), ("none", ()), ("0", ()), ("depthwise,recomputation", ALL[::2])],
)
def test_kernels_are_chosen_by_name(given, chosen, monkeypatch) -> None:
    monkeypatch.delenv("FORAY_KERNELS", raising=False)
    if given is not None:
        monkeypatch.setenv("FORAY_KERNELS", given)
    assert tuple(name for name in ALL if is_chosen(name)) == chosen


def test_an_unknown_kernel_is_named_with_those_there_are(monkeypatch) -> None:
    monkeypatch.setenv("FORAY_KERNELS", "depthwize")
    with pytest.raises(UnknownNameError, match=r"FORAY_KERNELS.*depthwize.*depthwise, norm_activation"):
        prepare_kernels(SILENT)


@pytest.mark.skipif(compiled_kernels() is None, reason="no C++ compiler on this machine")
def test_a_kernel_that_is_not_chosen_is_not_used(monkeypatch) -> None:
    conv = PlainConv2d(8, 8, 3, padding=1, groups=8)
    x = torch.randn(2, 8, 4, 4).to(memory_format=torch.channels_last)
    assert fits_depthwise(conv, x)
    kernels._chosen.cache_clear()
    monkeypatch.setenv("FORAY_KERNELS", "norm_activation")
    assert not fits_depthwise(conv, x)
