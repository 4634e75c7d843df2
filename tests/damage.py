"""Damage of the kind that disks and copies do to files."""

from __future__ import annotations

from pathlib import Path


def flip_a_bit(path: Path, position: int, bit: int = 6) -> None:
    """Flips one bit of the byte at `position`, counted from the end where it is negative."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)
