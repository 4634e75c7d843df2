"""The peer: a small-image pipeline as PyTorch's tutorials write it, float32 NCHW. Needs torchvision.

Pillow images through RandomCrop(padding), RandomHorizontalFlip, ToTensor and Normalize in a DataLoader's workers; the
network is foray's, so that what differs is the loop around it and the layout and precision it runs in.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks import _foray_train as foray_side
from benchmarks._side import ProcessMemory, Work, serve
from foray.deploy.predict import open_image
from foray.specs import get_spec
from tools.peers import import_peer

torchvision: Any = import_peer("torchvision")
PADDING = 4  # pixels


class Decoded(torch.utils.data.Dataset[Any]):
    """Images of class folders, decoded once, as torchvision.datasets.CIFAR10 holds them."""

    def __init__(self, folder: Path, transform: Any) -> None:
        self.classes = sorted(path.name for path in folder.iterdir())
        self.transform = transform
        self._images: list[tuple[Image.Image, int]] = []
        for label, name in enumerate(self.classes):
            for path in sorted((folder / name).iterdir()):
                with open_image(path) as opened:
                    self._images.append((opened.convert("RGB"), label))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self._images[index]
        return self.transform(image), label


def main() -> None:
    parser = foray_side.arguments(__doc__)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()

    def prepare() -> Work:
        preprocessing = get_spec(given.network).preprocessing
        v1 = torchvision.transforms
        transform = v1.Compose(
            [
                v1.RandomCrop(given.resolution, padding=PADDING),
                v1.RandomHorizontalFlip(),
                v1.ToTensor(),
                v1.Normalize(preprocessing.mean, preprocessing.std),
            ]
        )
        images = Decoded(given.folder / "train", transform)
        loader = torch.utils.data.DataLoader(
            images, given.batch_size, shuffle=True, drop_last=True, num_workers=given.workers, persistent_workers=True
        )
        return training(foray_side.network_of(given, len(images.classes)), loader)

    serve(prepare)


def training(network: nn.Module, loader: torch.utils.data.DataLoader[Any]) -> Work:
    """The loop of PyTorch's tutorial."""
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    batches: Iterator[tuple[Tensor, Tensor]] = itertools.chain.from_iterable(itertools.repeat(loader))
    resident = next(batches)
    network.train()
    running_loss = 0.0

    def step(images: Tensor, labels: Tensor) -> None:
        nonlocal running_loss
        optimizer.zero_grad()
        loss = criterion(network(images), labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()

    def loop(steps: int) -> None:
        for images, labels in itertools.islice(batches, steps):
            step(images, labels)

    def network_only(steps: int) -> None:
        for _ in range(steps):
            step(*resident)

    about = {
        "precision": "float32", "threads": torch.get_num_threads(), "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }  # fmt: skip
    return Work({"step": loop, "network": network_only}, about, ProcessMemory())


if __name__ == "__main__":
    main()
