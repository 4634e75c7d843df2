"""Policies: the operations and ranges of torchvision, its geometry, and draws that follow from (seed, epoch, step)."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from foray.augmentation.augment import Augment
from foray.augmentation.draws import Rows
from foray.augmentation.policies import OPERATIONS, Operation, PolicyDraws, draw_policy
from foray.augmentation.resampling import warp
from foray.recipes.recipe import Augmentation
from foray.specs.preprocessing import Preprocessing

SIDE = 32
UNIT = Preprocessing(resolution=SIDE, crop_pct=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
NAMES = [operation.name for operation in OPERATIONS]
THEIR_NAMES = {
    "Identity": "identity", "ShearX": "shear_x", "ShearY": "shear_y", "TranslateX": "translate_x",
    "TranslateY": "translate_y", "Rotate": "rotate", "Brightness": "brightness", "Color": "color",
    "Contrast": "contrast", "Sharpness": "sharpness", "Posterize": "posterize", "Solarize": "solarize",
    "AutoContrast": "autocontrast", "Equalize": "equalize",
}  # fmt: skip


def noise(n: int, side: int = SIDE) -> Tensor:
    pixels = np.random.default_rng([n, side]).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def drawn(n: int, *, step: int = 0, **options: object) -> PolicyDraws:
    return draw_policy(Augmentation(**options), SIDE, Rows(0, n, n), (0, 0, step))


def only(name: str, strength: float) -> PolicyDraws:
    """One operation on one image."""
    return PolicyDraws(np.array([[NAMES.index(name)]]), np.array([[strength]]))


def their_strength(name: str, value: float) -> float:
    """torchvision's magnitude in the units of ours."""
    match name:
        case "posterize":
            return 8 - value
        case "solarize":
            return 255 - value
        case "translate_x" | "translate_y":
            return math.floor(value + 1e-4) / SIDE  # `_apply_op` cuts to whole pixels
        case _:
            return value


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_trivialaugment_draws_torchvisions_operations_and_strengths(torchvision: ModuleType) -> None:
    from torchvision.transforms import TrivialAugmentWide

    draws = drawn(20_000, policy="trivialaugment")
    theirs = TrivialAugmentWide()._augmentation_space(31)
    assert draws.operations.shape == (20_000, 1)
    assert [THEIR_NAMES[name] for name in theirs] == NAMES
    for name, (magnitudes, signed) in theirs.items():
        ours = draws.strengths[draws.operations == NAMES.index(THEIR_NAMES[name])]
        assert abs(len(ours) - 20_000 / 14) < 5 * math.sqrt(20_000 / 14)
        expected = {round(their_strength(THEIR_NAMES[name], float(value)), 4) for value in magnitudes.flatten()}
        if signed:
            expected |= {-value for value in expected}
        if len(magnitudes.shape):
            assert {round(value, 4) for value in ours} == expected
            assert abs(float((ours < 0).mean()) - 0.5 * signed) < 0.1


@pytest.mark.parametrize("magnitude", [0, 9, 30])
def test_randaugment_draws_torchvisions_operations_at_one_strength(magnitude: int, torchvision: ModuleType) -> None:
    from torchvision.transforms import RandAugment

    draws = drawn(1000, policy="randaugment", num_ops=3, magnitude=magnitude)
    theirs = RandAugment()._augmentation_space(31, (SIDE, SIDE))
    assert draws.operations.shape == (1000, 3)
    assert [THEIR_NAMES[name] for name in theirs] == NAMES
    for name, (magnitudes, signed) in theirs.items():
        if len(magnitudes.shape):
            ours = draws.strengths[draws.operations == NAMES.index(THEIR_NAMES[name])]
            strength = their_strength(THEIR_NAMES[name], float(magnitudes[magnitude]))
            np.testing.assert_allclose(np.abs(ours), strength, rtol=0, atol=1e-4)
            assert signed == (ours < 0).any() or magnitude == 0


def test_each_image_has_operations_of_its_own_that_follow_from_the_step() -> None:
    first, again, other = (drawn(50, step=step, policy="trivialaugment") for step in (3, 3, 4))
    assert len(set(first.operations.flatten().tolist())) > 5
    assert np.array_equal(first.operations, again.operations)
    assert np.array_equal(first.strengths, again.strengths)
    assert not np.array_equal(first.operations, other.operations)


