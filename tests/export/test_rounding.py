"""The model behind every tolerance of formats with few bits: it covers real arithmetic, and no fault hides in it."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from tests import rounding
from tests.export.digits import Digits
from tests.rounding import BFLOAT16, FLOAT16, FLOAT32, STORED_FLOAT16, Format

from .conftest import Case
from .faults_on_purpose import faulty

N = 32  # images


@pytest.mark.parametrize("terms", [16, 128, 1024])
def test_sums_in_float16_are_off_by_the_root_of_a_sixth_of_their_terms(terms: int) -> None:
    """Added one after the other by numpy, which rounds every sum, on any processor."""
    products = np.random.default_rng(0).normal(size=(400, terms))
    sums = np.zeros(400, np.float16)
    for term in products.T:
        sums = (sums.astype(np.float64) + term).astype(np.float16)
    exact = products.sum(axis=1)
    error = np.sqrt(np.mean((sums - exact) ** 2) / np.mean(exact**2))
    assert 0.5 < error / (FLOAT16.unit * math.sqrt(terms / 6)) < 1.1


@pytest.mark.parametrize(
    ("dtype", "format_"), [(torch.float16, FLOAT16), (torch.bfloat16, BFLOAT16)], ids=["float16", "bfloat16"]
)
def test_pytorchs_arithmetic_is_within_the_tolerance(
    learned: Case, digits: Digits, dtype: torch.dtype, format_: Format
) -> None:
    images = torch.from_numpy(digits.val[:N])
    low = copy.deepcopy(learned.module)
    low.network.to(dtype)
    difference = float((low(images) - learned.module(images)).abs().max())
    tolerance = rounding.tolerance(learned.module, images, format_)
    assert tolerance / 30 < difference < tolerance


@pytest.mark.parametrize("format_", [FLOAT16, STORED_FLOAT16, BFLOAT16])
def test_no_fault_is_taken_for_rounding(learned: Case, digits: Digits, format_: Format) -> None:
    images = torch.from_numpy(digits.val[:N])
    exact, tolerance = learned.module(images), rounding.tolerance(learned.module, images, format_)
    found = {what: float((module(images) - exact).abs().max()) for what, module in faulty(learned.module)}
    assert len(found) == 9
    assert min(found.values()) > 2 * tolerance, found  # so that a result that is off by the tolerance differs from it


def test_float32_explains_less_than_the_tolerances_of_float32_files(learned: Case, digits: Digits) -> None:
    """They are 1e-5 of a probability."""
    assert rounding.tolerance(learned.module, torch.from_numpy(digits.val[:N]), FLOAT32) < 1e-5


def test_the_module_is_left_as_it_was(learned: Case, digits: Digits) -> None:
    before = copy.deepcopy(learned.module.state_dict())
    rounding.tolerance(learned.module, torch.from_numpy(digits.val[:2]), FLOAT16)
    after = learned.module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in learned.module.modules())
