"""The peer: timm's validate loop as its validate.py writes it, float32 on the CPU. Needs timm and torchvision.

`create_dataset` over class folders, `create_loader` with its worker processes, the model in inference mode, accuracy
batch by batch; `--channels-last` and `--compile` are validate.py's flags (--channels-last, --torchcompile).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks._foray_validate import passes
from benchmarks._side import ProcessMemory, Work, serve
from tools.peers import import_peer

timm: Any = import_peer("timm")
timm_data: Any = import_peer("timm.data")
timm_utils: Any = import_peer("timm.utils")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="class folders")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()
    serve(lambda: prepare(given))


def prepare(given: argparse.Namespace) -> Work:
    """Everything up to the first image, and one validation, whose predictions are told."""
    device = torch.device("cpu")
    model = timm.create_model(f"local-dir:{given.weights}", pretrained=True).eval()
    config = timm_data.resolve_data_config({}, model=model)
    if given.channels_last:
        model = model.to(memory_format=torch.channels_last)
    forward = torch.compile(model) if given.compile else model
    dataset = timm_data.create_dataset(root=str(given.folder), name="")
    loader = timm_data.create_loader(
        dataset,
        input_size=config["input_size"],
        batch_size=given.batch_size,
        interpolation=config["interpolation"],
        mean=config["mean"],
        std=config["std"],
        num_workers=given.workers,
        crop_pct=config["crop_pct"],
        crop_mode=config["crop_mode"],
        pin_memory=False,
        device=device,
    )
    criterion = nn.CrossEntropyLoss()

    def validate() -> list[int]:
        predicted: list[int] = []
        losses, top1, top5 = (timm_utils.AverageMeter() for _ in range(3))
        with torch.inference_mode():
            for images, target in loader:
                if given.channels_last:
                    images = images.contiguous(memory_format=torch.channels_last)
                output = forward(images)
                acc1, acc5 = timm_utils.accuracy(output.detach(), target, topk=(1, 5))
                losses.update(criterion(output, target).item(), images.size(0))
                top1.update(acc1.item(), images.size(0))
                top5.update(acc5.item(), images.size(0))
                predicted += output.argmax(dim=1).tolist()
        return predicted

    names = [Path(name).name for name in dataset.filenames(basename=True)]
    return Work(
        {"evaluate": passes(validate)},
        {"top1": dict(zip(names, validate(), strict=True)), "timm": timm.__version__, "torch": torch.__version__},
        ProcessMemory(),
    )


if __name__ == "__main__":
    main()
