"""Augmentation: what each option does to pixels, in closed form or against torchvision's and Pillow's definitions."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from foray.augmentation.augment import Augment
from foray.augmentation.draws import Draws, Rows
from foray.augmentation.resampling import take_pixels, warp
from foray.data.network_input import normalize, prepare
from foray.recipes.recipe import Augmentation
from foray.specs.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

UNIT = Preprocessing(resolution=32, crop_pct=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
EVERYTHING = Augmentation(
    random_crop_scale=(0.3, 1.0),
    random_crop_ratio=(0.75, 4 / 3),
    horizontal_flip=0.5,
    vertical_flip=0.5,
    rotation_degrees=15,
    translate=0.1,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
)


def noise(n: int, side: int) -> torch.Tensor:
    """uint8 (n, 3, side, side) as `Batches` delivers it."""
    pixels = np.random.default_rng([n, side]).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def ramp(n: int, side: int) -> torch.Tensor:
    """Red is the column, green the row, in steps of 2; blue is 100: positions can be read off the pixels."""
    line = np.arange(side, dtype=np.uint8) * 2
    picture = np.stack(np.broadcast_arrays(line[None, :], line[:, None], np.uint8(100)), axis=2)
    return torch.from_numpy(np.repeat(picture[None], n, axis=0)).permute(0, 3, 1, 2)


def augmented(images: torch.Tensor, *, step: int = 0, side: int | None = None, **options: object) -> torch.Tensor:
    return Augment(Augmentation(**options), UNIT, seed=0)(images, 0, step, side)


def read_positions(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Column and row in the stored ramp that each output pixel shows, (N, H, W) each."""
    return images[:, 0] * 255 / 2, images[:, 1] * 255 / 2


# --- nothing to do ----------------------------------------------------------------------------------------------------


def test_identity_on_a_store_of_the_resolution_is_normalize() -> None:
    images = noise(5, 32)
    preprocessing = Preprocessing(32, 1.0, "bilinear", IMAGENET_MEAN, IMAGENET_STD)
    result = Augment(Augmentation(), preprocessing, seed=0)(images, 3, 4)
    torch.testing.assert_close(result, normalize(images, preprocessing), rtol=0, atol=1e-6)


@pytest.mark.parametrize("stored", [32, 33, 35, 36, 37])
def test_identity_on_a_store_with_margin_is_the_evaluation_image(stored: int) -> None:
    images = noise(3, stored)
    result = augmented(images)
    for image, ours in zip(images, result, strict=True):
        cropped = prepare(Image.fromarray(image.permute(1, 2, 0).numpy()), Preprocessing(32, 32 / stored))
        assert torch.equal((ours * 255).round().to(torch.uint8), torch.from_numpy(cropped.copy()).permute(2, 0, 1))


def test_images_smaller_than_the_resolution_are_an_error() -> None:
    with pytest.raises(ValueError, match="smaller than the resolution"):
        augmented(noise(1, 31))


# --- randomness -------------------------------------------------------------------------------------------------------


def test_the_same_seed_epoch_and_step_give_the_same_bits_and_others_do_not() -> None:
    images = noise(6, 40)

    def run(seed: int, epoch: int, step: int) -> torch.Tensor:
        return Augment(EVERYTHING, UNIT, seed=seed)(images, epoch, step)

    base = run(1, 2, 3)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002  the global generators must not matter
    assert torch.equal(run(1, 2, 3), base)
    for other in [(2, 2, 3), (1, 3, 3), (1, 2, 4), (3, 2, 1)]:
        assert not torch.equal(run(*other), base)


def test_samples_of_a_batch_differ_from_each_other() -> None:
    one = noise(1, 40).expand(8, -1, -1, -1)
    result = Augment(EVERYTHING, UNIT, seed=0)(one, 0, 0)
    assert len({result[i].numpy().tobytes() for i in range(8)}) == 8


def test_switching_colour_on_does_not_change_the_crops() -> None:
    images = ramp(4, 40)
    geometry = {"random_crop_scale": (0.3, 1.0), "horizontal_flip": 0.5, "rotation_degrees": 10.0}
    plain = augmented(images, **geometry)
    dimmed = augmented(images, **geometry, brightness=1e-9)
    torch.testing.assert_close(dimmed, plain, rtol=0, atol=1e-6)


