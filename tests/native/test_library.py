"""Compiled libraries: what is damaged is built anew, and a compiler may fail in any way without harm."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from foray.native.library import CompilerError, Library, compile_in
from foray.progress import SILENT
from foray.records import scratch_folder

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which(os.environ.get("CXX", "c++")) is None, reason="no C++ compiler here"
)
SOURCE = 'extern "C" int answer() { return 42; }\n'


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "compiled"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    source = tmp_path / "answer.cpp"
    source.write_text(SOURCE, encoding="utf-8")
    return Library("answer", (source,))


def as_another_process(library: Library) -> Library:
    """Equal, but nothing of it is loaded or remembered."""
    return Library(library.name, (*library.sources,))


def answer(library: Library) -> int:
    Library.load.cache_clear()
    loaded = as_another_process(library).load()
    assert loaded is not None
    return int(loaded.answer())


def compiler(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def damaged(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.unlink()  # this process has it mapped
    if how == "another valid library":
        other = path.with_suffix(".cpp")
        other.write_text('extern "C" int other() { return 1; }\n', encoding="utf-8")
        subprocess.run(["c++", "-shared", "-fPIC", "-o", path, other], check=True)
        other.unlink()
    else:
        path.write_bytes({
            "truncated": content[: len(content) // 2],
            "zeros": bytes(len(content)),
            "one bit": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
            "empty": b"",
        }[how])  # fmt: skip


@pytest.mark.parametrize("how", ["truncated", "zeros", "one bit", "empty", "another valid library"])
def test_a_damaged_library_is_built_anew(library: Library, cache: Path, how: str) -> None:
    assert answer(library) == 42
    (built,) = cache.glob("*.so")
    intact = built.read_bytes()
    damaged(built, how)
    assert answer(library) == 42
    (again,) = cache.glob("*.so")
    assert len(again.read_bytes()) == len(intact)
    assert not list(cache.glob("build-*"))


def test_what_is_built_is_not_built_again(library: Library, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(library) == 42
    monkeypatch.setattr(Library, "_build", None)
    assert answer(library) == 42


@pytest.mark.parametrize("script", ["exit 1", "kill -KILL $$", "true"], ids=["fails", "killed", "writes nothing"])
def test_a_compiler_that_fails_leaves_nothing_behind(
    library: Library, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setenv("CXX", str(compiler(tmp_path / "cxx", f'echo > "$TMPDIR/left.s"\n{script}')))
    Library.load.cache_clear()
    assert not library.prepare(SILENT)
    assert list(cache.iterdir()) == []


def test_a_compiler_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    hanging = compiler(tmp_path / "cxx", f"sleep 1000 & echo $! > {tmp_path / 'child'}\nwait")
    with pytest.raises(CompilerError, match="does not end"), scratch_folder("build", tmp_path / "cache") as folder:
        compile_in(folder, [str(hanging)], idle_seconds=0.3)
    child = int((tmp_path / "child").read_text())
    assert not is_running(child)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_compiler_that_is_busy_for_ever_is_ended(tmp_path: Path) -> None:
    with pytest.raises(CompilerError, match="does not end"):
        compile_in(tmp_path, ["sh", "-c", "while :; do :; done"], idle_seconds=60.0, most_seconds=0.3)


def test_a_slow_compiler_is_not_taken_to_hang(tmp_path: Path) -> None:
    busy = "import time; end = time.process_time() + 1.0\nwhile time.process_time() < end: pass"
    compile_in(tmp_path, [sys.executable, "-c", busy], idle_seconds=0.9)


def test_a_cache_that_cannot_be_written_leaves_foray_without_the_library(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FORAY_CACHE", str(tmp_path / "file"))
    Library.load.cache_clear()
    assert library.load() is None


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    return state != "Z"


def test_the_digest_is_of_the_bytes_that_are_loaded(library: Library, cache: Path) -> None:
    assert answer(library) == 42
    (built,) = cache.glob("*.so")
    assert ctypes.CDLL(str(built)).answer() == 42
    built.rename(built.with_name(f"{built.stem[:-1]}{'0' if built.stem[-1] != '0' else '1'}.so"))
    assert answer(library) == 42
    assert len(list(cache.glob("*.so"))) == 1
