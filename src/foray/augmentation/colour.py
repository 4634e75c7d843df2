"""Changes of colour on float pixels, 0 to 255, by Pillow's definitions (ImageEnhance, ImageOps), each image its own.

Images are (N, 3, H, W); what is particular to an image (N, 1, 1, 1). Every function returns a new tensor within 0 to
255. Values stay fractions where Pillow rounds to whole numbers, except where whole numbers are what an operation is
about (posterize, solarize, equalize). No result depends on which other images are in the batch, to the last bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, Pillow's conversion to "L"


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Times the factor: 0 is black (ImageEnhance.Brightness)."""
    return images.mul(factors).clamp_(0, 255)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Towards the mean grey of the image, or away from it (ImageEnhance.Contrast)."""
    # whole numbers in double precision: their sum is exact, in whatever order it is taken
    mean = _grey(images).round_().mean(dim=(1, 2, 3), keepdim=True, dtype=torch.float64)
    return _blend(images, mean.to(images.dtype), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Towards the grey image, or away from it (ImageEnhance.Color)."""
    return _blend(images, _grey(images), factors)


def adjust_sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Towards a smoothed image, or away from it; the outermost pixels stay (ImageEnhance.Sharpness).

    Pillow's ImageFilter.SMOOTH: the 3 x 3 neighbours weigh 1, the pixel itself 5, over 13.
    """
    if min(images.shape[2:]) < 3:
        return images.clone()
    rows = images[:, :, :-2] + images[:, :, 1:-1] + images[:, :, 2:]
    boxes = rows[:, :, :, :-2] + rows[:, :, :, 1:-1] + rows[:, :, :, 2:]
    inside = images[:, :, 1:-1, 1:-1]
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = (boxes + 4.0 * inside) / 13.0
    return _blend(images, smooth, factors)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """The lowest `bits` bits of every value become 0 (ImageOps.posterize keeps 8 - bits)."""
    step = torch.exp2(bits)
    return images.round().div_(step).floor_().mul_(step)


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Values from the threshold on are inverted (ImageOps.solarize)."""
    whole = images.round()
    return torch.where(whole >= thresholds, 255.0 - whole, whole)


def autocontrast(images: Tensor) -> Tensor:
    """Each channel stretched to 0 to 255; a channel of one value stays (ImageOps.autocontrast)."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    flat = high == low
    scale = torch.where(flat, 1.0, 255.0 / (high - low))
    return images.sub(torch.where(flat, 0.0, low)).mul_(scale).clamp_(0, 255)


def equalize(images: Tensor) -> Tensor:
    """Each channel mapped so that its values are spread evenly (ImageOps.equalize).

    The value v becomes (number of pixels below v + step // 2) // step, where 255 steps take all pixels but those of the
    largest value; without a whole step the channel stays.
    """
    n, _, height, width = images.shape
    values = images.round().long().reshape(n * 3, height * width)
    first = 256 * torch.arange(n * 3, device=images.device)[:, None]  # a channel's own 256 counts
    counts = torch.bincount((values + first).flatten(), minlength=256 * n * 3).view(n * 3, 256)
    largest = values.amax(dim=1, keepdim=True)
    step = (height * width - counts.gather(1, largest)) // 255
    below = counts.cumsum(dim=1) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp_(max=255)
    equalized = torch.where(step == 0, values, table.gather(1, values))
    return equalized.view(n, 3, height, width).to(images.dtype)


def _grey(images: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, 1, H, W)."""
    red, green, blue = (images[:, i : i + 1].mul(weight) for i, weight in enumerate(_LUMA))
    return red.add_(green).add_(blue)


def _blend(images: Tensor, degenerate: Tensor, factors: Tensor) -> Tensor:
    """degenerate + factor x (image - degenerate), as Image.blend."""
    return images.mul(factors).add_(degenerate.mul(1.0 - factors)).clamp_(0, 255)
