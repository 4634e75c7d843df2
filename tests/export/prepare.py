"""foray.export.prepare in torch: what the graphs of the runtimes are held against."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foray.export.prepare import FIXED_POINT, LONGEST_STRIP
from foray.specs import Preprocessing


class Prepare(nn.Module):
    """uint8 RGB (N, H, W, 3) to uint8 (N, R, R, 3), what foray.data.network_input.prepare does to one image."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.resolution = preprocessing.resolution
        self.resize_side = preprocessing.resize_side
        self.interpolation = preprocessing.interpolation
        self.resize = preprocessing.resize

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = torch.arange(images.shape[1]), torch.arange(images.shape[2])
        height, width = rows[-1:] + 1, columns[-1:] + 1  # (1,): of tensors every exporter keeps track
        short = torch.minimum(height, width)
        planes = images.permute(0, 3, 1, 2).float()  # (N, 3, H, W)
        wide = _grey_levels(planes @ self._weights(columns, width, short).T)  # (N, 3, H, R)
        squares = _grey_levels(self._weights(rows, height, short) @ wide)  # (N, 3, R, R)
        return squares.permute(0, 2, 3, 1).to(torch.uint8)

    def _weights(self, positions: Tensor, length: Tensor, short: Tensor) -> Tensor:
        """(R, L) float32: what each of `positions` (L,) of one side of the image contributes to each row of the square.

        Pixel j of a side that is resized from c to m pixels is the mean over pixels x, weighted by the filter at the
        distance of their centres, (x + 1/2) - (j + 1/2) c / m, in units of c / m where the image shrinks.
        """
        cut = torch.minimum(length, LONGEST_STRIP * short)
        resized = self._resized(cut, short)
        first = _rounded_half_to_even(resized - self.resolution, 2)
        x = positions - (length - cut) // 2
        j = torch.arange(self.resolution)[:, None] + first
        distance = (2 * x + 1) * resized - (2 * j + 1) * cut  # (R, L), times 2 m
        weights = self._filter(distance.abs().float() / (2 * torch.maximum(cut, resized)).float())
        weights = weights * ((x >= 0) & (x < cut)).float()
        weights = weights / weights.sum(1, keepdim=True)
        return torch.floor(weights * FIXED_POINT + 0.5) / FIXED_POINT

    def _resized(self, cut: Tensor, short: Tensor) -> Tensor:
        """(1,): the pixels that a side of `cut` pixels is resized to."""
        match self.resize:
            case "cut":
                return cut * self.resize_side // short
            case "rounded":
                return _rounded_half_to_even(cut * self.resize_side, short)
            case "squashed":
                return torch.full_like(cut, self.resize_side)

    def _filter(self, distance: Tensor) -> Tensor:
        """The triangle of half width 1, or Keys' cubic convolution (1981) of half width 2 with a = -1/2."""
        if self.interpolation == "bilinear":
            return (1 - distance).clamp(min=0)
        inside = (1.5 * distance - 2.5) * distance * distance + 1
        outside = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
        return torch.where(distance < 1, inside, torch.where(distance < 2, outside, torch.zeros_like(distance)))


def _grey_levels(sums: Tensor) -> Tensor:
    return torch.floor(sums + 0.5).clamp(0, 255)


def _rounded_half_to_even(dividend: Tensor, divisor: Tensor | int) -> Tensor:
    """`round(dividend / divisor)` of Python, for integers from 0."""
    floor = dividend // divisor
    twice_the_rest = 2 * (dividend - floor * divisor)
    is_up = (twice_the_rest > divisor) | ((twice_the_rest == divisor) & (floor % 2 == 1))
    return floor + is_up.to(floor.dtype)
