"""The examples in docstrings hold."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from types import ModuleType

import pytest

import foray.specs
import foray.statistics


def modules_of(package: ModuleType) -> list[str]:
    return [found.name for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]


MODULES = ["foray.records.quantities", *modules_of(foray.specs), *modules_of(foray.statistics)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("package", [foray.specs, foray.statistics], ids=lambda package: package.__name__)
def test_functions_a_user_meets_have_examples(package: ModuleType) -> None:
    finder = doctest.DocTestFinder(recurse=False)
    functions = [value for name in package.__all__ if callable(value := getattr(package, name)) and name.islower()]
    shown = [function for function in functions if any(test.examples for test in finder.find(function))]
    assert len(shown) >= 0.7 * len(functions)
