"""Our side of the training benchmarks: decode cache, `Batches`, `Augment`, network and step, as `foray train` has them.

python -m benchmarks._foray_train --network mobilenet_v2 --folder DIR     # see benchmarks._side for what it reads
"""

from __future__ import annotations

import argparse
import functools
import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from foray.cli.options import prepare_threads

if __name__ == "__main__":  # not where a peer borrows our batches: it has torch's own settings
    prepare_threads(None)  # as the command does, and like it before torch is imported

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmarks._side import Memory, ProcessMemory, Work, serve
from foray.augmentation import Augment
from foray.data import Batches, ImageStore, decode_for_training, normalize, open_dataset
from foray.evaluation.precision import ComputeFormat, compute_in, training_format
from foray.models import Network, SmallImage, build_model
from foray.native.allocator import keep_for_good, kept_memory
from foray.native.kernels import prepare_kernels
from foray.progress import SILENT
from foray.recipes import SGD, Augmentation
from foray.specs import Preprocessing, get_spec
from foray.training.freezing import set_training_mode
from foray.training.optimizers import create_optimizer

OPTIMIZER = SGD(learning_rate=0.01, momentum=0.9)
PHOTOS = Augmentation(random_crop_scale=(0.35, 1.0), random_crop_ratio=(3 / 4, 4 / 3), horizontal_flip=0.5)
SMALL_IMAGES = Augmentation(translate=4 / 32, horizontal_flip=0.5)  # torchvision's RandomCrop(32, padding=4) and flip
NOISE_CLASSES = 1000


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    given = parser.parse_args()
    serve(lambda: prepare(given))


def arguments(description: str | None) -> argparse.ArgumentParser:
    """What every side that reads batches of ours is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--network", required=True)
    parser.add_argument("--folder", type=Path, help="with train/ in class folders; without it, images are noise")
    parser.add_argument("--images", type=int, default=4096, help="how many of noise")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--small-images", action="store_true", help="stem of stride 1; shifts in place of crops")
    parser.add_argument("--device", default="cpu")
    return parser


def prepare(given: argparse.Namespace) -> Work:
    """Everything up to the first step."""
    device = torch.device(given.device)
    if device.type == "cpu":
        prepare_kernels(SILENT)
        keep_for_good()
        with kept_memory():  # as in the process of a command, it stays after the block
            pass
    source = source_of(given, device)
    network = network_of(given, source.num_classes).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    training = Training(network, training_format(given.precision, device))
    endless = source.batches_of_every_epoch()
    resident = next(endless)
    normalized = normalize(crop(resident.images, given.resolution), source.augment.preprocessing)

    def loop(steps: int) -> None:
        for batch in itertools.islice(endless, steps):
            training.step(functools.partial(source.augment, batch.images, batch.epoch, batch.step), batch.labels)
        finish(device)

    def network_only(steps: int) -> None:
        for _ in range(steps):
            training.step(lambda: normalized, resident.labels)
        finish(device)

    about = {
        "precision": training.compute_format,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "preloaded": preloaded_allocators(),
    }
    return Work({"step": loop, "network": network_only}, about, memory_of(device))


class Training:
    """A network with its loss and optimiser; `step` is what foray.training.loop does with a batch."""

    def __init__(self, network: nn.Module, compute_format: ComputeFormat) -> None:
        self.network, self.compute_format = network, compute_format
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = create_optimizer(OPTIMIZER, network)
        self.loss_sum, self.hits = 0.0, 0
        set_training_mode(network)

    def step(self, augmented: Callable[[], Tensor], labels: Tensor) -> None:
        """One step; `augmented` gives the normalised batch (N, 3, R, R)."""
        with compute_in(self.compute_format, labels.device):
            logits = self.network(augmented())
        loss = self.criterion(logits.float(), labels)
        self.loss_sum += float(loss.item()) * len(labels)
        self.hits += int((logits.argmax(dim=1) == labels).sum())
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class LoopBatch:
    """uint8 images (N, 3, M, M) as they are stored, labels (N,), and where in the training they stand."""

    images: Tensor
    labels: Tensor
    epoch: int
    step: int


@dataclass(frozen=True)
class Source:
    """Batches of stored images and what is done to them."""

    batches: Batches
    augment: Augment
    num_classes: int

    def batches_of_every_epoch(self) -> Iterator[LoopBatch]:
        """Epoch after epoch, in the order of each; a smaller last batch is passed over, so that steps are alike."""
        for epoch in itertools.count():
            for step, (images, labels, _) in enumerate(self.batches.epoch(epoch)):
                if len(labels) == self.batches.batch_size:
                    yield LoopBatch(images, labels, epoch, step)


def source_of(given: argparse.Namespace, device: torch.device) -> Source:
    """Batches of the folder's train/, or of noise. Raises ValueError where they do not fill one batch."""
    preprocessing = replace(get_spec(given.network).preprocessing, resolution=given.resolution)
    if given.small_images:
        preprocessing = replace(preprocessing, crop_pct=1.0)
    if given.folder is None:
        store, num_classes = noise_store(given.images, preprocessing), NOISE_CLASSES
        chosen = np.arange(given.images)
    else:
        store, num_classes, chosen = stored_images(given.folder, preprocessing)
    if len(chosen) < given.batch_size:
        raise ValueError(f"{len(chosen)} images do not fill a batch of {given.batch_size}")
    batches = Batches(store, chosen, batch_size=given.batch_size, device=device, seed=0)
    augmentation = SMALL_IMAGES if given.small_images else PHOTOS
    return Source(batches, Augment(augmentation, preprocessing, seed=0), num_classes)


