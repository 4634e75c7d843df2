"""A cache that cannot be written is said to be that; what it holds is used all the same."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from foray.data import decode_for_evaluation, inspect_dataset, open_dataset
from foray.data.download import RemoteFile, fetch
from foray.data.storage import cache_lock
from foray.errors import DataError, FolderBusyError, RunError
from foray.records import folder_lock
from foray.specs import Preprocessing
from tests.cli.conftest import Cli

NOBODY = 65534
SMALL = Preprocessing(16)


class Notes:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Notes]:
        yield self

    def advance(self, n: int = 1, note: str = "") -> None:
        pass


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that another user may read: pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="foray-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nobody may write below `folder`: root gives its rights up for the duration of the block."""
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for path in everything:
            path.chmod(0o755 if path.is_dir() else 0o644)


def squares(folder: Path) -> Path:
    for label, level in {"dark": 20, "light": 220}.items():
        (folder / label).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (16, 16), (level, 9 * i, 90)).save(folder / label / f"{i}.png")
    return folder


def test_an_unwritable_cache_waits_for_nobody_and_names_the_way_out(tmp_path: Path, cli: Cli) -> None:
    """Below a file no folder can be made, not even by root."""
    images = squares(tmp_path / "images")
    (tmp_path / "file").write_text("")
    cache = tmp_path / "file" / "cache"
    done = cli(
        "train", images, "--model", "mobilenet_v1_x0.25", "--protocol", "scratch", "--epochs", 1, "--cache-dir", cache
    )
    assert done.returncode == 2
    assert "Waiting" not in done.stderr
    assert f"Cannot create the folder {cache / 'decoded'}" in done.stderr
    assert ("Not a directory. This cache is not writable: name another with --cache-dir or FORAY_CACHE.") in done.stderr
    inspected = cli("data", "inspect", images, "--cache-dir", cache)  # which needs no cache
    assert inspected.returncode == 0
    assert "The digests could not be cached" in inspected.stderr


def test_what_a_read_only_cache_holds_is_used(home: Path) -> None:
    images, cache = squares(home / "images"), home / "cache"
    with zipfile.ZipFile(home / "images.zip", "w") as packed:
        for path in images.rglob("*.png"):
            packed.write(path, path.relative_to(images))
    first = open_dataset(home / "images.zip", cache_dir=cache)
    pixels = decode_for_evaluation(first, SMALL, cache_dir=cache, workers=1).pixels
    fetched = RemoteFile("some.bin", ("http://localhost:9/some.bin",))
    (cache / "some.bin").write_bytes(b"downloaded")
    inspect_dataset(open_dataset(images, cache_dir=cache))
    (cache / "content").rename(home / "content")  # digests have to be computed again, and cannot be kept
    with read_only(home):
        notes = Notes()
        again = open_dataset(home / "images.zip", cache_dir=cache, progress=notes)
        assert again.fingerprint == first.fingerprint
        store = decode_for_evaluation(again, SMALL, cache_dir=cache, workers=1, progress=notes)
        assert np.array_equal(store.pixels, pixels)
        assert fetch(fetched, cache, offline=False, manual="").read_bytes() == b"downloaded"
        assert any("could not be cached" in note and "Permission denied" in note for note in notes.notes)
        with pytest.raises(RunError, match=r"Permission denied\. This cache is not writable") as refusal:
            decode_for_evaluation(again, Preprocessing(24), cache_dir=cache, workers=1, progress=notes)
        assert not isinstance(refusal.value, FolderBusyError)
        assert not any("Waiting" in note for note in notes.notes)


def test_a_folder_that_another_process_holds_is_busy(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"):
        for lock in (folder_lock, cache_lock):
            with pytest.raises(FolderBusyError, match=r"Another run is using .*\. Wait until it ends"), lock(tmp_path):
                pass


def test_what_was_put_among_unpacked_files_survives(tmp_path: Path) -> None:
    images, cache = squares(tmp_path / "images"), tmp_path / "cache"
    shutil.make_archive(str(tmp_path / "images"), "zip", images)
    open_dataset(tmp_path / "images.zip", cache_dir=cache)
    (files,) = (cache / "unpacked").glob("*/files")
    (files / "dark" / "notes.txt").write_text("mine")
    (files / "dark" / "0.png").unlink()
    with pytest.raises(DataError, match=r"files holds dark/notes\.txt, not from images\.zip, which has to be unpacked"):
        open_dataset(tmp_path / "images.zip", cache_dir=cache)
    assert (files / "dark" / "notes.txt").read_text() == "mine"
    (files / "dark" / "notes.txt").rename(tmp_path / "notes.txt")
    assert len(open_dataset(tmp_path / "images.zip", cache_dir=cache).samples) == 12
    assert (files / "dark" / "0.png").exists()
