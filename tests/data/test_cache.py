"""The decode cache: right pixels, found again, and whole or absent whatever happens to the process or the disk."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import Image

from foray.data.batches import Batches
from foray.data.cache import ImageStore, decode_for_evaluation, decode_for_training, store_bytes, training_side
from foray.data.dataset import Dataset, ImageArray, ImageFile, Sample
from foray.data.decoding import StoredForm, decode_into
from foray.data.images import UnreadableImagesError, load_image
from foray.data.network_input import prepare
from foray.errors import DataError, DiskFullError, RunError
from foray.progress import SilentProgress, Task
from foray.specs.preprocessing import HALF, Preprocessing
from tests.damage import flip_a_bit

SMALL = Preprocessing(resolution=28, crop_pct=0.875)


class Counting(SilentProgress):
    """Keeps what is said and counts the images decoded."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.decoded = 0

    def note(self, message: str) -> None:
        self.notes.append(message)

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        yield self

    def advance(self, n: int = 1, note: str = "") -> None:
        self.decoded += n


def file_sample(path: Path, label: int = 0) -> Sample:
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    return Sample(path.name, ImageFile(path), label, "train", content=content)


def dataset_of(samples: list[Sample]) -> Dataset:
    return Dataset("test", "test", ("a", "b"), tuple(samples), "given")


def write_noise(folder: Path, n: int) -> Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(n)
    for i in range(n):
        height, width = random.integers(30, 60, 2)
        picture = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"image {i:03}.png")
    return dataset_of([file_sample(path, i % 2) for i, path in enumerate(sorted(folder.glob("*.png")))])


@pytest.fixture
def images(tmp_path: Path) -> Dataset:
    return write_noise(tmp_path / "images", 12)


