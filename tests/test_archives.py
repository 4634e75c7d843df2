"""The wheel and the sdist are complete: installed in an empty environment, foray compares models to the end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import foray

ROOT = Path(__file__).resolve().parents[1]
# What pip needs from the index for dependencies is not fetched: they are those of this interpreter.
PIP = ["-m", "pip", "--disable-pip-version-check", "-q"]
BUILD = [*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation"]
SDIST = "import sys, setuptools.build_meta as backend; backend.build_sdist(sys.argv[1])"
COMPILER = shutil.which(os.environ.get("CXX", "c++"))


@dataclass(frozen=True)
class Archives:
    """`source`: what they were built from. `wheel` and `sdist` were built there, `wheel_of_sdist` from the sdist."""

    source: Path
    wheel: Path
    sdist: Path
    wheel_of_sdist: Path


def python(*arguments: object, cwd: Path, interpreter: Path = Path(sys.executable)) -> str:
    """Runs it where nothing of this checkout is on the path."""
    mine = {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"}
    environment = {name: value for name, value in os.environ.items() if name not in mine}
    command = [str(argument) for argument in (interpreter, *arguments)]
    environment |= {"FORAY_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1", "PIP_CACHE_DIR": str(cwd / "pip")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def only(folder: Path) -> Path:
    [path] = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """Built from a copy that is as a checkout in use: with tests, and compiled modules beside the sources."""
    folder = tmp_path_factory.mktemp("archives")
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "tests/test_archives.py"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    python("-m", "compileall", "-q", source / "src" / "foray" / "statistics", cwd=folder)
    for name in ("sdist", "wheel", "of_sdist"):
        (folder / name).mkdir()
    python("-c", SDIST, folder / "sdist", cwd=source)
    python(*BUILD, "-w", folder / "wheel", source, cwd=folder)
    python(*BUILD, "-w", folder / "of_sdist", only(folder / "sdist"), cwd=folder)
    return Archives(source, only(folder / "wheel"), only(folder / "sdist"), only(folder / "of_sdist"))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_both_archives_hold_every_file_of_the_package(archives: Archives) -> None:
    package = archives.source / "src"
    files = [path for path in (package / "foray").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    sources = {path.relative_to(package).as_posix(): path.read_bytes() for path in files}
    assert {".py", ".cpp", ".h", ".html", ".css", ".js", ".md", ".typed"} <= {Path(name).suffix for name in sources}
    in_wheel = contents(archives.wheel)
    assert {name: in_wheel[name] for name in in_wheel if name.startswith("foray/")} == sources
    with tarfile.open(archives.sdist) as archive:
        in_sdist = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert {name for name in in_sdist if name.startswith("src/foray/")} == {f"src/{name}" for name in sources}
    assert not [name for name in in_sdist if name.startswith("tests/")]


def test_the_sdist_builds_the_same_wheel(archives: Archives) -> None:
    assert archives.sdist.name == f"foray-{foray.__version__}.tar.gz"
    assert archives.wheel.name == archives.wheel_of_sdist.name == f"foray-{foray.__version__}-py3-none-any.whl"
    assert contents(archives.wheel) == contents(archives.wheel_of_sdist)


@pytest.fixture(scope="module")
def installed(archives: Archives, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with the wheel of the sdist, and foray's dependencies but not this checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    interpreter = folder / "venv" / "bin" / "python"
    [site] = (folder / "venv").glob("lib/python*/site-packages")
    # Lines of a .pth file are folders to look in; .pth files in those, as of an editable foray, do not count.
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("\n".join(sorted(dependencies)), encoding="utf-8")
    python(*PIP, "--python", interpreter, "install", "--no-deps", "--no-index", archives.wheel_of_sdist, cwd=folder)
    return interpreter


def test_an_installed_foray_compares_models(installed: Path, tmp_path: Path) -> None:
    code = "import foray, importlib.metadata as m; print(foray.__file__, foray.__version__, m.version('foray'))"
    where, version, metadata = python("-c", code, cwd=tmp_path, interpreter=installed).split()
    assert Path(where).is_relative_to(installed.parents[1])
    assert version == metadata == foray.__version__
    printed = python(
        installed.with_name("foray"), "compare", "digits", "--models", "mobilenet_v1_x0.05,mobilenet_v1_x0.06",
        "--protocol", "scratch", "--resolution", "32", "--epochs", "1", "--prefer", "macs", "--threads", "1",
        "--out", "out", cwd=tmp_path, interpreter=installed,
    )  # fmt: skip
    assert "Report: out/report.html" in printed
    assert "mobilenet_v1_x0.06" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    records = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("out/runs/*/record.json")]
    assert [record["status"] for record in records] == ["done", "done"]
    assert {record["versions"]["foray"] for record in records} == {foray.__version__}
    if COMPILER and sys.platform == "linux":
        assert all("compiled kernels" in "".join(record["notes"]) for record in records)