@given(
    stored=st.integers(32, 48),
    low=st.floats(0.05, 1.0),
    ratio=st.floats(1.0, 3.0),
    flips=st.sampled_from([0.0, 0.5, 1.0]),
    rotation=st.floats(0, 180),
    translate=st.floats(0, 0.9),
    colour=st.floats(0, 1),
    step=st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None)
def test_any_augmentation_gives_float32_channels_last_within_the_range_of_pixels(
    stored: int, low: float, ratio: float, flips: float, rotation: float, translate: float, colour: float, step: int
) -> None:
    result = augmented(
        noise(3, stored),
        step=step,
        random_crop_scale=(low, 1.0),
        random_crop_ratio=(1 / ratio, ratio),
        horizontal_flip=flips,
        vertical_flip=flips,
        rotation_degrees=rotation,
        translate=translate,
        brightness=colour,
        contrast=colour,
        saturation=colour,
    )
    assert result.shape == (3, 3, 32, 32)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert result.min() >= -1e-6
    assert result.max() <= 1 + 1e-6


# --- geometry ---------------------------------------------------------------------------------------------------------


def test_flips_move_whole_pixels() -> None:
    images = noise(4, 32)
    plain = augmented(images)
    assert torch.equal(augmented(images, horizontal_flip=1.0), plain.flip(-1))
    assert torch.equal(augmented(images, vertical_flip=1.0), plain.flip(-2))
    assert torch.equal(augmented(images, horizontal_flip=1.0, vertical_flip=1.0), plain.flip(-1, -2))


def test_flips_happen_as_often_as_asked() -> None:
    images = noise(2000, 32)
    flipped = (augmented(images, horizontal_flip=0.3) != augmented(images)).flatten(1).any(dim=1)
    share = flipped.float().mean().item()
    assert abs(share - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 2000)


def test_a_flip_inside_the_warp_is_the_same_flip() -> None:
    """A rotation too small to see takes the other path through the code."""
    images = ramp(3, 32)
    through_warp = augmented(images, horizontal_flip=1.0, vertical_flip=1.0, rotation_degrees=1e-6)
    torch.testing.assert_close(through_warp, augmented(images).flip(-1, -2), rtol=0, atol=1e-5)


def test_random_crops_keep_to_the_image_their_area_and_their_ratio() -> None:
    n, stored = 400, 48
    columns, rows = read_positions(
        augmented(ramp(n, stored), random_crop_scale=(0.25, 0.5), random_crop_ratio=(0.75, 4 / 3))
    )
    # between neighbours in the middle of the output, where no border is near: stored pixels per output pixel
    width = (columns[:, 16, 24] - columns[:, 16, 8]) / 16 * 32
    height = (rows[:, 24, 16] - rows[:, 8, 16]) / 16 * 32
    area = width * height / stored**2
    ratio = width / height
    assert area.min() >= 0.25 - 1e-3
    assert area.max() <= 0.5 + 1e-3
    assert ratio.min() >= 0.75 - 1e-3
    assert ratio.max() <= 4 / 3 + 1e-3
    assert abs(area.mean().item() - 0.375) < 5 * 0.25 / math.sqrt(12 * n)
    centre = (columns[:, 16, 15] + columns[:, 16, 16]) / 2 + 0.5  # from the left edge
    assert (centre - width / 2).min() >= -1e-2
    assert (centre + width / 2).max() <= stored + 1e-2
    assert abs(centre.mean().item() - stored / 2) < 5 * stored / math.sqrt(12 * n)


def test_a_crop_of_the_whole_image_is_a_bilinear_resize() -> None:
    images = ramp(1, 40)  # shrunk to not less than 0.75, hence by the warp alone
    columns, rows = read_positions(augmented(images, random_crop_scale=(0.999999, 1.0)))
    expected = (torch.arange(32) + 0.5) * 1.25 - 0.5
    torch.testing.assert_close(columns[0], expected.expand(32, 32), rtol=0, atol=1e-2)
    torch.testing.assert_close(rows[0], expected[:, None].expand(32, 32), rtol=0, atol=1e-2)


