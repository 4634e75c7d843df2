"""Where the pixels of a batch come from: moved whole, resized, or resampled once by an affine map per image.

Pixels are values 0 to 255, (N, 3, H, W), as uint8 or float32.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from foray.augmentation.draws import Floats, Integers

# Bilinear interpolation reads a pixel's four neighbours: an output smaller than this share of what it shows would skip
# pixels and alias.
_LEAST_SCALE = 0.75


def take_pixels(images: Tensor, rows: Integers, columns: Integers) -> Tensor:
    """(N, 3, M, M) -> the pixels at `rows` x `columns`, (N, R) each, of every image: (N, 3, R, R), channels-last.

    Rows of pixels are copied as they are; columns are then gathered by one index shared by all rows and channels.
    """
    device = images.device
    n, side = columns.shape
    every = torch.arange(n, device=device)[:, None]
    bands = images.permute(0, 2, 3, 1)[every, torch.from_numpy(rows).to(device)]  # (N, R, M, 3)
    index = torch.from_numpy(columns).to(device)[:, None, :, None].expand(n, side, side, 3)
    return torch.gather(bands, 2, index).permute(0, 3, 1, 2)


def resize(images: Tensor, side: int) -> Tensor:
    """(N, 3, H, W) -> (N, 3, side, side), bilinear and antialiased, as Pillow does it; the type stays on a CPU."""
    if images.shape[2:] == (side, side):
        return images
    if images.is_cuda:
        images = images.float()  # there is no integer kernel
    return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


def shrink_for(images: Tensor, shown: float, side: int) -> Tensor:
    """The images, made smaller as a whole where squares of up to `shown` pixels become outputs of `side` pixels.

    A warp to not less than 0.75 of what it shows is left to bilinear interpolation; what is beyond that is done here.
    """
    stored = images.shape[-1]
    smaller = int(np.ceil(stored * side / (_LEAST_SCALE * shown)))
    return resize(images, smaller) if smaller < stored else images


def warp(images: Tensor, maps: Floats, side: int) -> Tensor:
    """Float (N, 3, H, W) sampled bilinearly at `maps` (N, 2, 3) of the output's pixels: (N, 3, side, side), planar.

    `maps` leads from output to input, both -1 to 1 from edge to edge. Beyond the edge the image is reflected.
    """
    middles = (2.0 * np.arange(side) + 1.0) / side - 1.0  # of the output's pixels
    along_row = maps[:, :, 0, None] * middles  # (N, 2, side): what x adds to both coordinates
    along_column = maps[:, :, 1, None] * middles + maps[:, :, 2, None]
    across, down = (torch.from_numpy(part.astype(np.float32)).to(images.device) for part in (along_row, along_column))
    grid = across.new_empty(len(images), side, side, 2)
    for axis in (0, 1):
        torch.add(across[:, axis, None, :], down[:, axis, :, None], out=grid[..., axis])
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
