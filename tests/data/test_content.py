"""Digests of files, remembered by path, size and times."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from foray.data.content import file_digests


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "images" / f"{i}.jpg" for i in range(4)]
    paths[0].parent.mkdir()
    for i, path in enumerate(paths):
        path.write_bytes(bytes([i]) * 100)
    return paths


def right(paths: list[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_what_is_remembered_is_not_read_again(files: list[Path], tmp_path: Path, monkeypatch) -> None:
    expected = file_digests(files, cache_dir=tmp_path)
    assert expected == right(files)
    monkeypatch.setattr("foray.data.content._file_digest", lambda path: pytest.fail(f"{path} was read"))
    assert file_digests(files, cache_dir=tmp_path) == expected


@pytest.mark.parametrize("damage", ["changed digit", "no digest", "cut short", "deep", "other kind"])
def test_a_damaged_memory_is_not_believed(files: list[Path], tmp_path: Path, damage: str) -> None:
    digest = file_digests(files, cache_dir=tmp_path)[2]
    (memory,) = (tmp_path / "content").glob("*.json")
    text = memory.read_text()
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    match damage:
        case "changed digit":
            memory.write_text(text.replace(digest, other))
        case "no digest":  # as earlier versions of foray wrote it
            entries = json.loads(text.replace(digest, other))
            del entries["digest"]
            memory.write_text(json.dumps(entries))
        case "cut short":
            memory.write_text(text[:-30])
        case "deep":
            memory.write_text('{"a":' * 100_000)
        case "other kind":
            memory.write_text('["a"]')
    assert file_digests(files, cache_dir=tmp_path) == right(files)
    assert json.loads(memory.read_text())[str(files[2])][0] == digest  # mended