def test_a_ratio_that_never_fits_falls_back_inside_the_image() -> None:
    columns, rows = read_positions(augmented(ramp(20, 40), random_crop_scale=(1.0, 1.0), random_crop_ratio=(4.0, 4.0)))
    assert columns.min() >= 0
    assert columns.max() <= 39
    width = (columns[:, 16, 24] - columns[:, 16, 8]) / 16 * 32
    height = (rows[:, 24, 16] - rows[:, 8, 16]) / 16 * 32
    torch.testing.assert_close(width, torch.full((20,), 40.0), rtol=0, atol=1e-2)
    torch.testing.assert_close(height, torch.full((20,), 20.0), rtol=0, atol=1e-2)


def test_rotation_turns_about_the_middle_by_at_most_the_angle() -> None:
    n, stored = 300, 64  # margin enough that no corner leaves the stored image
    columns, rows = read_positions(augmented(ramp(n, stored), rotation_degrees=30.0))
    across = columns[:, 16, 24] - columns[:, 16, 8], rows[:, 16, 24] - rows[:, 16, 8]
    down = columns[:, 24, 16] - columns[:, 8, 16], rows[:, 24, 16] - rows[:, 8, 16]
    torch.testing.assert_close(torch.hypot(*across), torch.full((n,), 16.0), rtol=0, atol=1e-2)
    torch.testing.assert_close(across[0], down[1], rtol=0, atol=1e-2)  # a rotation: no shear, no mirror
    torch.testing.assert_close(across[1], -down[0], rtol=0, atol=1e-2)
    degrees = torch.rad2deg(torch.atan2(across[1], across[0]))
    assert degrees.abs().max() <= 30.1
    assert degrees.abs().max() > 28
    assert abs(degrees.mean().item()) < 5 * 60 / math.sqrt(12 * n)
    middle = columns[:, 15:17, 15:17].mean(dim=(1, 2)), rows[:, 15:17, 15:17].mean(dim=(1, 2))
    for axis in middle:
        torch.testing.assert_close(axis, torch.full((n,), (stored - 1) / 2), rtol=0, atol=1e-2)


def test_translation_shifts_by_at_most_its_share_of_the_side() -> None:
    n, stored = 300, 64
    columns, rows = read_positions(augmented(ramp(n, stored), translate=0.25))
    for axis in (columns, rows):
        shift = axis[:, 15:17, 15:17].mean(dim=(1, 2)) - (stored - 1) / 2
        assert shift.abs().max() <= 8.01
        assert shift.abs().max() > 7.5
        assert abs(shift.mean().item()) < 5 * 16 / math.sqrt(12 * n)


def test_what_lies_beyond_the_border_is_a_reflection_not_black() -> None:
    white = torch.full((8, 32, 32, 3), 255, dtype=torch.uint8).permute(0, 3, 1, 2)
    moved = augmented(white, rotation_degrees=45.0, translate=0.5)
    torch.testing.assert_close(moved, torch.ones_like(moved), rtol=0, atol=1e-6)


def test_shifts_and_flips_alone_move_whole_pixels_each_shift_equally_often() -> None:
    """CIFAR's padding by 4 and random crop: 9 x 9 places, each image mirrored or not."""
    n, stored, start = 3000, 37, 2  # (37 - 32) / 2 rounded half to even
    columns, rows = read_positions(augmented(ramp(n, stored), translate=0.125, horizontal_flip=0.5))
    columns, rows = columns[:, 16].round().long(), rows[:, :, 16].round().long()  # (N, 32): the same in all rows
    line = torch.arange(32)
    seen = set()
    mirrored = columns[:, 16] > columns[:, 17]
    for i in range(n):
        shown = columns[i].flip(0) if mirrored[i] else columns[i]
        x, y = int(shown[8]) - 8 - start, int(rows[i, 8]) - 8 - start
        for found, shift in ((shown, x), (rows[i], y)):
            reached = line + start + shift
            reached = torch.where(reached < 0, -1 - reached, reached)
            reached = torch.where(reached >= stored, 2 * stored - 1 - reached, reached)
            assert torch.equal(found, reached)
        seen.add((x, y, bool(mirrored[i])))
    assert seen == {(x, y, flip) for x in range(-4, 5) for y in range(-4, 5) for flip in (False, True)}


