"""Files with more than 8 bits a value, byte by byte from their specifications: Pillow writes few of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # of PNG's colour types

Entry = tuple[int, int, Sequence[float]]  # tag, type, values


def png(colour_type: int, samples: Sequence[int], *, bits: int = 16, **chunks: bytes) -> bytes:
    """One row of pixels. `chunks`: name and body of those before the pixels, such as sBIT."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    width = len(samples) // CHANNELS[colour_type]
    whole = "".join(f"{sample:0{bits}b}" for sample in samples)
    whole += "0" * (-len(whole) % 8)
    row = b"\x00" + bytes(int(whole[i : i + 8], 2) for i in range(0, len(whole), 8))
    header = struct.pack(">IIBBBBB", width, 1, bits, colour_type, 0, 0, 0)
    extra = b"".join(chunk(name.encode(), body) for name, body in chunks.items())
    packed = chunk(b"IDAT", zlib.compress(row))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + packed + chunk(b"IEND", b"")


def tiff(bits: Sequence[int], photometric: int, data: bytes, *entries: Entry, width: int, order: str = "<") -> bytes:
    """One row of uncompressed pixels of `bits` a channel, with further tags. `order`: "<" or ">"."""
    shown = [
        (256, 3, [width]), (257, 3, [1]), (258, 3, bits), (259, 3, [1]), (262, 3, [photometric]), (277, 3, [len(bits)]),
        (278, 3, [1]), (279, 4, [len(data)]), *entries,
    ]  # fmt: skip
    codes = {3: "H", 4: "I", 8: "h", 9: "i", 11: "f", 12: "d"}
    after = 8 + 2 + 12 * (len(shown) + 1) + 4  # where what does not fit into an entry begins
    outside = b""
    lines = {}
    for tag, type_, values in shown:
        packed = struct.pack(f"{order}{len(values)}{codes[type_]}", *values)
        if len(packed) > 4:
            packed, outside = struct.pack(f"{order}I", after + len(outside)), outside + packed
        lines[tag] = struct.pack(f"{order}HHI", tag, type_, len(values)) + packed.ljust(4, b"\x00")
    lines[273] = struct.pack(f"{order}HHII", 273, 4, 1, after + len(outside))
    directory = struct.pack(f"{order}H", len(lines)) + b"".join(line for _, line in sorted(lines.items())) + bytes(4)
    magic = b"II*\x00" if order == "<" else b"MM\x00*"
    return magic + struct.pack(f"{order}I", 8) + directory + outside + data