def files_in(folder: Path) -> list[str]:
    """Names of all files below, but for the lock, which is empty and stays."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def assert_right(store: ImageStore, dataset: Dataset, preprocessing: Preprocessing = SMALL) -> None:
    expected = np.stack([prepare(load_image(sample.image.path), preprocessing) for sample in dataset.samples])
    np.testing.assert_array_equal(store.pixels, expected)


# --- what is stored ---------------------------------------------------------------------------------------------------


def test_evaluation_store_holds_prepare_of_every_image_in_order(images: Dataset, tmp_path: Path) -> None:
    store = decode_for_evaluation(images, SMALL, cache_dir=tmp_path / "cache")
    assert_right(store, images)
    assert store.pixels.dtype == np.uint8
    assert store.labels.tolist() == [sample.label for sample in images.samples]
    assert store.pixels.shape == (12, 28, 28, 3)
    assert store.pixels.nbytes == store_bytes(12, 28) == store.path.stat().st_size == 12 * 28 * 28 * 3
    assert files_in(tmp_path / "cache") == ["index.json", "pixels.u8"]


def test_real_photographs_are_cached_as_prepared(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "data/imagenet_sample_1000/imagenet_sample_1000.zip") as archive:
        names = [name for name in archive.namelist() if name.lower().endswith((".jpeg", ".jpg"))][::40]
        archive.extractall(tmp_path, names)
    dataset = dataset_of([file_sample(tmp_path / name) for name in names])
    store = decode_for_evaluation(dataset, Preprocessing(), cache_dir=tmp_path / "cache", workers=2)
    assert_right(store, dataset, Preprocessing())
    assert len(store) == 25


def test_training_store_has_the_margin_and_its_centre_is_the_evaluation_image(images: Dataset, tmp_path: Path) -> None:
    training = decode_for_training(images, SMALL, cache_dir=tmp_path)
    evaluation = decode_for_evaluation(images, SMALL, cache_dir=tmp_path)
    assert training.pixels.shape[1] == training_side(SMALL) == 32
    np.testing.assert_array_equal(training.pixels[:, 2:30, 2:30], evaluation.pixels)
    assert decode_for_training(images, SMALL, margin=1.5, cache_dir=tmp_path).pixels.shape[1] == 42
    assert training_side(Preprocessing(32, crop_pct=1.0)) == 32


def test_training_store_of_large_photographs_looks_like_the_full_decode(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 800).astype(np.uint8)
    picture = np.stack(np.broadcast_arrays(ramp[:600, None], ramp[None, :], np.uint8(90)), axis=2)
    path = tmp_path / "large.jpg"
    Image.fromarray(picture).save(path, quality=95)
    dataset = dataset_of([file_sample(path)])
    training = decode_for_training(dataset, SMALL, cache_dir=tmp_path).pixels[0, 2:30, 2:30].astype(int)
    evaluation = decode_for_evaluation(dataset, SMALL, cache_dir=tmp_path).pixels[0].astype(int)
    assert np.abs(training - evaluation).max() <= 6


def test_arrays_are_cached_like_files(images: Dataset, tmp_path: Path) -> None:
    arrays = dataset_of(
        [
            replace(sample, image=ImageArray(np.asarray(load_image(sample.image.path))), content="")
            for sample in images.samples
        ]
    )
    assert_right(decode_for_evaluation(arrays, SMALL, cache_dir=tmp_path), images)


# --- found again ------------------------------------------------------------------------------------------------------


def test_the_second_call_decodes_nothing_and_the_first_announces_its_size(images: Dataset, tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    built = decode_for_evaluation(images, SMALL, cache_dir=tmp_path, progress=first)
    found = decode_for_evaluation(images, SMALL, cache_dir=tmp_path, progress=second)
    assert (first.decoded, second.decoded, second.notes) == (12, 0, [])
    (note,) = first.notes
    assert "12 images at 28 x 28 pixels" in note
    assert f"{12 * 28 * 28 * 3 / 1e6:.1f} MB" in note
    assert str(built.path.parent) in note
    np.testing.assert_array_equal(found.pixels, built.pixels)


def test_the_default_place_is_the_cache_directory(images: Dataset) -> None:
    store = decode_for_evaluation(images, SMALL)
    assert store.path.is_relative_to(Path(os.environ["FORAY_CACHE"]) / "decoded")


def test_labels_splits_names_mean_and_deviation_share_a_store(images: Dataset, tmp_path: Path) -> None:
    built = decode_for_evaluation(images, SMALL, cache_dir=tmp_path)
    relabelled = dataset_of([replace(sample, label=1, split="test", id="x" + sample.id) for sample in images.samples])
    counting = Counting()
    found = decode_for_evaluation(
        relabelled, replace(SMALL, mean=HALF, std=HALF), cache_dir=tmp_path, progress=counting
    )
    assert (found.path, counting.decoded) == (built.path, 0)
    assert set(found.labels) == {1}


def test_other_contents_order_or_pixels_make_another_store(images: Dataset, tmp_path: Path) -> None:
    reordered = replace(images, samples=images.samples[::-1])
    fewer = replace(images, samples=images.samples[1:])
    stores = [
        decode_for_evaluation(images, SMALL, cache_dir=tmp_path),
        decode_for_evaluation(reordered, SMALL, cache_dir=tmp_path),
        decode_for_evaluation(fewer, SMALL, cache_dir=tmp_path),
        decode_for_evaluation(images, replace(SMALL, interpolation="bilinear"), cache_dir=tmp_path),
        decode_for_evaluation(images, replace(SMALL, crop_pct=1.0), cache_dir=tmp_path),
        decode_for_evaluation(images, replace(SMALL, resolution=27), cache_dir=tmp_path),
        decode_for_training(images, SMALL, cache_dir=tmp_path),
    ]
    assert len({store.path for store in stores}) == len(stores)
    np.testing.assert_array_equal(stores[1].pixels, stores[0].pixels[::-1])


def test_a_file_changed_in_place_is_decoded_again_when_no_hash_is_given(images: Dataset, tmp_path: Path) -> None:
    unhashed = replace(images, samples=tuple(replace(sample, content="") for sample in images.samples))
    decode_for_evaluation(unhashed, SMALL, cache_dir=tmp_path)
    Image.new("RGB", (40, 40), "red").save(images.samples[3].image.path)
    assert_right(decode_for_evaluation(unhashed, SMALL, cache_dir=tmp_path), images)


@pytest.mark.parametrize("damage", ["short", "long", "pixels gone", "index gone", "index garbage", "index empty"])
def test_a_damaged_store_is_rebuilt(images: Dataset, tmp_path: Path, damage: str) -> None:
    path = decode_for_evaluation(images, SMALL, cache_dir=tmp_path).path
    index = path.with_name("index.json")
    match damage:
        case "short":
            path.write_bytes(path.read_bytes()[:-1])
        case "long":
            path.write_bytes(path.read_bytes() + b"x")
        case "pixels gone":
            path.unlink()
        case "index gone":
            index.unlink()
        case "index garbage":
            index.write_bytes(b"\xff{")
        case "index empty":
            index.write_bytes(b"")
    counting = Counting()
    assert_right(decode_for_evaluation(images, SMALL, cache_dir=tmp_path, progress=counting), images)
    assert counting.decoded == 12


@pytest.mark.parametrize("position", [0, 5 * 28 * 28 * 3 + 7, -1])
def test_a_flipped_bit_is_noticed_and_mended(images: Dataset, tmp_path: Path, position: int) -> None:
    path = decode_for_evaluation(images, SMALL, cache_dir=tmp_path).path
    whole = path.read_bytes()
    flip_a_bit(path, position)
    counting = Counting()
    store = decode_for_evaluation(images, SMALL, cache_dir=tmp_path, progress=counting)
    assert_right(store, images)
    assert counting.notes == [f"Images cached in {path} are damaged: they are decoded again."]
    assert path.read_bytes() == whole
    assert counting.decoded == 0  # the damaged one alone was, when it was read


def test_batches_are_of_whole_images_whatever_became_of_the_file(images: Dataset, tmp_path: Path) -> None:
    store = decode_for_training(images, SMALL, cache_dir=tmp_path)
    expected = np.array(store.pixels)
    store.path.write_bytes(bytes(255 - byte for byte in store.path.read_bytes()))
    again = decode_for_training(images, SMALL, cache_dir=tmp_path)
    batches = Batches(again, np.arange(12), batch_size=5, device="cpu", seed=1)
    for found, _, positions in batches.epoch(0):
        np.testing.assert_array_equal(found.permute(0, 2, 3, 1).numpy(), expected[positions.numpy()])


def test_every_way_to_read_verifies_what_it_reads(images: Dataset, tmp_path: Path) -> None:
    expected = np.array(decode_for_evaluation(images, SMALL, cache_dir=tmp_path).pixels)
    keys = [4, -3, slice(2, 7), slice(None, None, -1), np.array([5, 0, 5]), (slice(3, 6), slice(1, 9), 2), (7, 0)]
    for key in keys:
        store = decode_for_evaluation(images, SMALL, cache_dir=tmp_path)
        store.path.write_bytes(bytes(12 * 28 * 28 * 3))
        np.testing.assert_array_equal(store.pixels[key], expected[key])


def test_an_image_is_verified_once(images: Dataset, tmp_path: Path) -> None:
    store = decode_for_evaluation(images, SMALL, cache_dir=tmp_path)
    before = np.array(store.pixels[3])
    flip_a_bit(store.path, 3 * 28 * 28 * 3)
    assert store.pixels[3][0, 0, 0] == before[0, 0, 0] ^ 64


def test_damage_to_an_image_that_is_gone_is_an_error_and_the_store_is_discarded(
    images: Dataset, tmp_path: Path
) -> None:
    path = decode_for_evaluation(images, SMALL, cache_dir=tmp_path / "cache").path
    flip_a_bit(path, 0)
    store = decode_for_evaluation(images, SMALL, cache_dir=tmp_path / "cache")
    images.samples[0].image.path.unlink()
    with pytest.raises(DataError, match=r"pixels\.u8 is damaged, and image 0 .* The cache is discarded: run the same"):
        _ = store.pixels[0]
    with pytest.raises(UnreadableImagesError, match="no such file"):
        decode_for_evaluation(images, SMALL, cache_dir=tmp_path / "cache")


def test_a_store_of_an_earlier_version_without_digests_is_built_anew_in_its_place(
    images: Dataset, tmp_path: Path
) -> None:
    path = decode_for_evaluation(images, SMALL, cache_dir=tmp_path).path
    index = json.loads(path.with_name("index.json").read_text())
    earlier = {key: index[key] for key in ("key", "shape", "pillow")} | {"format_version": 1}
    path.with_name("index.json").write_text(json.dumps(earlier))
    flip_a_bit(path, 0)
    counting = Counting()
    store = decode_for_evaluation(images, SMALL, cache_dir=tmp_path, progress=counting)
    assert_right(store, images)
    assert (store.path, counting.decoded) == (path, 12)
    assert "is damaged, or of an earlier version of foray: its images are decoded again" in counting.notes[0]


@pytest.mark.parametrize("position", range(40, 340, 40))
def test_a_damaged_index_is_noticed(images: Dataset, tmp_path: Path, position: int) -> None:
    path = decode_for_evaluation(images, SMALL, cache_dir=tmp_path).path
    flip_a_bit(path.with_name("index.json"), position)
    counting = Counting()
    assert_right(decode_for_evaluation(images, SMALL, cache_dir=tmp_path, progress=counting), images)
    assert counting.decoded == 12


def test_a_store_that_is_in_use_survives_its_replacement(images: Dataset, tmp_path: Path) -> None:
    store = decode_for_evaluation(images, SMALL, cache_dir=tmp_path)
    store.path.with_name("index.json").unlink()
    decode_for_evaluation(images, SMALL, cache_dir=tmp_path)
    assert_right(store, images)


# --- bad images -------------------------------------------------------------------------------------------------------


def test_unreadable_images_are_named_together_and_nothing_is_left(images: Dataset, tmp_path: Path) -> None:
    paths = [sample.image.path for sample in images.samples]
    paths[2].write_bytes(b"")
    paths[5].write_bytes(paths[5].read_bytes()[:200])
    paths[7].write_text("a note that strayed into a class folder")
    paths[9].unlink()
    with pytest.raises(UnreadableImagesError) as caught:
        decode_for_evaluation(images, SMALL, cache_dir=tmp_path / "cache")
    bad = [images.samples[i].id for i in (2, 5, 7, 9)]
    assert list(caught.value.ids) == bad
    message = str(caught.value)
    for id_, reason in zip(bad, ("empty", "truncated", "not an image", "no such file"), strict=True):
        assert reason in caught.value.reasons[id_]
        assert f"{id_} ({caught.value.reasons[id_]})" in message
    assert "4 images cannot be read" in message
    assert files_in(tmp_path / "cache") == []

    kept = replace(images, samples=tuple(sample for sample in images.samples if sample.id not in bad))
    assert_right(decode_for_evaluation(kept, SMALL, cache_dir=tmp_path / "cache"), kept)


def test_an_empty_dataset_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        decode_for_evaluation(dataset_of([]), SMALL, cache_dir=tmp_path)


# --- bad disks --------------------------------------------------------------------------------------------------------


def test_a_disk_without_room_is_refused_before_anything_is_written(images: Dataset, tmp_path: Path) -> None:
    huge = Preprocessing(resolution=4096, crop_pct=1.0)  # 50 MB an image
    images = replace(images, samples=images.samples * 20_000)  # 12 TB
    with pytest.raises(DiskFullError, match="needs 12,079,596 MB"):
        decode_for_evaluation(images, huge, cache_dir=tmp_path / "cache")
    assert files_in(tmp_path / "cache") == []


def test_a_write_that_finds_the_disk_full_is_a_clear_error(images: Dataset) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(DiskFullError, match="disk is full while caching"):
            decode_into(descriptor, images.samples, StoredForm(SMALL, draft=False), workers=2, task=Counting())
    finally:
        os.close(descriptor)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp_path / "disk"
    folder.mkdir()
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"size=64k") != 0:
        pytest.skip(f"cannot mount a small file system: {errno.errorcode[ctypes.get_errno()]}")
    yield folder
    assert libc.umount(str(folder).encode()) == 0


def test_a_full_disk_leaves_nothing_behind(images: Dataset, tiny_disk: Path) -> None:
    with pytest.raises(DiskFullError, match=r"needs .* MB but .* free"):
        decode_for_evaluation(images, Preprocessing(112), cache_dir=tiny_disk)
    assert files_in(tiny_disk) == []


def test_a_disk_that_fills_up_after_the_check_leaves_nothing_behind(images: Dataset, tiny_disk: Path) -> None:
    class Crowded(SilentProgress):
        @contextmanager
        def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
            (tiny_disk / "of somebody else").write_bytes(bytes(48 * 1024))
            yield Counting()

    with pytest.raises(DiskFullError, match="The disk is full while caching"):
        decode_for_evaluation(images, SMALL, cache_dir=tiny_disk, progress=Crowded())
    assert files_in(tiny_disk) == ["of somebody else"]


def run_child(code: str, dataset: Dataset, cache: Path, **options: object) -> subprocess.Popen[str]:
    """Runs `code` in a process of its own, with `dataset`, `SMALL` and `cache` defined, speaking over pipes."""
    folder = dataset.samples[0].image.path.parent
    setting = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_cache import *
dataset = dataset_of([file_sample(path) for path in sorted(Path({str(folder)!r}).glob("*.png"))])
cache = Path({str(cache)!r})

class Talking(Counting):
    def note(self, message):
        print("note", message, flush=True)

    def advance(self, n=1, note=""):
        self.decoded += n
        if self.decoded == 5 and {bool(options.get("stops"))}:
            print("half way", flush=True)
            sys.stdin.readline()
"""
    return subprocess.Popen(
        [sys.executable, "-c", setting + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


BUILD = """
talking = Talking()
store = decode_for_evaluation(dataset, SMALL, cache_dir=cache, progress=talking)
print("decoded", talking.decoded, hashlib.sha256(np.asarray(store.pixels)).hexdigest(), flush=True)
"""


def wait_for(stream: IO[str] | None, start: str) -> str:
    assert stream is not None
    for line in stream:
        if line.startswith(start):
            return line.strip()
    raise AssertionError(f"the process ended without saying {start!r}")


def test_a_file_size_limit_is_a_clear_error_and_leaves_nothing(images: Dataset, tmp_path: Path) -> None:
    code = f"""
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, {resource.getrlimit(resource.RLIMIT_FSIZE)[1]}))
try:
    decode_for_evaluation(dataset, SMALL, cache_dir=cache)
except DiskFullError as error:
    print("refused", error)
"""
    with run_child(code, images, tmp_path / "cache") as child:
        assert "exceeds the largest file size" in wait_for(child.stdout, "refused")
    assert files_in(tmp_path / "cache") == []


def test_a_cache_folder_that_is_a_file_is_a_clear_error(images: Dataset, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(RunError, match="Cannot create the folder"):
        decode_for_evaluation(images, SMALL, cache_dir=tmp_path / "cache")


# --- killed, interrupted, twice at once -------------------------------------------------------------------------------


def test_a_killed_process_does_not_stand_in_the_way(images: Dataset, tmp_path: Path) -> None:
    with run_child(BUILD, images, tmp_path / "cache", stops=True) as child:
        wait_for(child.stdout, "half way")
        child.send_signal(signal.SIGKILL)
    (left,) = files_in(tmp_path / "cache")  # its temporary file, which nobody could remove
    assert left.startswith(".pixels.u8.")
    assert_right(decode_for_evaluation(images, SMALL, cache_dir=tmp_path / "cache"), images)
    assert files_in(tmp_path / "cache") == ["index.json", "pixels.u8"]


def test_ctrl_c_leaves_no_file_and_no_thread(images: Dataset, tmp_path: Path) -> None:
    code = """
import threading
try:
    decode_for_evaluation(dataset, SMALL, cache_dir=cache, progress=Talking())
except KeyboardInterrupt:
    print("interrupted", threading.active_count(), flush=True)
"""
    with run_child(code, images, tmp_path / "cache", stops=True) as child:
        wait_for(child.stdout, "half way")
        child.send_signal(signal.SIGINT)
        # A signal that comes just before the child waits for its line is looked at once the line is there.
        with contextlib.suppress(BrokenPipeError):
            print("go on", file=child.stdin, flush=True)
        assert wait_for(child.stdout, "interrupted") == "interrupted 1"
    assert child.returncode == 0
    assert files_in(tmp_path / "cache") == []


def test_of_two_processes_one_builds_and_the_other_waits_and_uses_it(images: Dataset, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with run_child(BUILD, images, cache, stops=True) as builder:
        wait_for(builder.stdout, "half way")
        with run_child(BUILD, images, cache) as second:
            assert wait_for(second.stdout, "note").startswith("note Waiting for ")
            assert builder.stdin is not None
            builder.stdin.write("go on\n")
            builder.stdin.flush()
            first_line, second_line = wait_for(builder.stdout, "decoded"), wait_for(second.stdout, "decoded")
    assert first_line.split()[1] == "12"
    assert second_line.split()[1] == "0"
    assert first_line.split()[2] == second_line.split()[2]
    assert_right(decode_for_evaluation(images, SMALL, cache_dir=cache), images)