def test_shifts_without_resampling_and_within_the_warp_are_the_same() -> None:
    images = noise(6, 37)
    options = {"translate": 0.2, "horizontal_flip": 0.5, "vertical_flip": 0.5}
    draws = Draws(Augmentation(**options), 32, Rows(0, 6, 6), (0, 0, 0))
    warped = warp(images.float(), draws.maps(37), 32)
    torch.testing.assert_close(warped, take_pixels(images, *draws.pixels(37)).float(), rtol=0, atol=0.05)


# --- other sides ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [8, 20, 31, 40])
@pytest.mark.parametrize("stored", [32, 37])
def test_identity_at_another_side_is_pillows_resize_of_the_centre_crop(side: int, stored: int) -> None:
    images = noise(3, stored)
    result = Augment(Augmentation(), UNIT, seed=0)(images, 0, 0, side) * 255
    assert result.is_contiguous(memory_format=torch.channels_last)
    for image, ours in zip(images, result, strict=True):
        cropped = prepare(Image.fromarray(image.permute(1, 2, 0).numpy()), Preprocessing(32, 32 / stored))
        expected = np.asarray(Image.fromarray(cropped).resize((side, side), Image.Resampling.BILINEAR))
        difference = np.abs(ours.permute(1, 2, 0).numpy() - expected)
        assert difference.max() <= 2.01  # both round after each of two directions
        assert difference.mean() < 0.1


