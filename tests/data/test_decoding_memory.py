"""Threads decode at the same time what fits into the memory for it, and a larger picture alone."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foray.data import decode_for_evaluation, decoding_memory, inspect_dataset, open_dataset
from foray.data.decoding_memory import SMALL_BYTES, DecodingRoom, bytes_to_decode, usable_memory_bytes
from foray.data.encoded_images import decoded_batches, encoded_files
from foray.data.images import decoded
from foray.deploy.predict import open_image
from foray.specs import Preprocessing

SIDE = 900  # pixels: 8 bytes each are more than is small
NEEDED = 8 * SIDE * SIDE
PREPROCESSING = Preprocessing(32)
KILOBYTES = """
def kilobytes(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))
"""


class Watched(DecodingRoom):
    """Notes what is held when a picture is let in, and that one had to wait."""

    def __init__(self, budget: int) -> None:
        super().__init__(budget)
        self.held: list[int] = []
        self.waits = threading.Event()

    def fits(self, needed: int) -> bool:
        fits = super().fits(needed)
        if not fits:
            self.waits.set()
        return fits

    @contextmanager
    def taken(self, needed: int) -> Iterator[None]:
        with super().taken(needed):
            self.held.append(self.taken_bytes)
            yield


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of eight pictures each, no two alike."""
    for i in range(16):
        pixels = np.random.default_rng(i).integers(0, 256, (30, 30, 3), dtype=np.uint8)
        folder = tmp_path / "pictures" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(folder / f"{i}.png")
    return tmp_path / "pictures"


def watched(monkeypatch: pytest.MonkeyPatch, budget: int) -> Watched:
    room = Watched(budget)
    monkeypatch.setattr("foray.data.images.decoding_room", lambda: room)
    return room


def test_a_picture_waits_until_there_is_room() -> None:
    room, entered = Watched(100), threading.Event()

    def second() -> None:
        with room.taken(60):
            entered.set()

    thread = threading.Thread(target=second)
    with room.taken(60):
        thread.start()
        assert room.waits.wait(60)
        assert not entered.is_set()
    thread.join(60)
    assert entered.is_set()
    assert room.held == [60, 60]
    assert room.taken_bytes == 0


def test_pictures_that_fit_are_decoded_at_the_same_time() -> None:
    room, both = DecodingRoom(100), threading.Barrier(2, timeout=60)

    def one() -> None:
        with room.taken(50):
            both.wait()

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not both.broken


def test_what_is_larger_than_the_budget_goes_alone_and_is_not_overtaken() -> None:
    room = Watched(100)
    order: list[str] = []

    def take(name: str, needed: int) -> None:
        with room.taken(needed):
            order.append(name)
            assert room.taken_bytes == needed

    large = threading.Thread(target=take, args=("large", 1000))
    with room.taken(10):
        large.start()
        assert room.waits.wait(60)
        small = threading.Thread(target=take, args=("small", 10))  # would fit beside the first
        small.start()
    large.join(60)
    small.join(60)
    assert order == ["large", "small"]


def test_room_is_given_back_after_an_error() -> None:
    room = DecodingRoom(100)
    with pytest.raises(ValueError, match="inside"), room.taken(60):
        raise ValueError("inside")
    assert room.taken_bytes == 0


