"""The graph that is shipped: prepared pixels in, class probabilities out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foray.models import Network, fold_batch_norm
from foray.specs import Preprocessing


class Deployable(nn.Module):
    """uint8 RGB (N, R, R, 3), as foray.data.network_input.prepare gives it, to float32 class probabilities (N, C).

    Scaling to [0, 1] and normalisation are one multiplication and one addition, (x / 255 - mean) / std =
    x / (255 std) - mean / std, in float32 whatever `network` computes in; so is the softmax.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, network: Network, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.resolution = preprocessing.resolution
        std = torch.tensor(preprocessing.std, dtype=torch.float64)
        self.register_buffer("gain", (1 / (255 * std)).float())
        self.register_buffer("shift", (-torch.tensor(preprocessing.mean, dtype=torch.float64) / std).float())

    def forward(self, images: Tensor) -> Tensor:
        normalized = images.float() * self.gain + self.shift
        logits: Tensor = self.network(normalized.permute(0, 3, 1, 2).to(self.network.classifier.weight.dtype))
        return logits.float().softmax(dim=1)


def deployable(network: Network, preprocessing: Preprocessing) -> Deployable:
    """A copy of `network`, in inference mode with its batch norms folded, behind scaling and normalisation.

    Resize and crop come before it: in the graph of runtimes that can (`export.runtimes.add_resize`), else in the
    reader. The copy is on the CPU, in float32, and asks for no gradients, so that kernels for training stay off. Its
    weights are contiguous: LiteRT's exporter reads channels-last ones in the wrong order.
    """
    folded = fold_batch_norm(network).float().cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    module = Deployable(folded, preprocessing)
    return module.requires_grad_(False).eval()


def example_images(module: Deployable, n: int = 1) -> Tensor:
    """What an exporter traces `module` with: uint8 (n, R, R, 3) noise."""
    generator = torch.Generator().manual_seed(0)
    side = module.resolution
    return torch.randint(0, 256, (n, side, side, 3), dtype=torch.uint8, generator=generator)