# --- what is done -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("identity", 0.0),
        ("shear_x", 0.3),
        ("shear_x", -0.2),
        ("shear_y", 0.3),
        ("shear_y", -0.2),
        ("translate_x", 5 / SIDE),
        ("translate_x", -9 / SIDE),
        ("translate_y", 7 / SIDE),
        ("translate_y", -2 / SIDE),
        ("rotate", 20.0),
        ("rotate", -75.0),
    ],
)
def test_geometry_is_torchvisions_where_the_image_reaches(name: str, strength: float, torchvision: ModuleType) -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.autoaugment import _apply_op

    image = noise(1).float()
    theirs = next(their for their, our in THEIR_NAMES.items() if our == name)
    magnitude = strength * SIDE if name.startswith("translate") else strength

    def peer(tensor: Tensor) -> Tensor:
        return _apply_op(tensor, theirs, magnitude, InterpolationMode.BILINEAR, None)

    inside = peer(torch.ones(1, 1, SIDE, SIDE))[0, 0] > 0.999
    assert inside.sum() > 300
    ours = warp(image, only(name, strength).maps()[:, :2], SIDE)
    assert (ours - peer(image))[0, :, inside].abs().max() < 0.05


def test_operations_of_one_image_follow_each_other() -> None:
    """Rotating by 90 degrees after shifting right is shifting up after rotating."""
    image = noise(1).float()
    places = [NAMES.index(name) for name in ("translate_x", "rotate", "translate_y")]
    one = PolicyDraws(np.array([[places[0], places[1]]]), np.array([[4 / SIDE, 90.0]]))
    other = PolicyDraws(np.array([[places[1], places[2]]]), np.array([[90.0, -4 / SIDE]]))
    results = [warp(image, draws.maps()[:, :2], SIDE) for draws in (one, other)]
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0.01)
    assert (results[0][:, :, :-8] - image.rot90(1, (2, 3))[:, :, 4:-4]).abs().max() < 0.05


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if op.name in NAMES[6:]], ids=lambda op: op.name)
def test_colours_are_torchvisions_and_change_their_own_images_alone(
    operation: Operation, torchvision: ModuleType
) -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.autoaugment import _apply_op

    images = noise(3) // 2 + 40
    place, strength = NAMES.index(operation.name), operation.trivial / 2
    draws = PolicyDraws(np.array([[0], [place], [0]]), np.array([[0.0], [strength], [0.0]]))
    result = draws.recolour(images.float())
    assert torch.equal(result[[0, 2]], images[[0, 2]].float())
    magnitude = {"posterize": 8 - strength, "solarize": 255 - strength}.get(operation.name, strength)
    theirs = next(their for their, our in THEIR_NAMES.items() if our == operation.name)
    expected = _apply_op(images[1], theirs, magnitude, InterpolationMode.BILINEAR, None).float()
    assert (result[1] - expected).abs().max() < 1.5
    assert not torch.equal(result[1], images[1].float())


def test_colours_follow_each_other_in_the_order_drawn() -> None:
    image = torch.full((2, 3, 4, 4), 100.0)
    brightness, posterize = NAMES.index("brightness"), NAMES.index("posterize")
    draws = PolicyDraws(
        np.array([[brightness, posterize], [posterize, brightness]]), np.array([[0.5, 6.0], [6.0, 0.5]])
    )
    assert draws.recolour(image)[:, 0, 0, 0].tolist() == [128.0, 96.0]


# --- within the augmentation ------------------------------------------------------------------------------------------


def test_an_operation_that_does_nothing_leaves_crops_flips_and_shifts_as_they_were() -> None:
    images = noise(40, 37)
    options = {"horizontal_flip": 0.5, "translate": 0.125}
    plain = Augment(Augmentation(**options), UNIT, seed=0)(images, 0, 0)
    with_policy = Augment(Augmentation(**options, policy="trivialaugment"), UNIT, seed=0)(images, 0, 0)
    operations = drawn(40, policy="trivialaugment").operations[:, 0]
    untouched = torch.from_numpy(operations == NAMES.index("identity"))
    assert untouched.any()
    torch.testing.assert_close(with_policy[untouched], plain[untouched], rtol=0, atol=1e-4)


@pytest.mark.parametrize("policy", ["trivialaugment", "randaugment"])
@pytest.mark.parametrize("side", [20, 32])
def test_a_policy_keeps_shape_and_range(policy: str, side: int) -> None:
    chosen = Augmentation(policy=policy, random_crop_scale=(0.3, 1.0), num_ops=3, magnitude=20)
    result = Augment(chosen, UNIT, seed=0)(noise(60, 40), 0, 0, side)
    assert result.shape == (60, 3, side, side)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert result.min() >= -1e-6
    assert result.max() <= 1 + 1e-6
