"""The peer: timm's train step as its train.py writes it. Needs timm and torchvision.

`--data loader`: `timm.data.create_loader` (its training transform on Pillow images, worker processes, normalisation
after collation) over images decoded and resized once. `--data ours`: the batches and the augmentation of foray, so that
what differs is the network and its step alone.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks import _foray_train as foray_side
from benchmarks._side import Work, serve
from foray.deploy.predict import open_image
from tools.peers import import_peer

timm: Any = import_peer("timm")
timm_optim: Any = import_peer("timm.optim")
NAMES = {
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v2_x0.5": "mobilenetv2_050",
    "efficientnet_b0": "efficientnet_b0",
}
DROP_RATE = 0.2  # of both networks' papers
DROP_PATH_RATE = {"efficientnet_b0": 0.2}
CROP_SCALE, CROP_RATIO = foray_side.PHOTOS.random_crop_scale, foray_side.PHOTOS.random_crop_ratio


def main() -> None:
    parser = foray_side.arguments(__doc__)
    parser.add_argument("--data", choices=["loader", "ours"], default="loader")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--compile", action="store_true", help="torch.compile, as train.py --torchcompile")
    parser.add_argument("--workers", type=int, default=2, help="of the loader")
    parser.add_argument("--resize-side", type=int, default=256, help="short side the loader's images are kept at")
    given = parser.parse_args()
    serve(lambda: prepare(given))


def prepare(given: argparse.Namespace) -> Work:
    """Everything up to the first step."""
    device = torch.device(given.device)
    torch.backends.cuda.matmul.allow_tf32 = True  # as train.py sets both
    torch.backends.cudnn.benchmark = True
    batches, num_classes = _loader_batches(given) if given.data == "loader" else _our_batches(given, device)
    step = train_step(given, num_classes, device)
    resident, resident_labels = next(batches)

    def loop(steps: int) -> None:
        for images, labels in itertools.islice(batches, steps):
            step(images, labels)
        foray_side.finish(device)

    def network_only(steps: int) -> None:
        for _ in range(steps):
            step(resident, resident_labels)
        foray_side.finish(device)

    about = {
        "precision": given.precision, "compiled": given.compile, "data": given.data, "timm": timm.__version__,
        "threads": torch.get_num_threads(), "torch": torch.__version__,
    }  # fmt: skip
    return Work({"step": loop, "network": network_only}, about, foray_side.memory_of(device))


def train_step(given: argparse.Namespace, num_classes: int, device: torch.device) -> Callable[[Tensor, Tensor], None]:
    """timm's step on normalised images (N, 3, R, R) and labels (N,): channels-last, autocast, momentum SGD."""
    network: nn.Module = timm.create_model(
        NAMES[given.network],
        num_classes=num_classes,
        drop_rate=DROP_RATE,
        drop_path_rate=DROP_PATH_RATE.get(given.network, 0.0),
    )
    network.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = timm_optim.create_optimizer_v2(network, opt="momentum", lr=0.01, weight_decay=0.0, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    forward = torch.compile(network) if given.compile else network

    def step(images: Tensor, labels: Tensor) -> None:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16) if given.precision == "bfloat16" else nullcontext():
            loss = criterion(forward(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


@dataclass
class InMemory(torch.utils.data.Dataset[Any]):
    """Decoded images and their labels; `create_loader` sets the transform."""

    images: list[Image.Image]
    labels: list[int]
    transform: Callable[[Image.Image], Any] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        assert self.transform is not None
        return self.transform(self.images[index]), self.labels[index]


def _loader_batches(given: argparse.Namespace) -> tuple[Iterator[tuple[Tensor, Tensor]], int]:
    dataset, num_classes = _decoded(given.folder / "train", given.resize_side)
    loader = timm.data.create_loader(
        dataset,
        input_size=(3, given.resolution, given.resolution),
        batch_size=given.batch_size,
        is_training=True,
        scale=CROP_SCALE,
        ratio=CROP_RATIO,
        color_jitter=None,
        interpolation="bilinear",
        num_workers=given.workers,
        device=torch.device(given.device),
    )
    return itertools.chain.from_iterable(itertools.repeat(loader)), num_classes


def _decoded(folder: Path, side: int) -> tuple[InMemory, int]:
    """Every image of the class folders, its short side resized to `side`, bilinear."""
    classes = sorted(path.name for path in folder.iterdir())
    images, labels = [], []
    for label, name in enumerate(classes):
        for path in sorted((folder / name).iterdir()):
            with open_image(path) as opened:
                image = opened.convert("RGB")
            scale = side / min(image.size)
            size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
            images.append(image.resize(size, Image.Resampling.BILINEAR))
            labels.append(label)
    return InMemory(images, labels), len(classes)


def _our_batches(given: argparse.Namespace, device: torch.device) -> tuple[Iterator[tuple[Tensor, Tensor]], int]:
    source = foray_side.source_of(given, device)
    batches = source.batches_of_every_epoch()
    return ((source.augment(b.images, b.epoch, b.step), b.labels) for b in batches), source.num_classes


if __name__ == "__main__":
    main()
