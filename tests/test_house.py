"""The table of the house counts what it says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tools.house import ROOT, functions, main, measured, public

SOURCES = {
    "": "from foray.runs import train\n__all__ = ['__version__', 'train']\n__version__ = '1'\n",
    "api": "def compare(a, b): ...\n",
    "runs": "from foray.runs.one import train_one as train\n",
    "runs.one": "def train_one(a, /, b, *c, d=lambda x: x, **e):\n    '''Words.'''\n    b = a\n    return b\n",
    "cli.main": "app.command('train', cls=Verb)(train.begin)\n",
    "cli.train": "def begin(): ...\n",
    "cli.data": "@app.command('inspect')\ndef inspect(): ...\n",
    "specs": "class A:\n  def f(self, a):\n    def g(a): ...\n"
    "  @staticmethod\n  def s(a): ...\n  @classmethod\n  def c(cls): ...\n",
}
MODULES = {name: ast.parse(text) for name, text in SOURCES.items()}


def test_parameters_and_lines_are_counted() -> None:
    assert {function.name: (function.parameters, function.lines) for function in functions(MODULES)} == {
        "api.compare": (2, 1),
        "cli.data.inspect": (0, 1),
        "cli.train.begin": (0, 1),
        "runs.one.train_one": (5, 2),
        "specs.A.c": (0, 1),
        "specs.A.f": (1, 1),
        "specs.A.f.g": (1, 1),
        "specs.A.s": (1, 1),
    }


def test_public_functions_and_verbs_are_found() -> None:
    assert public(MODULES) == {
        "__version__",
        "runs.one.train_one",
        "api.compare",
        "cli.train.begin",
        "cli.data.inspect",
    }


def test_names_used_twice_and_long_modules_are_listed(tmp_path: Path) -> None:
    for name, text in {
        "__init__": "__all__ = ['run']\ndef run(a, b): ...\n",
        "data/split": "class Part: ...\n",
        "runs/split": "class Part: ...\nclass Whole: ...\n",
        "runs/long": "def nine(a, b, c, d, e, f, g, h, i):\n" + "    a = 1\n" * 300,
    }.items():
        path = tmp_path / "src" / "foray" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "src" / "foray" / "kernel.cpp").write_text("int x;\n")
    (tmp_path / "README.md").write_text("# foray\n\nThree words more.\n")
    assert measured(tmp_path) == {
        "files in src/": 5,
        "lines in src/": 307,
        "modules over 300 lines": ["runs/long.py: 301"],
        "functions over 50 lines": ["runs.long.nine: 300"],
        "largest parameter count of public functions and verbs": 2,
        "largest parameter count of all others": 9,
        "others with more than 8 parameters": ["runs.long.nine: 9"],
        "class names defined in more than one module": ["Part: data.split, runs.split"],
        "module names in more than one package": ["split: data, runs"],
        "words of README.md": 5,
    }


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_a_revision_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    main("HEAD")
    assert capsys.readouterr().out.startswith("| HEAD | |\n|---|---|\n| files in src/ | ")
