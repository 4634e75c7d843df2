"""The architecture holds: who may import whom, what works without torch, how large a module may grow."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import foray
from tools.house import functions, parsed, public

SOURCE = Path(foray.__file__).parent
SOURCES = parsed(SOURCE)
EVERYWHERE = {"cache_folder", "errors", "limits", "parsing", "plain_text", "process_state", "progress", "regular_files"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "limits": set(),
    "plain_text": set(),
    "process_state": set(),
    "progress": set(),
    "cache_folder": set(),
    "parsing": set(),
    "regular_files": set(),
    "specs": set(),
    "recipes": set(),
    "records": {"specs"},
    "statistics": set(),
    "deploy": set(),
    "native": {"records"},
    "models": {"specs", "native"},
    "weights": {"specs", "records", "models"},
    "augmentation": {"specs", "recipes"},
    "data": {"specs", "recipes", "records", "deploy"},
    "processes": set(),
    "requests": {"recipes", "data", "processes"},
    "evaluation": {
        "specs", "recipes", "records", "statistics", "deploy", "models", "weights", "data", "requests",
    },
    "training": {
        "specs", "recipes", "records", "native", "models", "weights", "augmentation", "data", "evaluation", "processes",
        "requests",
    },
    "linear": {
        "specs", "recipes", "records", "models", "augmentation", "data", "evaluation", "training", "requests",
    },
    "runs": {
        "processes", "requests", "specs",
        "recipes", "records", "statistics", "deploy", "native", "models", "weights", "data", "evaluation",
        "training", "linear",
    },
    "costs": {"specs", "records", "deploy", "models"},
    "clock": {"specs", "records", "statistics", "deploy", "models", "weights"},
    "decision": {"records", "statistics"},
    "report": {"records", "decision"},
    "export": {
        "requests", "specs",
        "recipes", "records", "statistics", "deploy", "native", "models", "weights", "data", "evaluation",
        "training", "runs", "costs", "clock",
    },
    "comparison": {
        "requests", "specs",
        "recipes", "records", "statistics", "deploy", "models", "weights", "data", "evaluation", "training",
        "runs", "costs", "clock", "export", "decision", "report",
    },
    "settling": {
        "requests", "specs",
        "records", "statistics", "deploy", "data", "evaluation", "training", "runs", "export", "decision", "report",
    },
    "scaling": {
        "requests", "specs",
        "recipes", "records", "statistics", "models", "data", "training", "runs", "costs", "clock", "export",
        "decision", "comparison", "report",
    },
    "reproduce": {
        "processes", "requests", "specs",
        "recipes", "records", "statistics", "deploy", "native", "models", "weights", "augmentation", "data",
        "evaluation", "training", "runs", "costs", "clock", "export", "decision", "comparison", "report", "scaling",
    },
    "api": {
        "processes", "requests", "recipes", "records", "data", "runs", "clock", "export", "comparison", "settling",
    },
    "cli": {
        "processes", "requests", "specs",
        "recipes", "records", "statistics", "deploy", "native", "models", "weights", "data", "evaluation", "training",
        "runs", "costs", "clock", "export", "decision", "comparison", "report", "settling", "scaling",
        "reproduce",
    },
}  # fmt: skip
# Packages that keep to few third-party modules; the others may use what pyproject.toml names.
THIRD_PARTY: dict[str, set[str]] = {
    "errors": set(),
    "limits": set(),
    "plain_text": set(),
    "process_state": set(),
    "progress": set(),
    "cache_folder": set(),
    "parsing": set(),
    "regular_files": set(),
    "specs": set(),
    "recipes": {"pydantic"},
    "records": {"pydantic", "filelock"},
    "statistics": {"numpy", "scipy"},
    "decision": {"numpy"},
    "native": {"torch"},
    # Besides numpy and Pillow the runtimes, imported by who opens an artifact of theirs; torch is ExecuTorch's.
    "deploy": {
        "numpy",
        "PIL",
        "onnxruntime",
        "openvino",
        "ai_edge_litert",
        "executorch",
        "torch",
        "predict",
        "pillow_heif",
    },
    "cli": {"typer", "rich", "torch"},
}
WITHOUT_TORCH = ["specs", "recipes", "records", "statistics", "decision", "report", "deploy"]
# Copied beside every artifact, so one file each; bench.py holds the statistics of every clock.
LONG_MODULES = {"deploy/predict.py": 760, "deploy/bench.py": 500}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def package_of(path: Path) -> str:
    """`specs` for foray/specs/spec.py; the module's own name for a module directly under foray."""
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import, those inside functions and for types only included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            if node.module == "foray":
                yield from ((node.lineno, f"foray.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, str(node.module)


def test_imports_keep_to_the_table() -> None:
    broken = []
    for path in modules():
        package = package_of(path)
        if package in ("__init__", "__main__"):
            continue
        allowed = MAY_IMPORT[package] | EVERYWHERE | {package}
        for line, name in imports_of(path):
            root, _, rest = name.partition(".")
            where = f"{path.relative_to(SOURCE)}:{line}: {name}"
            if root == "foray":
                if rest.split(".")[0] not in allowed | {"__version__"}:
                    broken.append(where)
            elif root not in sys.stdlib_module_names and root not in THIRD_PARTY.get(package, {root}):
                broken.append(where)
    assert not broken, "imports outside the table:\n" + "\n".join(broken)


def test_every_package_is_in_the_table() -> None:
    assert {package_of(path) for path in modules()} - {"__init__", "__main__"} <= set(MAY_IMPORT)


def test_table_has_no_cycle() -> None:
    left = {name: set(others) for name, others in MAY_IMPORT.items()}
    while left:
        leaves = [name for name, others in left.items() if not others & set(left)]
        assert leaves, f"packages that import each other: {sorted(left)}"
        for name in leaves:
            del left[name]


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_light_packages_import_with_torch_absent() -> None:
    names = [
        ".".join(["foray", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")
        for path in modules()
        if package_of(path) in WITHOUT_TORCH
    ]
    assert len(names) > len(WITHOUT_TORCH)
    # A finder that refuses torch, as where it is not installed; scipy stumbles over `sys.modules["torch"] = None`.
    code = (
        "import sys, importlib, importlib.abc\n"
        "class NoTorch(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.partition('.')[0] == 'torch': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        f"for name in {names!r}: importlib.import_module(name)"
    )
    run_python(code)


@pytest.mark.parametrize("statement", ["import foray", "from foray.cli.main import app"])
def test_nothing_heavy_is_imported_early(statement: str) -> None:
    heavy = {"torch", "numpy", "pydantic", "scipy", "sklearn", "PIL", "rich", "huggingface_hub"}
    assert run_python(f"{statement}\nimport sys; print(sorted({heavy!r} & set(sys.modules)))") == "[]"


def test_every_public_name_of_foray_is_there() -> None:
    for name in foray.__all__:
        assert getattr(foray, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'compar'"):
        _ = foray.compar


def test_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert version("foray") == foray.__version__


def test_modules_and_functions_stay_readable() -> None:
    long = []
    for path in modules():
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > LONG_MODULES.get(path.relative_to(SOURCE).as_posix(), 300):
            long.append(f"{path.relative_to(SOURCE)}: {lines} lines")
    long += [f"{function.name}: {function.lines} lines" for function in functions(SOURCES) if function.lines > 50]
    assert not long, "\n".join(long)


def test_functions_take_few_parameters() -> None:
    """At most 8. Only the public API and the verbs spell single options; what they call takes objects."""
    spelling = public(SOURCES)
    many = {f.name: f.parameters for f in functions(SOURCES) if f.parameters > 8 and f.name not in spelling}
    assert many == {}


def test_the_public_api_and_the_verbs_are_found() -> None:
    names = public(SOURCES)
    assert {name.rpartition(".")[2] for name in names} >= {*foray.__all__, "scale", "certify", "inspect"}
    assert names - {"__version__"} <= {function.name for function in functions(SOURCES)}


def test_nothing_is_called_utils() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [path for path in modules() if vague & set(path.relative_to(SOURCE).with_suffix("").parts)]


def test_nothing_is_unpickled() -> None:
    """No pickle module, and torch.load only with weights_only=True."""
    broken = []
    for path in modules():
        if {name for _, name in imports_of(path)} & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}:
            broken.append(str(path))
        for call in re.findall(r"torch\.load\([^)]*\)", path.read_text(encoding="utf-8")):
            if "weights_only=True" not in call:
                broken.append(f"{path}: {call}")
    assert not broken


def test_images_are_opened_in_one_place_that_names_the_formats() -> None:
    """Image.open alone would start Ghostscript for an EPS, whatever the file is called."""
    root = Path(__file__).parents[1]
    others = [path for folder in ("benchmarks", "tools") for path in (root / folder).rglob("*.py")]
    calls = [
        (path.name, call)
        for path in (*modules(), *others)
        for call in re.findall(r"\bImage\.open\(.*", path.read_text(encoding="utf-8"))
    ]
    assert [name for name, _ in calls] == ["predict.py"]
    assert "formats=" in calls[0][1]


def test_type_information_is_shipped() -> None:
    assert importlib.util.find_spec("foray") is not None
    assert (SOURCE / "py.typed").is_file()
