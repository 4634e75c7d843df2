"""A network as torchvision users run it: eager, float32, NCHW, `eval` and `inference_mode`, nothing else.

torchvision's own model where torchvision is installed; else this package's, which is the same graph, used that way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import torch

from foray.deploy._worker import Opened, serve
from foray.weights import create_model
from tools.peers import import_peer


def opened(model: str, threads: int, resolution: int) -> Opened:
    """Passes over normalised float images (N, 3, R, R)."""
    torch.set_num_threads(threads)
    torchvision = import_peer("torchvision")
    network = create_model(model) if torchvision is None else getattr(torchvision.models, model)(weights=None)
    network.eval()

    @torch.inference_mode()
    def run(images: torch.Tensor) -> torch.Tensor:
        return network(images)

    def passes(batch: int) -> Callable[[], object]:
        return partial(run, torch.randn(batch, 3, resolution, resolution))

    return Opened(passes, passes(1), lambda: None)


if __name__ == "__main__":
    serve(lambda: opened(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