def stored_images(folder: Path, preprocessing: Preprocessing) -> tuple[ImageStore, int, npt.NDArray[np.int64]]:
    """The decoded images, how many classes they have, and the positions of those in train/.

    The store is read into memory once, as the peers hold their images.
    """
    with tempfile.TemporaryDirectory() as cache:
        dataset = open_dataset(folder, cache_dir=Path(cache))
        store = decode_for_training(dataset, preprocessing, cache_dir=Path(cache))
        store = ImageStore(np.array(store.pixels), store.labels, store.path)
    chosen = [i for i, sample in enumerate(dataset.samples) if sample.id.startswith("train/")]
    return store, len(dataset.classes), np.array(chosen, dtype=np.int64)


def noise_store(n: int, preprocessing: Preprocessing) -> ImageStore:
    """`n` images of noise at the side `decode_for_training` would store: a GPU's speed does not depend on pixels."""
    random, side = np.random.default_rng(0), preprocessing.resize_side
    pixels = random.integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    return ImageStore(pixels, random.integers(0, NOISE_CLASSES, n), Path("noise"))


def network_of(given: argparse.Namespace, num_classes: int) -> Network:
    """The network from scratch, with the dropout and stochastic depth of its paper."""
    small_image: SmallImage = "stride1_stem" if given.small_images else "none"
    return build_model(get_spec(given.network), num_classes=num_classes, small_image=small_image, seed=0)


def crop(images: Tensor, side: int) -> Tensor:
    """The corner of every image, (N, 3, side, side)."""
    return images[:, :, :side, :side]


def finish(device: torch.device) -> None:
    """Waits for what a GPU has been told to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def preloaded_allocators() -> list[str]:
    """Those that `LD_PRELOAD` put in the place of the C library's (Linux)."""
    mapped = Path("/proc/self/maps")
    found = mapped.read_text(encoding="utf-8") if mapped.exists() else ""
    return [name for name in ("jemalloc", "mimalloc") if f"lib{name}" in found]


class CudaMemory:
    """What tensors take of the GPU, as PyTorch's allocator counts it."""

    def mark(self) -> int | None:
        """Bytes allocated: weights and resident images."""
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()

    def peak(self) -> int:
        """Largest bytes allocated."""
        return torch.cuda.max_memory_allocated()


def memory_of(device: torch.device) -> Memory:
    """The GPU's on a GPU, else the process's."""
    return CudaMemory() if device.type == "cuda" else ProcessMemory()


if __name__ == "__main__":
    main()