@pytest.mark.parametrize("side", [12, 16, 24, 28])
def test_every_side_shows_the_same_part_of_the_image(side: int) -> None:
    images = ramp(6, 40)
    options = {"random_crop_scale": (0.5, 0.9), "rotation_degrees": 20.0, "horizontal_flip": 0.5}
    augment = Augment(Augmentation(**options), UNIT, seed=0)
    small, full = (read_positions(augment(images, 0, 0, s)) for s in (side, 32))
    for ours, whole in zip(small, full, strict=True):
        at = (np.arange(side) + 0.5) * 32 / side - 0.5  # where the small output's pixels lie in the full one
        low = np.floor(at).astype(int).clip(0, 30)
        share = torch.from_numpy(at - low).float()
        rows = torch.lerp(whole[:, low], whole[:, low + 1], share[:, None])
        expected = torch.lerp(rows[:, :, low], rows[:, :, low + 1], share)
        middle = slice(side // 4, -side // 4)  # a ramp that is reflected at the border is none
        torch.testing.assert_close(ours[:, middle, middle], expected[:, middle, middle], rtol=0, atol=0.3)


def test_shrinking_does_not_alias() -> None:
    """A grating finer than the output can show turns grey."""
    stripes = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    result = augmented(stripes.permute(0, 3, 1, 2), side=16, random_crop_scale=(0.9, 1.0))
    assert (result - 0.5).abs().max() < 0.1


def test_a_side_below_one_pixel_is_an_error() -> None:
    with pytest.raises(ValueError, match="side"):
        augmented(noise(1, 32), side=0)


# --- several processes ------------------------------------------------------------------------------------------------

PARTLY_ERASED = {"random_erasing": 0.5}
ALL_OPTIONS = [
    {"translate": 0.1, "horizontal_flip": 0.5, "vertical_flip": 0.5} | PARTLY_ERASED,
    EVERYTHING.model_dump() | PARTLY_ERASED,
    EVERYTHING.model_dump() | {"policy": "trivialaugment"} | PARTLY_ERASED,
    {"policy": "randaugment", "num_ops": 4, "magnitude": 12.0, "saturation": 0.5} | PARTLY_ERASED,
]


@given(
    total=st.integers(1, 14),
    cuts=st.sets(st.integers(1, 13), max_size=3),
    options=st.sampled_from(ALL_OPTIONS),
    side=st.sampled_from([None, 17]),
    step=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_parts_of_a_batch_are_the_whole_bit_for_bit(
    total: int, cuts: set[int], options: dict[str, object], side: int | None, step: int
) -> None:
    images = noise(total, 37)
    augment = Augment(Augmentation(**options), Preprocessing(32), seed=7)
    bounds = [0, *sorted(cut for cut in cuts if cut < total), total]
    parts = [augment(images[start:stop], 2, step, side, part=(start, total)) for start, stop in pairwise(bounds)]
    assert torch.equal(torch.cat(parts), augment(images, 2, step, side))


def test_a_part_outside_its_batch_is_an_error() -> None:
    for part in ((3, 4), (-1, 4)):
        with pytest.raises(ValueError, match="not part of a batch of 4"):
            Augment(Augmentation(), UNIT, seed=0)(noise(2, 32), 0, 0, part=part)


# --- random erasing ---------------------------------------------------------------------------------------------------


def test_erasing_sets_rectangles_of_torchvisions_areas_and_ratios_to_the_mean() -> None:
    n, side = 600, 64
    preprocessing = Preprocessing(resolution=side, crop_pct=1.0)
    images = torch.full((n, side, side, 3), 255, dtype=torch.uint8).permute(0, 3, 1, 2)
    result = Augment(Augmentation(random_erasing=0.6), preprocessing, seed=0)(images, 0, 0)
    plain = Augment(Augmentation(), preprocessing, seed=0)(images, 0, 0)
    erased = (result == 0).all(dim=1)
    kept = (result == plain).all(dim=1)
    assert (erased ^ kept).all()
    some = erased.flatten(1).any(dim=1)
    assert abs(some.float().mean().item() - 0.6) < 5 * math.sqrt(0.6 * 0.4 / n)
    heights, widths = erased[some].any(dim=2).sum(dim=1), erased[some].any(dim=1).sum(dim=1)
    assert torch.equal(erased[some].sum(dim=(1, 2)), heights * widths)  # a full rectangle
    share, ratio = heights * widths / side**2, heights / widths
    assert share.min() > 0.015  # sides are rounded to whole pixels
    assert share.max() < 0.34
    assert ratio.min() > 0.3 * 0.9
    assert ratio.max() < 3.3 * 1.1
    assert share.mean().item() == pytest.approx(0.175, abs=5 * 0.31 / math.sqrt(12 * len(share)))
    assert abs(ratio.log().mean().item()) < 0.1
    assert erased[:, 0].any()
    assert erased[:, -1].any()
    assert erased[:, :, 0].any()
    assert erased[:, :, -1].any()


def test_erasing_does_not_change_what_it_leaves() -> None:
    images = noise(8, 40)
    options = EVERYTHING.model_dump()
    plain = Augment(EVERYTHING, UNIT, seed=0)(images, 0, 0)
    erased = Augment(Augmentation(**options | {"random_erasing": 1.0}), UNIT, seed=0)(images, 0, 0)
    assert torch.equal(erased, torch.where(erased == 0, 0.0, plain))
    assert (erased == 0).all(dim=1).flatten(1).any(dim=1).all()


# --- colour -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "peer"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
def test_colour_is_pillows_with_a_factor_uniform_around_one(option: str, peer: type) -> None:
    n, strength = 200, 0.4
    gentle = noise(1, 32) // 4 + 80  # no value leaves the range, so the factor can be solved for
    result = augmented(gentle.expand(n, -1, -1, -1), **{option: strength}) * 255
    picture = Image.fromarray(gentle[0].permute(1, 2, 0).numpy())
    none = torch.from_numpy(np.asarray(peer(picture).enhance(0.0)).astype(np.float32)).permute(2, 0, 1)
    change = gentle[0].float() - none  # Pillow blends: none + factor x change
    factors = ((result - none) * change).sum(dim=(1, 2, 3)) / change.square().sum()
    assert factors.min() >= 1 - strength - 0.01
    assert factors.max() <= 1 + strength + 0.01
    assert abs(factors.mean().item() - 1) < 5 * 2 * strength / math.sqrt(12 * n)
    for i in range(0, n, 20):
        expected = np.asarray(peer(picture).enhance(factors[i].item())).astype(np.float32)
        assert np.abs(result[i].permute(1, 2, 0).numpy() - expected).max() <= 1.5  # Pillow rounds twice
