"""The decode cache against Pillow alone, side by side, and the memory it takes for 10,000 images.

    python benchmarks/decode_cache.py [FOLDER|ZIP]       # default: the 1000 ImageNet sample images of FORAY_TEST_DATA

Asked for: images/s >= 0.85 x cores x a bare loop of Pillow's decode, resize and crop in one thread; peak resident
memory below 1 GiB while 10,000 images are cached. The two take turns, and the ratio is of the medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import PIL
from PIL import Image

from foray.data.cache import decode_for_evaluation, store_bytes
from foray.data.dataset import Dataset, ImageFile, Sample
from foray.deploy.predict import open_image
from foray.records import available_cores
from foray.specs.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(resolution=224, crop_pct=0.875, interpolation="bicubic")
SUFFIXES = {".jpg", ".jpeg", ".png"}


def main() -> None:
    shared = Path(os.environ.get("FORAY_TEST_DATA", Path(__file__).resolve().parents[2] / "shared"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sample = shared / "data/imagenet_sample_1000/imagenet_sample_1000.zip"
    parser.add_argument("images", type=Path, nargs="?", default=sample, help="a folder of images, or a zip of one")
    parser.add_argument("--rounds", type=int, default=3, help="how often the two take turns (default 3)")
    parser.add_argument("--memory-images", type=int, default=10_000, help="images cached for the memory figure")
    parser.add_argument(
        "--peak-memory", action="store_true", help="only cache the images once and print the peak, bytes"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="decode-cache-") as scratch:
        files = image_files(arguments.images, Path(scratch))
        if arguments.peak_memory:
            cache_once(list(islice(cycle(files), arguments.memory_images)), Path(scratch))
            print(peak_resident_bytes())
        else:
            report(files, arguments.images, arguments.rounds, arguments.memory_images, Path(scratch))


def report(files: list[Path], images: Path, rounds: int, memory_images: int, scratch: Path) -> None:
    bare, cached = [], []
    for _ in range(rounds):
        bare.append(seconds(lambda: bare_pillow(files)))
        cached.append(seconds(lambda: cache_once(files, scratch)))
    bare_rate, cache_rate = len(files) / statistics.median(bare), len(files) / statistics.median(cached)
    cores = available_cores()
    command = [sys.executable, __file__, str(images), "--peak-memory", "--memory-images", str(memory_images)]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    written = store_bytes(memory_images, PREPROCESSING.resolution)
    print(f"{len(files)} images, {rounds} rounds, {cores} cores, Pillow {PIL.__version__}")
    print(f"{'':32}{'images/s':>10}   rounds, s")
    print(f"{'Pillow, one thread':32}{bare_rate:10.1f}   {', '.join(f'{s:.2f}' for s in bare)}")
    print(f"{'decode cache':32}{cache_rate:10.1f}   {', '.join(f'{s:.2f}' for s in cached)}")
    ratio = cache_rate / (cores * bare_rate)
    print(f"{'cache / (cores x Pillow)':32}{ratio:10.2f}   asked for: >= 0.85")
    label = f"peak MiB, {memory_images:,} images"
    print(f"{label:32}{peak / 2**20:10.0f}   asked for: < 1024 ({written / 2**20:,.0f} MiB written)")


def bare_pillow(files: list[Path]) -> None:
    """What a person would write: decode, resize the short side to 256, crop 224 from the centre."""
    side, resolution = PREPROCESSING.resize_side, PREPROCESSING.resolution
    for file in files:
        with open_image(file) as opened:
            image = opened.convert("RGB")
        scale = side / min(image.size)
        width, height = (max(side, round(length * scale)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - resolution) // 2, (height - resolution) // 2
        image.crop((left, top, left + resolution, top + resolution)).load()


def cache_once(files: list[Path], scratch: Path) -> None:
    """Caches every file, repeated ones as images of their own, into a new folder below `scratch`."""
    samples = [Sample(f"{i}/{file.name}", ImageFile(file), 0, "test", content=f"{i}") for i, file in enumerate(files)]
    dataset = Dataset("benchmark", "benchmark", ("image",), tuple(samples), "given")
    decode_for_evaluation(dataset, PREPROCESSING, cache_dir=Path(tempfile.mkdtemp(dir=scratch)))


def image_files(images: Path, scratch: Path) -> list[Path]:
    if images.is_file():
        with zipfile.ZipFile(images) as archive:
            archive.extractall(scratch / "images")
        images = scratch / "images"
    files = sorted(path for path in images.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        sys.exit(f"No images in {images}: name a folder or a zip, or set FORAY_TEST_DATA.")
    return files


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_resident_bytes() -> int:
    """Largest resident set of this process so far (it has no children: the cache decodes in threads)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this kernel does not tell VmHWM")


if __name__ == "__main__":
    main()