@pytest.mark.parametrize("budget", [NEEDED // 3, int(2.5 * NEEDED)])  # smaller than a picture; two fit
def test_all_that_threads_decode_stays_within_the_budget(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    room = watched(monkeypatch, budget)
    monkeypatch.setenv("FORAY_CACHE", str(tmp_path / "looks"))  # how the pictures look is not remembered
    monkeypatch.setattr("foray.data.appearance.available_cores", lambda: 4)
    dataset = open_dataset(pictures)
    assert inspect_dataset(dataset).unreadable == []
    assert len(room.held) == 16

    store = decode_for_evaluation(dataset, PREPROCESSING, cache_dir=tmp_path / "cache", workers=4)
    assert len(room.held) == 32

    files = encoded_files(pictures, [sample.image.path for sample in dataset.samples])
    batches = [range(start, start + 2) for start in range(0, 16, 2)]
    streamed = np.concatenate([one.pixels for one in decoded_batches(files, batches, PREPROCESSING, workers=4)])
    assert len(room.held) == 48
    np.testing.assert_array_equal(streamed, store.pixels)

    assert max(room.held) <= max(budget, bytes_of(pictures / "a" / "0.png", PREPROCESSING.resize_side))
    assert room.taken_bytes == 0


def bytes_of(path: Path, resize_side: int = 0) -> int:
    with open_image(path) as image:
        return bytes_to_decode(image, image.width * image.height, resize_side)


def test_room_is_held_until_the_picture_is_no_longer_needed(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = watched(monkeypatch, 10 * NEEDED)
    with decoded(pictures / "a" / "0.png"):
        assert room.taken_bytes == NEEDED
    assert room.taken_bytes == 0


def test_small_pictures_do_not_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = watched(monkeypatch, 1)
    Image.new("RGB", (500, 375)).save(tmp_path / "small.jpg")
    assert bytes_of(tmp_path / "small.jpg") < SMALL_BYTES
    with decoded(tmp_path / "small.jpg"):
        assert room.held == []


def test_a_damaged_picture_gives_its_room_back(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = watched(monkeypatch, 10 * NEEDED)
    path = pictures / "a" / "0.png"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(Exception, match="truncated"), decoded(path):
        pass
    assert (len(room.held), room.taken_bytes) == (1, 0)


@pytest.mark.parametrize(
    ("mode", "name", "options"),
    [
        ("RGB", "plain.jpg", {}),
        ("RGB", "all coefficients.jpg", {"progressive": True, "subsampling": 0}),
        ("CMYK", "four inks.jpg", {}),
        ("RGBA", "transparent.png", {"compress_level": 1}),
        ("P", "transparent palette.png", {"transparency": 0}),
        ("I;16", "deep.png", {}),
        ("RGB", "strips.tif", {"compression": "tiff_lzw"}),
        ("RGB", "frame.webp", {"method": 0}),
    ],
)
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of a process is known on Linux")
def test_the_estimate_holds_what_decoding_takes(
    tmp_path: Path, mode: str, name: str, options: dict[str, object]
) -> None:
    gradient = Image.linear_gradient("L").resize((2500, 2000))
    deep = Image.fromarray(np.asarray(gradient).astype(np.uint16) * 257)
    (deep if mode == "I;16" else gradient.convert("RGB").convert(mode)).save(tmp_path / name, **options)
    program = f"""
import sys
from pathlib import Path
from PIL import Image
from foray.deploy.predict import decode
{KILOBYTES}
Image.new("RGB", (64, 64)).save(sys.argv[2])
decode(sys.argv[2])
Path("/proc/self/clear_refs").write_text("5")
before = kilobytes("VmRSS")
picture = decode(sys.argv[1])
print(1024 * (kilobytes("VmHWM") - before))
"""
    first = tmp_path / f"first{Path(name).suffix}"
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / name, first], capture_output=True, text=True, check=True
    )
    peak = int(done.stdout)
    assert 5_000_000 * 3 < peak <= bytes_of(tmp_path / name) + 2 * 2**20


def test_a_strip_counts_with_what_it_is_enlarged_to(tmp_path: Path) -> None:
    Image.new("RGB", (320, 10)).save(tmp_path / "strip.png")
    assert bytes_of(tmp_path / "strip.png", 2048) >= 4 * 2048 * 32 * 2048


def test_memory_is_what_the_control_groups_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = usable_memory_bytes()
    files = [tmp_path / name for name in ("memory.max", "above.max", "absent.max")]
    files[0].write_text("max\n")
    files[1].write_text("123456789\n")
    monkeypatch.setattr(decoding_memory, "_limit_files", lambda: iter(files))
    assert usable_memory_bytes() == 123456789 < whole


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of a process is known on Linux")
def test_threads_keep_no_memory_of_large_pictures_they_have_decoded(tmp_path: Path) -> None:
    """The C library would keep that of one picture for each thread."""
    picture = Image.linear_gradient("L").resize((2500, 2000)).convert("RGBA")
    picture.save(tmp_path / "large.png", compress_level=1)
    program = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from foray.data import images
from foray.data.decoding_memory import DecodingRoom
room = DecodingRoom(1)
images.decoding_room = lambda: room
def decode(_):
    with images.decoded(sys.argv[1], resize_side=64) as picture:
        return picture.size
{KILOBYTES}
decode(0)
Path("/proc/self/clear_refs").write_text("5")
before = kilobytes("VmRSS")
with ThreadPoolExecutor(4) as pool:
    sizes = list(pool.map(decode, range(12)))
assert sizes == [(2500, 2000)] * 12
print(1024 * (kilobytes("VmHWM") - before))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "large.png"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) <= bytes_of(tmp_path / "large.png")
