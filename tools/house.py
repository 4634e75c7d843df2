"""How large the house is: files, long modules and functions, parameters, names used twice, words of the README.

    python -m tools.house [REVISION]    # of a git revision, or of the working tree

Public are what `foray.__all__` names and the functions of foray/api.py; verbs are what foray/cli registers with typer.
Both spell single options; every other function takes at most 8 parameters. `self`, `cls` and the `ctx` of an
autograd function do not count.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
Definition = ast.FunctionDef | ast.AsyncFunctionDef


class Function(NamedTuple):
    """`name`: below foray, as `comparison.plan.plan_comparison`; `lines`: of code, without signature and docstring."""

    name: str
    parameters: int
    lines: int


def parsed(package: Path) -> dict[str, ast.Module]:
    """Every module below `package` by dotted name: "specs.spec", "specs" for its __init__, "" for the package's own."""
    paths = {".".join(path.relative_to(package).with_suffix("").parts): path for path in package.rglob("*.py")}
    return {name.removesuffix("__init__").rstrip("."): ast.parse(p.read_text("utf-8")) for name, p in paths.items()}


def functions(modules: dict[str, ast.Module]) -> list[Function]:
    """Every function and method, those inside others included."""
    return [function for name, tree in modules.items() for function in _inside(tree, name)]


def _inside(node: ast.AST, name: str) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        inner = f"{name}.{child.name}".lstrip(".") if isinstance(child, Definition | ast.ClassDef) else name
        if isinstance(child, Definition):
            has_self = isinstance(node, ast.ClassDef) and "staticmethod" not in map(ast.unparse, child.decorator_list)
            body = child.body[bool(ast.get_docstring(child)) :] or child.body
            args, more = child.args, (child.args.vararg, child.args.kwarg)
            has_self |= [arg.arg for arg in args.args[:1]] == ["ctx"]
            count = len([*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, more)]) - has_self
            yield Function(inner, count, (child.end_lineno or 0) - body[0].lineno + 1)
        yield from _inside(child, inner)


def public(modules: dict[str, ast.Module]) -> set[str]:
    """Names of the functions that may spell single options: the public API and the verbs."""
    [exported] = (node.value for node in modules[""].body if ast.unparse(node).startswith("__all__ ="))
    names = {_home(modules, "", name) for name in ast.literal_eval(exported)}
    names |= {name for name in (function.name for function in functions(modules)) if name.startswith("api.")}
    for module, node in ((name, node) for name, tree in modules.items() for node in ast.walk(tree)):
        if isinstance(node, Definition) and any("app.command(" in ast.unparse(line) for line in node.decorator_list):
            names.add(f"{module}.{node.name}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Call) and "app.command(" in ast.unparse(node.func):
            names.add(f"cli.{ast.unparse(node.args[0])}")
    return names


def _home(modules: dict[str, ast.Module], module: str, name: str) -> str:
    """The dotted name under which `name` of `module` is defined, imports followed."""
    for node in ast.walk(modules[module]):
        names = {it.asname or it.name: it.name for it in node.names} if isinstance(node, ast.ImportFrom) else {}
        if name in names and str(node.module).startswith("foray."):
            return _home(modules, str(node.module).removeprefix("foray."), names[name])
    return f"{module}.{name}".lstrip(".")


def _twice(pairs: list[tuple[str, str]]) -> list[str]:
    """The names of (name, place) in more than one place, and where."""
    places = {name: sorted({there for other, there in pairs if other == name}) for name, _ in sorted(pairs)}
    return [f"{name}: {', '.join(there)}" for name, there in places.items() if len(there) > 1]


def measured(root: Path) -> dict[str, int | list[str]]:
    """The rows of the table for the checkout in `root`: a number, or what is counted."""
    package = root / "src" / "foray"
    modules = parsed(package)
    lines = {f.relative_to(package): f.read_bytes().count(b"\n") for f in package.rglob("*.*") if f.suffix != ".pyc"}
    named = [file for file in sorted(lines) if file.suffix == ".py" and file.stem != "__init__"]
    classes = [(n.name, name) for name, tree in modules.items() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    every, spelling = sorted(functions(modules), key=lambda f: (-f.parameters, f.name)), public(modules)
    outer, inner = ([f for f in every if (f.name in spelling) is spells] for spells in (True, False))
    return {
        "files in src/": len(lines),
        "lines in src/": sum(lines.values()),
        "modules over 300 lines": [f"{file}: {lines[file]}" for file in named if lines[file] > 300],
        "functions over 50 lines": [f"{f.name}: {f.lines}" for f in every if f.lines > 50],
        "largest parameter count of public functions and verbs": outer[0].parameters,
        "largest parameter count of all others": inner[0].parameters,
        "others with more than 8 parameters": [f"{f.name}: {f.parameters}" for f in inner if f.parameters > 8],
        "class names defined in more than one module": _twice(classes),
        "module names in more than one package": _twice([(file.stem, str(file.parent)) for file in named]),
        "words of README.md": len((root / "README.md").read_text("utf-8").split()),
    }


def main(revision: str | None = None) -> None:
    """Prints the table, and below it what is counted."""
    with tempfile.TemporaryDirectory() as folder:
        if revision:
            archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
            subprocess.run(["tar", "-x"], cwd=folder, check=True, input=archive)
        rows = measured(Path(folder) if revision else ROOT)
    counted = {row: value for row, value in rows.items() if isinstance(value, list)}
    lines = (f"| {row} | {len(counted[row]) if row in counted else rows[row]} |" for row in rows)
    print(f"| {revision or 'working tree'} | |", "|---|---|", *lines, sep="\n")
    print(*("\n  ".join([f"\n{row}:", *names]) for row, names in counted.items()), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
